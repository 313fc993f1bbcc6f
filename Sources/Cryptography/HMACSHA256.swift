import COpenSSL

/// HMAC with SHA-256 (RFC 2104, FIPS 198-1): a code that only holders of the key can make.
///
/// Holds the key in a prepared context, which codes start as copies of: an object may be shared by
/// threads. About 1 µs for a short text.
public final class HMACSHA256: Sendable {
  public static let byteCount = 32

  private let prepared: MACContext

  /// - Parameter key: of any length but none; 32 random bytes are what the algorithm can use.
  public init(key: [UInt8]) throws(CryptographyError) {
    guard !key.isEmpty else { throw .wrongKeyLength(bytes: 0, expected: Self.byteCount) }
    prepared = try MACContext.prepared(key: key)
  }

  /// The code of the parts one after the other. Where a part's end matters, its length belongs into
  /// the parts.
  ///
  /// - Returns: ``byteCount`` bytes.
  public func code(of parts: UnsafeRawBufferPointer...) -> [UInt8] {
    var context = MACContext(copyOf: prepared)
    for part in parts { context.update(part) }
    return context.finish()
  }

  /// See ``code(of:)-(UnsafeRawBufferPointer...)``.
  public func code(of bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { code(of: $0) } }

  /// Whether two secrets or codes are the same. Takes the same time wherever they differ, so that
  /// nobody can find one byte by byte.
  public static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    a.count == b.count
      && a.withUnsafeBytes { a in
        b.withUnsafeBytes { b in CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0 }
      }
  }
}

/// OpenSSL's context of one message authentication code.
private struct MACContext: ~Copyable, @unchecked Sendable {
  // The pointer is this value's alone; copies are made from one that nobody changes any more.
  private let context: OpaquePointer

  private init(owning context: OpaquePointer) { self.context = context }

  init(copyOf other: borrowing MACContext) {
    guard let context = EVP_MAC_CTX_dup(other.context) else {
      preconditionFailure("no memory for a message authentication code")
    }
    self.context = context
  }

  static func prepared(key: [UInt8]) throws(CryptographyError) -> MACContext {
    guard let algorithm = EVP_MAC_fetch(nil, "HMAC", nil) else { throw .openSSL("find HMAC") }
    // The context keeps a reference of its own.
    defer { EVP_MAC_free(algorithm) }
    guard let pointer = EVP_MAC_CTX_new(algorithm) else { throw .openSSL("prepare HMAC") }
    let context = MACContext(owning: pointer)
    let isPrepared = "SHA256".withMutableCString { digest in
      let parameters = [
        OSSL_PARAM_construct_utf8_string("digest", digest, 0), OSSL_PARAM_construct_end(),
      ]
      return EVP_MAC_init(pointer, key, key.count, parameters) == 1
    }
    guard isPrepared else { throw .openSSL("prepare HMAC") }
    return context
  }

  deinit { EVP_MAC_CTX_free(context) }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    precondition(
      EVP_MAC_update(context, start.assumingMemoryBound(to: UInt8.self), bytes.count) == 1)
  }

  consuming func finish() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: HMACSHA256.byteCount) { buffer, count in
      precondition(EVP_MAC_final(context, buffer.baseAddress, &count, buffer.count) == 1)
    }
  }
}

extension String {
  /// OpenSSL's parameters take texts that they do not change as if they might.
  fileprivate func withMutableCString<R>(_ body: (UnsafeMutablePointer<CChar>) -> R) -> R {
    var text = Array(utf8CString)
    return text.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { preconditionFailure("a C string has an end") }
      return body(start)
    }
  }
}
