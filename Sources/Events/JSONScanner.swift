/// A cursor over JSON bytes that reads what the caller's schema wants and skips the rest.
///
/// Everything passed over is checked against RFC 8259: grammar, escapes, UTF-8, and at most
/// ``depthMax`` levels. Nothing is allocated except the strings asked for. Strings are scanned
/// eight bytes at a time (SWAR: Mycroft's zero-in-word test for quote, backslash, control and
/// non-ASCII bytes at once). A copy of the scanner is a bookmark: read ahead with one, go on
/// with the other.
///
///     var json = JSONScanner(bytes)
///     try json.beginObject()
///     while let key = try json.nextKey() {
///       switch key {
///       case "event": name = try json.string()
///       case "properties": properties = try json.skipValue()   // its bytes
///       default: try json.skipValue()
///       }
///     }
///     try json.end()
///
/// After `nextKey` and a true `nextElement` the caller must read exactly one value. The same key
/// twice in an object is handed out twice; by convention the last one counts.
///
/// Borrows the buffer: the scanner and every ``JSONString`` and buffer from it are valid only while
/// the buffer is. After an error the scanner must not be used further.
public struct JSONScanner {
  /// Levels of arrays and objects that a text may have.
  public static let depthMax = 64

  @usableFromInline let base: UnsafeRawPointer
  @usableFromInline let count: Int
  /// Of the next byte to be read.
  public internal(set) var offset = 0
  @usableFromInline var depth = 0
  /// True just after `{` or `[`, where no comma may stand.
  @usableFromInline var isFirst = false

  public init(_ bytes: UnsafeRawBufferPointer) {
    // An empty buffer may have no address; nothing is read from it.
    base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    count = bytes.count
  }

  /// The types of JSON.
  public enum ValueType: Hashable, Sendable {
    case object, array, string, number, boolean, null
  }

  /// The type of the next value, told by its first byte, which is not consumed.
  public mutating func peek() throws(JSONError) -> ValueType {
    skipWhitespace()
    switch current {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .boolean
    case UInt8(ascii: "n"): return .null
    default: throw error(.value)
    }
  }

  // MARK: Objects and arrays

  public mutating func beginObject() throws(JSONError) { try begin(UInt8(ascii: "{"), .object) }

  public mutating func beginArray() throws(JSONError) { try begin(UInt8(ascii: "["), .array) }

  private mutating func begin(
    _ opening: UInt8, _ expected: JSONError.Expected
  ) throws(JSONError) {
    skipWhitespace()
    guard current == opening else { throw error(expected) }
    guard depth < Self.depthMax else { throw error(.depth) }
    offset &+= 1
    depth &+= 1
    isFirst = true
  }

  /// - Returns: the next key of the object, its `:` consumed; nil where the object has ended.
  public mutating func nextKey() throws(JSONError) -> JSONString? {
    guard try advance(to: UInt8(ascii: "}"), .commaOrObjectEnd) else { return nil }
    return try keyAndColon()
  }

  /// - Returns: true where another element of the array follows; false where it has ended.
  public mutating func nextElement() throws(JSONError) -> Bool {
    try advance(to: UInt8(ascii: "]"), .commaOrArrayEnd)
  }

  /// Over the comma, or over the closing bracket.
  @inline(__always)
  private mutating func advance(
    to closing: UInt8, _ expected: JSONError.Expected
  ) throws(JSONError) -> Bool {
    skipWhitespace()
    let byte = current
    if byte == closing && depth > 0 {
      offset &+= 1
      depth &-= 1
      isFirst = false
      return false
    }
    if isFirst {
      isFirst = false
      return true
    }
    guard byte == UInt8(ascii: ",") else { throw error(expected) }
    offset &+= 1
    return true
  }

  @inline(__always)
  private mutating func keyAndColon() throws(JSONError) -> JSONString {
    skipWhitespace()
    guard current == UInt8(ascii: "\"") else { throw error(.key) }
    offset &+= 1
    let key = try scanString()
    skipWhitespace()
    guard current == UInt8(ascii: ":") else { throw error(.colon) }
    offset &+= 1
    return key
  }

