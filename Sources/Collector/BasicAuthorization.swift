import Events

/// The write key of an `Authorization: Basic base64(key:)` field (RFC 7617); the password, which
/// SDKs leave empty, is ignored.
enum BasicAuthorization {
  /// - Returns: nil where the field is absent, of another scheme, or malformed.
  static func writeKey(_ field: String?) -> String? {
    guard let field else { return nil }
    let scheme = field.utf8.prefix(6)
    guard scheme.count == 6, zip(scheme, "basic ".utf8).allSatisfy({ $0 | 0x20 == $1 | 0x20 })
    else {
      return nil
    }
    var credentials = Array(field.utf8.dropFirst(6))
    // Some clients leave the padding out.
    while credentials.count % 4 != 0 { credentials.append(UInt8(ascii: "=")) }
    guard let decoded = Base64.decode(credentials),
      let text = String(validating: decoded, as: UTF8.self)
    else { return nil }
    return String(Substring(text.utf8.prefix { $0 != UInt8(ascii: ":") }))
  }
}
