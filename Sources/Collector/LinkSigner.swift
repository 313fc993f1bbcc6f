public import Cryptography
import Events

/// Signs where a click link leads, so that only links of this installation lead anywhere.
///
/// The signature is HMAC-SHA256 over `0x01 | length of the key in 4 bytes, the highest first | key |
/// destination` in UTF-8, cut to its first 128 bits (RFC 2104 section 5), in base 64 for URLs without
/// padding: 22 characters. The first byte is the version of this layout; the length keeps a key's end
/// apart from a destination's beginning.
///
/// It binds the destination to the write key and nothing else. Campaign, content, person and event id
/// may be filled in for each recipient afterwards: they are what anybody who knows the write key, which
/// is no secret, can send in other ways too.
public struct LinkSigner: Sendable {
  private static let version: UInt8 = 1
  private static let signatureByteCount = 16

  private let code: HMACSHA256

  /// - Parameter secret: at least ``SharedSecret/byteCount`` bytes.
  public init(secret: [UInt8]) throws(CryptographyError) {
    guard secret.count >= SharedSecret.byteCount else {
      throw .wrongKeyLength(bytes: secret.count, expected: SharedSecret.byteCount)
    }
    code = try HMACSHA256(key: secret)
  }

  /// - Parameters:
  ///   - destination: an address as it is to be visited, not percent-encoded once more.
  ///   - key: the write key that clicks are counted by.
  public func signature(destination: String, key: String) -> String {
    let name = Array(key.utf8)
    var message = [Self.version]
    withUnsafeBytes(of: UInt32(clamping: name.count).bigEndian) { message.append(contentsOf: $0) }
    message += name
    message += destination.utf8
    return Self.base64URL(code.code(of: message).prefix(Self.signatureByteCount))
  }

  /// Compares texts: a signature has one way of being written, and the comparison's time tells nothing.
  public func verifies(_ signature: String, destination: String, key: String) -> Bool {
    HMACSHA256.equal(
      Array(signature.utf8), Array(self.signature(destination: destination, key: key).utf8))
  }

  /// RFC 4648 section 5.
  private static func base64URL(_ bytes: some Collection<UInt8>) -> String {
    String(
      Base64.encode(bytes).compactMap { character -> Character? in
        switch character {
        case "+": "-"
        case "/": "_"
        case "=": nil
        default: character
        }
      })
  }
}
