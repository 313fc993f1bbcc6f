public import Cryptography
import Events

/// Pseudonyms of persons: keyed hashes, the same for the same id of a site, which only holders of the secret
/// can make and which lead nobody back (HMAC-SHA-256, its first 128 bits in base64url, 22 characters).
///
/// All collectors of a site have the same secret. With another one every person is a new one.
public final class Pseudonyms: Sendable {
  private static let byteCount = 16

  private let hash: HMACSHA256

  /// - Parameter secret: at least ``SharedSecret/byteCount`` bytes.
  public init(secret: [UInt8]) throws(CryptographyError) {
    guard secret.count >= SharedSecret.byteCount else {
      throw .wrongKeyLength(bytes: secret.count, expected: SharedSecret.byteCount)
    }
    hash = try HMACSHA256(key: secret)
  }

  /// About 1 µs.
  public func pseudonym(of id: String, site: String) -> String {
    var site = site
    var id = id
    let code = site.withUTF8 { site in
      id.withUTF8 { id in
        withUnsafeBytes(of: UInt64(site.count).littleEndian) { length in
          hash.code(of: length, UnsafeRawBufferPointer(site), UnsafeRawBufferPointer(id))
        }
      }
    }
    var text = Base64.encode(code[..<Self.byteCount])
    text.removeAll { $0 == "=" }
    return String(
      decoding: text.utf8.map { byte in
        switch byte {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        default: byte
        }
      }, as: UTF8.self)
  }
}
