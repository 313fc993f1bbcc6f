import Events
import HTTPServer

/// The fields of an event of a protocol whose values are all texts, in the order in which they came.
struct TextFields {
  private(set) var all: [(name: String, value: String)] = []
  /// Whether something that came is no field: not UTF-8, or a `%` without two hexadecimal digits. What is
  /// well formed is there all the same, so that the write key can be found.
  private(set) var isMalformed = false

  init() {}

  /// Fields of a query or of a form body (WHATWG URL standard, application/x-www-form-urlencoded).
  init(form bytes: UnsafeRawBufferPointer) { append(form: bytes) }

  mutating func append(form bytes: UnsafeRawBufferPointer) {
    var scanner = QueryScanner()
    while let field = scanner.next(in: bytes.bytes) {
      if let name = Self.text(field.name, field.nameIsEncoded, bytes),
        let value = Self.text(field.value, field.valueIsEncoded, bytes)
      {
        all.append((name, value))
      } else {
        isMalformed = true
      }
    }
  }

  /// Fields of a JSON object; a null is a field that did not come.
  ///
  /// - Throws: ``Refusal`` where a value is an object or array, or there is no object; ``JSONError``.
  init(object json: inout JSONScanner) throws {
    guard try json.peek() == .object else {
      throw Refusal(.notAnObject, "an event is a JSON object")
    }
    try json.beginObject()
    while let name = try json.nextKey() {
      switch try json.peek() {
      case .string: all.append((name.string, try json.string()))
      case .number:
        all.append((name.string, String(decoding: try json.numberText(), as: UTF8.self)))
      case .boolean: all.append((name.string, try json.bool() ? "true" : "false"))
      case .null: _ = try json.skipNull()
      case .object, .array:
        throw Refusal(
          .wrongFieldType, "the fields of an event are texts; JSON stands in them as a text, too")
      }
    }
  }

  /// A field's value; empty where it did not come. One that came twice counts as it came last.
  subscript(name: String) -> String { all.last { $0.name == name }?.value ?? "" }

  /// The first of these fields that is not empty.
  func first(of names: String...) -> String {
    for name in names where !self[name].isEmpty { return self[name] }
    return ""
  }

  /// - Throws: ``Refusal`` where ``isMalformed``.
  func check() throws(Refusal) {
    if isMalformed { throw Refusal(.malformedQuery, "fields are UTF-8, percent-encoded as %41") }
  }

  private static func text(
    _ range: Range<Int>, _ isEncoded: Bool, _ bytes: UnsafeRawBufferPointer
  ) -> String? {
    guard isEncoded else { return String(validating: bytes[range], as: UTF8.self) }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(range.count)
    guard PercentEncoding.decode(range, in: bytes.bytes, to: &decoded) else { return nil }
    return String(validating: decoded, as: UTF8.self)
  }
}
