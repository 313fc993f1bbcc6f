import COpenSSL

/// Random numbers that nobody can predict, for keys, secrets and nonces.
public enum SecureRandom {
  /// - Throws: ``CryptographyError/unavailable(operation:reason:)`` where the system gives no entropy.
  public static func bytes(_ count: Int) throws(CryptographyError) -> [UInt8] {
    guard let length = Int32(exactly: count), length >= 0 else {
      throw .unavailable(
        operation: "draw random bytes", reason: "it takes 0 to 2147483647 at a time")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    guard RAND_bytes(&bytes, length) == 1 else { throw .openSSL("draw random bytes") }
    return bytes
  }
}
