import COpenSSL

/// Why something could not be encrypted, decrypted or drawn. Descriptions hold no keys and no data.
public enum CryptographyError: Error, Hashable, Sendable {
  /// OpenSSL refused: no memory, or a build without the algorithm.
  case unavailable(operation: String, reason: String)
  case wrongKeyLength(bytes: Int, expected: Int)
  case wrongNonceLength(bytes: Int, expected: Int)
  /// Shorter than a nonce and a tag, so no sealed text.
  case tooShort(bytes: Int, atLeast: Int)
  /// Another key, other authenticated data, or changed since it was sealed; which of them cannot be
  /// told.
  case notAuthentic

  /// The oldest error that OpenSSL has noted on this thread; the others are dropped.
  static func openSSL(_ operation: String) -> CryptographyError {
    let code = ERR_get_error()
    ERR_clear_error()
    guard code != 0 else { return .unavailable(operation: operation, reason: "no reason given") }
    var text = [CChar](repeating: 0, count: 256)
    ERR_error_string_n(code, &text, text.count)
    let end = text.firstIndex(of: 0) ?? text.endIndex
    let bytes = text[..<end].map { UInt8(bitPattern: $0) }
    return .unavailable(operation: operation, reason: String(decoding: bytes, as: UTF8.self))
  }
}

extension CryptographyError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unavailable(let operation, let reason):
      "OpenSSL could not \(operation): \(reason); check that libcrypto 3 is installed whole"
    case .wrongKeyLength(let bytes, let expected):
      "a key of \(bytes) bytes was given; it has \(expected) bytes"
    case .wrongNonceLength(let bytes, let expected):
      "a nonce of \(bytes) bytes was given; it has \(expected) bytes"
    case .tooShort(let bytes, let atLeast):
      "\(bytes) bytes are no sealed text, which has at least \(atLeast) bytes"
    case .notAuthentic:
      "the text was sealed with another key or for another purpose, or was changed since"
    }
  }
}
