/// A JSON text as a value (RFC 8259), for requests of a few kilobytes.
///
/// Strict: UTF-8 only, no duplicate members, nothing after the value, nesting of at most 32.
/// Errors say at which byte of the text they are.
enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  /// A number without fraction or exponent that fits.
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([Member])

  struct Member: Hashable, Sendable {
    var name: String
    var value: JSONValue
  }

  /// - Throws: ``QueryError`` of code `invalid_json`.
  init(parsing bytes: [UInt8]) throws(QueryError) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.document()
  }

  /// What it is, with its article, for messages.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .integer, .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  var index = 0
  var depth = 0

  private static let depthMax = 32

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func document() throws(QueryError) -> JSONValue {
    let result = try value()
    skipSpace()
    guard index == bytes.count else { throw failure("there is text after the value") }
    return result
  }

  private func failure(_ what: String) -> QueryError {
    QueryError(
      .invalidJSON, path: "$",
      detail: "the body is not JSON: \(what) at byte \(index); send one JSON object in UTF-8")
  }

  private mutating func skipSpace() {
    while index < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[index]) { index += 1 }
  }

  private mutating func value() throws(QueryError) -> JSONValue {
    skipSpace()
    guard index < bytes.count else { throw failure("a value is missing") }
    switch bytes[index] {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func word(_ text: String, _ value: JSONValue) throws(QueryError) -> JSONValue {
    guard bytes[index...].starts(with: text.utf8) else { throw failure("an unknown word is") }
    index += text.utf8.count
    return value
  }

  private mutating func enter() throws(QueryError) {
    depth += 1
    index += 1
    if depth > Self.depthMax { throw failure("it is nested deeper than \(Self.depthMax)") }
  }

  /// Consumes `byte` after white space where it comes next.
  private mutating func take(_ byte: UInt8) -> Bool {
    skipSpace()
    guard index < bytes.count, bytes[index] == byte else { return false }
    index += 1
    return true
  }

  private mutating func array() throws(QueryError) -> JSONValue {
    try enter()
    defer { depth -= 1 }
    var items: [JSONValue] = []
    if take(UInt8(ascii: "]")) { return .array(items) }
    while true {
      items.append(try value())
      if take(UInt8(ascii: "]")) { return .array(items) }
      guard take(UInt8(ascii: ",")) else { throw failure("a comma or ] is missing") }
    }
  }

  private mutating func object() throws(QueryError) -> JSONValue {
    try enter()
    defer { depth -= 1 }
    var members: [JSONValue.Member] = []
    if take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      skipSpace()
      guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
        throw failure("a member name is missing")
      }
      let name = try string()
      if members.contains(where: { $0.name == name }) { throw failure("a member is repeated") }
      guard take(UInt8(ascii: ":")) else { throw failure("a colon is missing") }
      members.append(JSONValue.Member(name: name, value: try value()))
      if take(UInt8(ascii: "}")) { return .object(members) }
      guard take(UInt8(ascii: ",")) else { throw failure("a comma or } is missing") }
    }
  }

  private mutating func number() throws(QueryError) -> JSONValue {
    let start = index
    _ = takeByte(UInt8(ascii: "-"))
    let leading = index
    guard takeDigits() else { throw failure("a value is missing or malformed") }
    if bytes[leading] == UInt8(ascii: "0"), index > leading + 1 {
      throw failure("a number begins with 0")
    }
    var isInteger = true
    if takeByte(UInt8(ascii: ".")) {
      isInteger = false
      guard takeDigits() else { throw failure("a digit is missing") }
    }
    if takeByte(UInt8(ascii: "e")) || takeByte(UInt8(ascii: "E")) {
      isInteger = false
      if !takeByte(UInt8(ascii: "+")) { _ = takeByte(UInt8(ascii: "-")) }
      guard takeDigits() else { throw failure("a digit is missing") }
    }
    let text = String(decoding: bytes[start..<index], as: UTF8.self)
    if isInteger, let integer = Int64(text) { return .integer(integer) }
    guard let number = Double(text), number.isFinite else {
      throw failure("a number is out of range")
    }
    return .number(number)
  }

  private mutating func takeByte(_ byte: UInt8) -> Bool {
    guard index < bytes.count, bytes[index] == byte else { return false }
    index += 1
    return true
  }

  private mutating func takeDigits() -> Bool {
    let start = index
    while index < bytes.count, (0x30...0x39).contains(bytes[index]) { index += 1 }
    return index > start
  }

  private mutating func string() throws(QueryError) -> String {
    index += 1
    var text: [UInt8] = []
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let result = String(validating: text, as: UTF8.self) else {
          throw failure("a string that is not UTF-8 ends")
        }
        return result
      case UInt8(ascii: "\\"): try escape(into: &text)
      case 0..<0x20: throw failure("a control character is inside a string")
      default: text.append(byte)
      }
    }
    throw failure("a string has no end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(QueryError) {
    guard index < bytes.count else { throw failure("a string has no end") }
    let byte = bytes[index]
    index += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var unit = try hexadecimal()
      if (0xd800..<0xdc00).contains(unit) {
        guard takeByte(UInt8(ascii: "\\")), takeByte(UInt8(ascii: "u")) else {
          throw failure("half a surrogate pair ends")
        }
        let low = try hexadecimal()
        guard (0xdc00..<0xe000).contains(low) else { throw failure("half a surrogate pair ends") }
        unit = 0x10000 + (unit - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(unit) else { throw failure("half a surrogate pair ends") }
      text.append(contentsOf: UTF8.encode(scalar).map { Array($0) } ?? [])
    default: throw failure("an unknown escape is")
    }
  }

  private mutating func hexadecimal() throws(QueryError) -> UInt32 {
    guard index + 4 <= bytes.count,
      bytes[index..<index + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let unit = UInt32(String(decoding: bytes[index..<index + 4], as: UTF8.self), radix: 16)
    else { throw failure("four hexadecimal digits are missing") }
    index += 4
    return unit
  }
}
