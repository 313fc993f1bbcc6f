@testable import Cryptography
import Testing

/// Bytes of hexadecimal digits.
private func bytes(_ hexadecimal: String) -> [UInt8] {
  var digits = hexadecimal[...]
  var result: [UInt8] = []
  while let byte = UInt8(digits.prefix(2), radix: 16) {
    result.append(byte)
    digits = digits.dropFirst(2)
  }
  return result
}

private func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite("Cryptography")
struct CryptographyTests {
  @Test(
    "SHA-256 gives the digests of RFC 6234",
    arguments: [
      ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ])
  func digests(_ text: String, _ times: Int, _ digest: String) {
    #expect(SHA256.hash(ascii(String(repeating: text, count: times))) == bytes(digest))
    var inParts = SHA256()
    for _ in 0..<times { inParts.update(ascii(text)) }
    #expect(inParts.finish() == bytes(digest))
  }

  @Test(
    "HMAC gives the codes of RFC 4231",
    arguments: [
      (
        [UInt8](repeating: 0x0b, count: 20), ascii("Hi There"),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
      ),
      (
        ascii("Jefe"), ascii("what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
      ),
      (
        [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
      ),
      (
        Array(1...25), [UInt8](repeating: 0xcd, count: 50),
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
      ),
      (
        [UInt8](repeating: 0xaa, count: 131),
        ascii("Test Using Larger Than Block-Size Key - Hash Key First"),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
      ),
    ] as [([UInt8], [UInt8], String)])
  func codes(_ key: [UInt8], _ text: [UInt8], _ code: String) throws {
    let hmac = try HMACSHA256(key: key)
    #expect(hmac.code(of: text) == bytes(code))
    #expect(hmac.code(of: text) == bytes(code), "and so does the second time")
    let inParts = text.withUnsafeBytes {
      hmac.code(
        of: UnsafeRawBufferPointer(rebasing: $0[..<5]),
        UnsafeRawBufferPointer(rebasing: $0[5...]))
    }
    #expect(inParts == bytes(code))
  }

  @Test("An empty text has a code; an empty key is no secret")
  func empty() throws {
    #expect(
      try HMACSHA256(key: ascii("Jefe")).code(of: [])
        == bytes("923598ca6d64af2a5dba79dcd021a8a0fe5c5f557519adaaf0ad532d4506dd30"))
    #expect(throws: CryptographyError.wrongKeyLength(bytes: 0, expected: 32)) {
      _ = try HMACSHA256(key: [])
    }
  }

  @Test("One key makes the same codes on many threads at once")
  func threads() async throws {
    let hmac = try HMACSHA256(key: ascii("Jefe"))
    let codes = await withTaskGroup(of: [UInt8].self) { group in
      for _ in 0..<200 {
        group.addTask { hmac.code(of: ascii("what do ya want for nothing?")) }
      }
      return await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
    }
    #expect(
      codes == [bytes("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")])
  }

  @Test("Codes are equal where all of their bytes are")
  func equality() {
    #expect(HMACSHA256.equal([], []))
    #expect(HMACSHA256.equal([1, 2, 3], [1, 2, 3]))
    #expect(!HMACSHA256.equal([1, 2, 3], [1, 2, 4]))
    #expect(!HMACSHA256.equal([1, 2, 3], [1, 2]))
    #expect(!HMACSHA256.equal([], [0]))
  }

  @Test(
    "AES-256-GCM gives the sealed texts of its specification's test cases 13, 14 and 16",
    arguments: [
      (
        String(repeating: "00", count: 32), String(repeating: "00", count: 12), "", "",
        "530f8afbc74536b9a963b4f1c4cb738b"
      ),
      (
        String(repeating: "00", count: 32), String(repeating: "00", count: 12), "",
        String(repeating: "00", count: 16),
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
      ),
      (
        "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
        "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
          + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
          + "76fc6ece0f4e1768cddf8853bb2d551b"
      ),
    ])
  func sealed(
    _ key: String, _ nonce: String, _ authenticated: String, _ text: String, _ result: String
  ) throws {
    let cipher = try AES256GCM(key: bytes(key))
    let sealed = try cipher.seal(
      bytes(text), nonce: bytes(nonce), authenticating: bytes(authenticated))
    #expect(sealed == bytes(nonce) + bytes(result))
    #expect(try cipher.open(sealed, authenticating: bytes(authenticated)) == bytes(text))
  }

  @Test("What is sealed twice differs and opens to the same")
  func randomNonces() throws {
    let cipher = try AES256GCM(key: SecureRandom.bytes(32))
    let text = ascii("ann@example.org")
    let first = try cipher.seal(text)
    let second = try cipher.seal(text)
    #expect(first != second)
    #expect(first.count == text.count + AES256GCM.overheadByteCount)
    #expect(try cipher.open(first) == text)
    #expect(try cipher.open(second) == text)
  }

  @Test("A changed byte, another purpose and another key are noticed")
  func forgeries() throws {
    let cipher = try AES256GCM(key: SecureRandom.bytes(32))
    let sealed = try cipher.seal(ascii("text"), authenticating: ascii("person 1"))
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 0x10
      #expect(throws: CryptographyError.notAuthentic) {
        try cipher.open(changed, authenticating: ascii("person 1"))
      }
    }
    #expect(throws: CryptographyError.notAuthentic) {
      try cipher.open(sealed, authenticating: ascii("person 2"))
    }
    #expect(throws: CryptographyError.notAuthentic) { try cipher.open(sealed) }
    #expect(throws: CryptographyError.notAuthentic) {
      try AES256GCM(key: SecureRandom.bytes(32)).open(sealed, authenticating: ascii("person 1"))
    }
    #expect(try cipher.open(sealed, authenticating: ascii("person 1")) == ascii("text"))
  }

  @Test("Wrong lengths are refused with the right ones")
  func lengths() throws {
    #expect(throws: CryptographyError.wrongKeyLength(bytes: 16, expected: 32)) {
      _ = try AES256GCM(key: [UInt8](repeating: 0, count: 16))
    }
    let cipher = try AES256GCM(key: [UInt8](repeating: 0, count: 32))
    #expect(throws: CryptographyError.tooShort(bytes: 27, atLeast: 28)) {
      try cipher.open([UInt8](repeating: 0, count: 27))
    }
    #expect(throws: CryptographyError.wrongNonceLength(bytes: 8, expected: 12)) {
      try cipher.seal([], nonce: [UInt8](repeating: 0, count: 8), authenticating: [])
    }
    #expect("\(CryptographyError.tooShort(bytes: 27, atLeast: 28))".contains("28"))
  }

  @Test("Random bytes are as many as asked for and differ")
  func random() throws {
    #expect(try SecureRandom.bytes(0).isEmpty)
    let drawn = try (0..<100).map { _ in try SecureRandom.bytes(16) }
    #expect(Set(drawn).count == 100)
    #expect(drawn.allSatisfy { $0.count == 16 })
  }
}
