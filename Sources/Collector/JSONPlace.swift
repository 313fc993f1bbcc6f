import Events

/// Where a byte of a JSON text stands, as a JSON Pointer (RFC 6901) such as `/properties/email`.
///
/// Reads the text up to there once more: for the few values whose place is to be told.
enum JSONPlace {
  /// A longer pointer is cut.
  static let lengthMax = 512

  /// - Returns: the pointer to the innermost value with the byte; of a text that is no JSON up to there, as far
  ///   as it is some.
  static func pointer(to offset: Int, in text: UnsafeRawBufferPointer) -> String {
    var pointer = ""
    var json = JSONScanner(text)
    do throws(JSONError) {
      while let step = try step(&json, to: offset) { pointer += "/" + step }
    } catch {
      // So far, and no further.
    }
    guard pointer.utf8.count > lengthMax else { return pointer }
    return String(decoding: pointer.utf8.prefix(lengthMax), as: UTF8.self)
  }

  /// - Returns: the name or number of the part with the byte, in front of which the scanner stands then; nil
  ///   where there are no parts.
  private static func step(
    _ json: inout JSONScanner, to offset: Int
  ) throws(JSONError) -> String? {
    switch try json.peek() {
    case .object:
      try json.beginObject()
      while let name = try json.nextKey() {
        let value = json
        try json.skipValue()
        guard json.offset > offset else { continue }
        json = value
        return escaped(name.string)
      }
    case .array:
      try json.beginArray()
      var index = 0
      while try json.nextElement() {
        let value = json
        try json.skipValue()
        if json.offset > offset {
          json = value
          return "\(index)"
        }
        index += 1
      }
    case .string, .number, .boolean, .null: break
    }
    return nil
  }

  private static func escaped(_ name: String) -> String {
    guard name.utf8.contains(where: { $0 == UInt8(ascii: "~") || $0 == UInt8(ascii: "/") }) else {
      return name
    }
    var text: [UInt8] = []
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "~"): text.append(contentsOf: "~0".utf8)
      case UInt8(ascii: "/"): text.append(contentsOf: "~1".utf8)
      default: text.append(byte)
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
