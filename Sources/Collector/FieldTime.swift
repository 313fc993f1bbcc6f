import Events

/// Reads times of events with the checks that protocols share.
enum FieldTime {
  /// From 1980 to 2100: what a time in seconds since the epoch may be. The same numbers as milliseconds are all
  /// of 1970, so that either can be told from the other.
  private static let plausibleSeconds: Range<Int64> = 315_532_800..<4_102_444_800

  /// - Parameter number: milliseconds since the epoch, or seconds.
  /// - Returns: microseconds since the epoch; nil where neither is plausible.
  static func micros(_ number: Int64) -> Int64? {
    if plausibleSeconds.contains(number / 1000) { return number * 1000 }
    return plausibleSeconds.contains(number) ? number * 1_000_000 : nil
  }

  static func micros(_ text: String) -> Int64? { Int64(text).flatMap { micros($0) } }

  /// An ISO 8601 text, or a number of milliseconds or seconds since the epoch.
  ///
  /// - Returns: microseconds since the epoch; nil for null and for an empty text, which say no time.
  static func read(_ json: inout JSONScanner, _ field: String) throws -> Int64? {
    switch try json.peek() {
    case .null:
      _ = try json.skipNull()
      return nil
    case .string:
      let text = try json.text()
      if text.isEmpty { return nil }
      let time = text.isEscaped ? Timestamp.parse(text.string) : Timestamp.parse(text.bytes)
      if let time { return time }
    case .number:
      let digits = try json.numberText()
      if let time = micros(String(decoding: digits, as: UTF8.self)) { return time }
    case .object, .array, .boolean: break
    }
    throw Refusal(
      .badTimestamp,
      "\(field) is ISO 8601 such as 2026-01-01T00:00:00.000Z, or milliseconds or seconds since 1970, from"
        + " 1980 to 2100", at: FieldText.path(field))
  }
}
