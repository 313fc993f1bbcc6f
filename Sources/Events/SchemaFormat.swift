/// The forms of texts that schemas may ask for (JSON Schema, Validation, section 7.3).
enum SchemaFormat: String, CaseIterable, Hashable, Sendable {
  /// RFC 3339 section 5.6, with a zone.
  case dateTime = "date-time"
  /// RFC 5321 section 4.1.2 without quotes and address literals, which no mailbox of a person has.
  case email
  /// RFC 3986 with a scheme.
  case uri
  /// RFC 9562.
  case uuid

  var example: String {
    switch self {
    case .dateTime: "2026-11-23T09:00:00Z"
    case .email: "name@example.org"
    case .uri: "https://example.org/"
    case .uuid: "0192f3d2-0000-7000-8000-000000000001"
    }
  }

  func matches(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    switch self {
    case .dateTime: return Self.isDateTime(bytes)
    case .email: return Self.isEmail(bytes)
    case .uri: return Self.isURI(bytes)
    case .uuid: return Self.isUUID(bytes)
    }
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 <= 9 }
  private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 <= 25 }

  private static func isDateTime(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= 20 else { return false }
    func number(_ range: Range<Int>) -> Int? {
      guard range.upperBound <= bytes.count, bytes[range].allSatisfy(isDigit) else { return nil }
      return bytes[range].reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
    func has(_ byte: Character, at place: Int) -> Bool {
      place < bytes.count && bytes[place] == byte.asciiValue
    }
    guard let year = number(0..<4), has("-", at: 4), let month = number(5..<7),
      has("-", at: 7), let day = number(8..<10), has("T", at: 10) || has("t", at: 10),
      let hour = number(11..<13), has(":", at: 13), let minute = number(14..<16),
      has(":", at: 16), let second = number(17..<19), (1...12).contains(month), day >= 1,
      Int64(day) <= Timestamp.days(inMonth: Int64(month), year: Int64(year)), hour <= 23,
      minute <= 59, second <= 60
    else { return false }
    var place = 19
    if bytes[place] == UInt8(ascii: ".") {
      let start = place + 1
      place = start
      while place < bytes.count, isDigit(bytes[place]) { place += 1 }
      guard place > start, place < bytes.count else { return false }
    }
    var offset = 0
    if has("Z", at: place) || has("z", at: place) {
      guard place + 1 == bytes.count else { return false }
    } else {
      guard bytes[place] == UInt8(ascii: "+") || bytes[place] == UInt8(ascii: "-"),
        place + 6 == bytes.count, has(":", at: place + 3),
        let hours = number(place + 1..<place + 3), hours <= 23,
        let minutes = number(place + 4..<place + 6), minutes <= 59
      else { return false }
      offset = (hours * 60 + minutes) * (bytes[place] == UInt8(ascii: "-") ? -1 : 1)
    }
    // A leap second is the last one of a day of UTC.
    let utc = (hour * 60 + minute - offset + 2880) % 1440
    return second < 60 || utc == 1439
  }

  private static func isEmail(_ bytes: [UInt8]) -> Bool {
    guard let at = bytes.lastIndex(of: UInt8(ascii: "@")), at > 0, bytes.count <= 254 else {
      return false
    }
    let others = Array("!#$%&'*+-/=?^_`{|}~.".utf8)
    let local = bytes[..<at]
    guard local.count <= 64, local.first != UInt8(ascii: "."), local.last != UInt8(ascii: "."),
      local.allSatisfy({ isLetter($0) || isDigit($0) || others.contains($0) }),
      !zip(local, local.dropFirst()).contains(where: { $0 == 0x2e && $1 == 0x2e })
    else { return false }
    let labels = bytes[(at + 1)...].split(
      separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return labels.allSatisfy { label in
      !label.isEmpty && label.count <= 63 && label.first != UInt8(ascii: "-")
        && label.last != UInt8(ascii: "-")
        && label.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }
  }

  private static func isURI(_ bytes: [UInt8]) -> Bool {
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon > 0, isLetter(bytes[0]),
      bytes[..<colon].allSatisfy({ isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) })
    else { return false }
    let allowed = Set("-._~:/?#[]@!$&'()*+,;=".utf8)
    var place = colon + 1
    while place < bytes.count {
      let byte = bytes[place]
      if byte == UInt8(ascii: "%") {
        let digits = bytes.dropFirst(place + 1).prefix(2)
        guard digits.count == 2, digits.allSatisfy({ isDigit($0) || ($0 | 0x20) &- 0x61 <= 5 })
        else { return false }
        place += 3
      } else {
        guard isLetter(byte) || isDigit(byte) || allowed.contains(byte) else { return false }
        place += 1
      }
    }
    return true
  }

  private static func isUUID(_ bytes: [UInt8]) -> Bool {
    bytes.count == 36
      && zip(0..., bytes).allSatisfy { place, byte in
        [8, 13, 18, 23].contains(place)
          ? byte == UInt8(ascii: "-") : isDigit(byte) || (byte | 0x20) &- 0x61 <= 5
      }
  }
}
