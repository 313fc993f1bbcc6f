import Events

/// Reads times of events with the checks that protocols share.
enum FieldTime {
  /// An ISO 8601 text, or a number of milliseconds since the epoch.
  ///
  /// - Returns: microseconds since the epoch; nil for null.
  static func read(_ json: inout JSONScanner, _ field: String) throws -> Int64? {
    switch try json.peek() {
    case .null:
      _ = try json.skipNull()
      return nil
    case .string:
      let text = try json.text()
      let time = text.isEscaped ? Timestamp.parse(text.string) : Timestamp.parse(text.bytes)
      if let time { return time }
    case .number:
      let digits = try json.numberText()
      if let milliseconds = Int64(String(decoding: digits, as: UTF8.self)),
        (0...Timestamp.max / 1000).contains(milliseconds)
      {
        return milliseconds * 1000
      }
    case .object, .array, .boolean: break
    }
    throw Refusal(
      .badTimestamp,
      "\(field) is ISO 8601 such as 2026-01-01T00:00:00.000Z, or milliseconds since 1970")
  }
}