  /// Checks that only white space is left.
  public mutating func end() throws(JSONError) {
    skipWhitespace()
    guard offset == count else { throw error(.end) }
  }

  // MARK: Values

  /// A string, not copied.
  public mutating func text() throws(JSONError) -> JSONString {
    skipWhitespace()
    guard current == UInt8(ascii: "\"") else { throw error(.string) }
    offset &+= 1
    return try scanString()
  }

  /// The next value where it is a string, not copied; nil where it is something else, of which nothing is read.
  public mutating func textIfThere() throws(JSONError) -> JSONString? {
    skipWhitespace()
    guard current == UInt8(ascii: "\"") else { return nil }
    offset &+= 1
    return try scanString()
  }

  /// A string without its escapes.
  public mutating func string() throws(JSONError) -> String { try text().string }

  public mutating func bool() throws(JSONError) -> Bool {
    skipWhitespace()
    switch current {
    case UInt8(ascii: "t"):
      try literal("true")
      return true
    case UInt8(ascii: "f"):
      try literal("false")
      return false
    default: throw error(.boolean)
    }
  }

  /// Passes over `null` where it is the next value.
  public mutating func skipNull() throws(JSONError) -> Bool {
    skipWhitespace()
    guard current == UInt8(ascii: "n") else { return false }
    try literal("null")
    return true
  }

  /// A number as it is written, such as `-1.50e3`; for ``Money`` and for identifiers.
  public mutating func numberText() throws(JSONError) -> UnsafeRawBufferPointer {
    skipWhitespace()
    let start = offset
    try scanNumber()
    return UnsafeRawBufferPointer(start: base + start, count: offset &- start)
  }

  /// A whole number, written without fraction and exponent.
  public mutating func int64() throws(JSONError) -> Int64 {
    skipWhitespace()
    let start = offset
    try scanNumber()
    var value: Int64 = 0
    let isNegative = byte(start) == UInt8(ascii: "-")
    for index in (isNegative ? start &+ 1 : start)..<offset {
      let digit = byte(index) &- UInt8(ascii: "0")
      // Digits are subtracted because the smallest number has no positive counterpart.
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, underflow) = product.subtractingReportingOverflow(Int64(digit))
      guard digit <= 9, !overflow, !underflow else { throw error(.int64, at: start) }
      value = sum
    }
    guard isNegative || value != .min else { throw error(.int64, at: start) }
    return isNegative ? value : -value
  }

  /// The nearest double; a number beyond its range is an error.
  public mutating func double() throws(JSONError) -> Double {
    let start = offset
    let digits = try numberText()
    guard let value = Double(String(decoding: digits, as: UTF8.self)), value.isFinite else {
      throw error(.finiteDouble, at: start)
    }
    return value
  }

  /// Passes over the next value, whatever it is, and checks all of it.
  ///
  /// - Returns: its bytes, without white space around them.
  @discardableResult
  public mutating func skipValue() throws(JSONError) -> UnsafeRawBufferPointer {
    skipWhitespace()
    let start = offset
    let outer = depth
    // Bit i is set where level i is an object.
    var objects: UInt64 = 0
    repeat {
      if depth > outer {
        let isObject = objects & (1 << UInt64(depth &- 1)) != 0
        if isObject {
          guard try nextKey() != nil else { continue }
        } else {
          guard try nextElement() else { continue }
        }
        skipWhitespace()
      }
      switch current {
      case UInt8(ascii: "\""):
        offset &+= 1
        _ = try scanString()
      case UInt8(ascii: "{"):
        try beginObject()
        objects |= 1 << UInt64(depth &- 1)
      case UInt8(ascii: "["):
        try beginArray()
        objects &= ~(1 << UInt64(depth &- 1))
      case UInt8(ascii: "t"): try literal("true")
      case UInt8(ascii: "f"): try literal("false")
      case UInt8(ascii: "n"): try literal("null")
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try scanNumber()
      default: throw error(.value)
      }
    } while depth > outer
    return UnsafeRawBufferPointer(start: base + start, count: offset &- start)
  }
}
