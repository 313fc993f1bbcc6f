import Events
import HTTPServer

/// The cookie `sp`, by which Snowplow's collectors know a browser again: a random UUID, the network user id.
enum SnowplowCookie {
  /// Of those who ask not to be known.
  static let none = "00000000-0000-0000-0000-000000000000"

  /// A year, as Snowplow's collectors have it.
  private static let secondsMax = 365 * 86_400

  /// - Parameter field: the value of a `Cookie` field (RFC 6265 section 4.2).
  /// - Returns: nil where it has no such cookie, or one that is no UUID.
  static func id(in field: String?) -> String? {
    guard let field else { return nil }
    for pair in field.split(separator: ";") {
      let pair = pair.drop { $0 == " " }
      if pair.hasPrefix("sp="), isUUID(pair.dropFirst(3)) { return pair.dropFirst(3).lowercased() }
    }
    return nil
  }

  /// A UUID of version 4 (RFC 9562 section 5.4).
  ///
  /// - Parameter unique: a text that was never used and that nobody can guess.
  static func newID(_ unique: String) -> String {
    var hash = SipHash128()
    hash.update(field: "snowplow network user id")
    hash.update(field: unique)
    var key = hash.finalize()
    key.high = key.high & ~0xf000 | 0x4000
    key.low = key.low & ~(0b11 << 62) | 0b10 << 62
    let digits = Array(key.description)
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }
      .joined(separator: "-")
  }

  /// The header line that sets it.
  ///
  /// - Parameter isSecure: whether the browser speaks TLS: only then may pages of other sites send it.
  static func line(_ id: String, isSecure: Bool) -> [UInt8] {
    let sites = isSecure ? "SameSite=None; Secure" : "SameSite=Lax"
    return HeaderText.line(
      "Set-Cookie", "sp=\(id); Path=/; Max-Age=\(secondsMax); \(sites); HttpOnly")
  }

  private static func isUUID(_ text: Substring) -> Bool {
    let groups = text.split(separator: "-", omittingEmptySubsequences: false)
    return groups.map(\.utf8.count) == [8, 4, 4, 4, 12]
      && groups.allSatisfy { $0.utf8.allSatisfy(isHexadecimal) }
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    byte &- 0x30 <= 9 || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
  }
}
