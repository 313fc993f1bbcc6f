import COpenSSL

/// Authenticated encryption with AES-256 in Galois/Counter mode (NIST SP 800-38D).
///
/// A sealed text is `nonce (12 bytes) | cipher text (as long as the text) | tag (16 bytes)`. Nonces
/// are random, so one key may seal 2³² texts (section 8.3); a nonce that came twice would betray both.
/// About 1 µs and 0.5 ns per byte. May be shared by threads.
public final class AES256GCM: Sendable {
  public static let keyByteCount = 32
  static let nonceByteCount = 12
  static let tagByteCount = 16
  /// What a sealed text has beyond its text.
  public static let overheadByteCount = nonceByteCount + tagByteCount

  private let key: SecretBytes

  /// - Parameter key: ``keyByteCount`` bytes.
  public init(key: [UInt8]) throws(CryptographyError) {
    guard key.count == Self.keyByteCount else {
      throw .wrongKeyLength(bytes: key.count, expected: Self.keyByteCount)
    }
    self.key = SecretBytes(key)
  }

  /// - Parameter authenticated: what the text belongs to, such as a record's name. It is not part of
  ///   the sealed text and has to be given again to open it.
  public func seal(
    _ text: [UInt8], authenticating authenticated: [UInt8] = []
  ) throws(CryptographyError) -> [UInt8] {
    try seal(
      text, nonce: try SecureRandom.bytes(Self.nonceByteCount), authenticating: authenticated)
  }

  /// For test vectors: the same nonce twice under one key destroys its secrecy.
  func seal(
    _ text: [UInt8], nonce: [UInt8], authenticating authenticated: [UInt8]
  ) throws(CryptographyError) -> [UInt8] {
    guard nonce.count == Self.nonceByteCount else {
      throw .wrongNonceLength(bytes: nonce.count, expected: Self.nonceByteCount)
    }
    var cipher = try CipherContext.prepared(key, nonce: nonce, .encrypt)
    try cipher.authenticate(authenticated)
    var sealed = nonce
    sealed.reserveCapacity(text.count + Self.overheadByteCount)
    sealed += try cipher.update(text)
    sealed += try cipher.tag()
    return sealed
  }

  /// - Throws: ``CryptographyError/notAuthentic`` where the text cannot be trusted.
  public func open(
    _ sealed: [UInt8], authenticating authenticated: [UInt8] = []
  ) throws(CryptographyError) -> [UInt8] {
    guard sealed.count >= Self.overheadByteCount else {
      throw .tooShort(bytes: sealed.count, atLeast: Self.overheadByteCount)
    }
    let text = Self.nonceByteCount..<sealed.count - Self.tagByteCount
    var cipher = try CipherContext.prepared(key, nonce: Array(sealed[..<text.lowerBound]), .decrypt)
    try cipher.authenticate(authenticated)
    let opened = try cipher.update(Array(sealed[text]))
    guard try cipher.verifies(tag: Array(sealed[text.upperBound...])) else { throw .notAuthentic }
    return opened
  }
}

/// OpenSSL's context of one text that is encrypted or decrypted.
private struct CipherContext: ~Copyable {
  enum Direction: Int32 {
    case decrypt = 0
    case encrypt = 1
  }

  private let context: OpaquePointer

  private init(owning context: OpaquePointer) { self.context = context }

  static func prepared(
    _ key: borrowing SecretBytes, nonce: [UInt8], _ direction: Direction
  ) throws(CryptographyError) -> CipherContext {
    guard let pointer = EVP_CIPHER_CTX_new() else { throw .openSSL("prepare AES-256-GCM") }
    let context = CipherContext(owning: pointer)
    let isPrepared = key.withBytes { key in
      // GCM's own length of a nonce is 12 bytes.
      EVP_CipherInit_ex(pointer, EVP_aes_256_gcm(), nil, key, nonce, direction.rawValue) == 1
    }
    guard isPrepared else { throw .openSSL("prepare AES-256-GCM") }
    return context
  }

  deinit { EVP_CIPHER_CTX_free(context) }

  mutating func authenticate(_ bytes: [UInt8]) throws(CryptographyError) {
    guard !bytes.isEmpty else { return }
    var written: Int32 = 0
    guard EVP_CipherUpdate(context, nil, &written, bytes, try Self.length(bytes)) == 1 else {
      throw .openSSL("authenticate")
    }
  }

  /// The whole text at once: counter mode leaves nothing for the end.
  mutating func update(_ bytes: [UInt8]) throws(CryptographyError) -> [UInt8] {
    guard !bytes.isEmpty else { return [] }
    let length = try Self.length(bytes)
    var output = [UInt8](repeating: 0, count: bytes.count)
    var written: Int32 = 0
    guard EVP_CipherUpdate(context, &output, &written, bytes, length) == 1, written == length else {
      throw .openSSL("encrypt or decrypt")
    }
    return output
  }

  mutating func tag() throws(CryptographyError) -> [UInt8] {
    var tag = [UInt8](repeating: 0, count: AES256GCM.tagByteCount)
    var written: Int32 = 0
    // The end writes nothing in this mode, but wants a place to.
    guard EVP_CipherFinal_ex(context, &tag, &written) == 1,
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), &tag) == 1
    else { throw .openSSL("make the tag") }
    return tag
  }

  mutating func verifies(tag: [UInt8]) throws(CryptographyError) -> Bool {
    var tag = tag
    guard EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1 else {
      throw .openSSL("set the tag")
    }
    var written: Int32 = 0
    var end = [UInt8](repeating: 0, count: AES256GCM.tagByteCount)
    return EVP_CipherFinal_ex(context, &end, &written) == 1
  }

  /// OpenSSL counts in 32 bits here; an event is far from that.
  private static func length(_ bytes: [UInt8]) throws(CryptographyError) -> Int32 {
    guard let length = Int32(exactly: bytes.count) else {
      throw .unavailable(
        operation: "encrypt or decrypt", reason: "a text may have at most 2147483647 bytes")
    }
    return length
  }
}

/// A key in memory, overwritten when it is let go.
private struct SecretBytes: ~Copyable, @unchecked Sendable {
  // Written before anybody else has it, and read only from then on.
  private let buffer: UnsafeMutableRawBufferPointer

  init(_ bytes: [UInt8]) {
    buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    buffer.copyBytes(from: bytes)
  }

  deinit {
    OPENSSL_cleanse(buffer.baseAddress, buffer.count)
    buffer.deallocate()
  }

  borrowing func withBytes<R>(_ body: (UnsafePointer<UInt8>?) -> R) -> R {
    body(buffer.baseAddress.map { UnsafePointer($0.assumingMemoryBound(to: UInt8.self)) })
  }
}
