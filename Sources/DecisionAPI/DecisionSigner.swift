public import Cryptography
public import Learning

/// Signs decision tokens, so that nobody else can say with what chance something was shown.
///
/// HMAC-SHA256 over `0x01 | the token's bytes`, cut to its first 80 bits (RFC 2104 section 5 advises half of the
/// hash, which would make every token 8 letters longer; who guesses one forges one impression). The first byte is
/// the version of this layout. About 2 µs for each token.
public struct DecisionSigner: Sendable {
  private static let version: [UInt8] = [1]

  private let code: HMACSHA256

  /// - Parameter secret: at least 32 bytes, the same in all processes of an installation.
  public init(secret: [UInt8]) throws(CryptographyError) {
    guard secret.count >= HMACSHA256.byteCount else {
      throw .wrongKeyLength(bytes: secret.count, expected: HMACSHA256.byteCount)
    }
    code = try HMACSHA256(key: secret)
  }

  public func text(of token: DecisionToken) -> String { token.text { mac($0) } }

  /// Whether the second bytes are the beginning of the MAC of the first ones.
  public func isAuthentic(_ bytes: [UInt8], _ mac: [UInt8]) -> Bool {
    HMACSHA256.equal(mac, Array(self.mac(bytes).prefix(DecisionToken.macByteCount)))
  }

  public func token(_ text: String) throws(DecisionTokenError) -> DecisionToken {
    try DecisionToken(text: Array(text.utf8)) { isAuthentic($0, $1) }
  }

  private func mac(_ bytes: [UInt8]) -> [UInt8] {
    Self.version.withUnsafeBytes { version in bytes.withUnsafeBytes { code.code(of: version, $0) } }
  }
}
