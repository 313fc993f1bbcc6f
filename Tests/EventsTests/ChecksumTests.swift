@testable import Events
import Testing

@Suite("Checksums and hashes")
struct ChecksumTests {
  /// RFC 3720 appendix B.4 and the check value of the CRC catalogue.
  @Test(
    "CRC-32C gives the published values",
    arguments: [
      (Array("123456789".utf8), 0xe306_9283),
      ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
      ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
      (Array(0..<32), 0x46dd_794e),
      (Array((0..<32).reversed()), 0x113f_db5c),
      ([], 0),
    ] as [([UInt8], UInt32)])
  func crc(bytes: [UInt8], expected: UInt32) {
    #expect(bytes.withUnsafeBytes { CRC32C.checksum($0) } == expected)
  }

  @Test("the CRC of two parts, one continued from the other, is that of the whole")
  func crcSeed() {
    let bytes = (0..<100).map { UInt8($0 &* 37 & 0xff) }
    let whole = bytes.withUnsafeBytes { CRC32C.checksum($0) }
    for cut in 0...bytes.count {
      let first = bytes[..<cut].withUnsafeBytes { CRC32C.checksum($0) }
      let both = bytes[cut...].withUnsafeBytes { CRC32C.checksum($0, seed: first) }
      #expect(both == whole)
    }
  }

  @Test("the processor's instruction and the tables give the same for every length and alignment")
  func crcHardware() {
    var state: UInt64 = 1
    let bytes = (0..<9000).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(state >> 56)
    }
    bytes.withUnsafeBytes { all in
      for length in Array(0...1200) + [3071, 3072, 3073, 3456, 6143, 6144, 6151, 8990] {
        for start in [0, 1, 7] {
          let part = UnsafeRawBufferPointer(rebasing: all[start..<start + length])
          let seed = UInt32(truncatingIfNeeded: length &* 0x9e37_79b9)
          #expect(
            CRC32C.checksum(part, seed: seed) == CRC32C.checksumByTables(part, seed: seed),
            "\(length) bytes from \(start)")
        }
      }
    }
  }

  /// The reference's `vectors.h` (SipHash-2-4-128): key 00 01 … 0f, message 00 01 … of n bytes.
  @Test(
    "SipHash-2-4-128 gives the published values",
    arguments: [
      (0, "a3817f04ba25a8e66df67214c7550293"),
      (1, "da87c1d86b99af44347659119b22fc45"),
      (2, "8177228da4a45dc7fca38bdef60affe4"),
      (3, "9c70b60c5267a94e5f33b6b02985ed51"),
      (4, "f88164c12d9c8faf7d0f6e7c7bcd5579"),
      (5, "1368875980776f8854527a07690e9627"),
      (6, "14eeca338b208613485ea0308fd7a15e"),
      (7, "a1f1ebbed8dbc153c0b84aa61ff08239"),
      (8, "3b62a9ba6258f5610f83e264f31497b4"),
      (9, "264499060ad9baabc47f8b02bb6d71ed"),
      (10, "00110dc378146956c95447d3f3d0fbba"),
      (11, "0151c568386b6677a2b4dc6f81e5dc18"),
      (12, "d626b266905ef35882634df68532c125"),
      (13, "9869e247e9c08b10d029934fc4b952f7"),
      (14, "31fcefac66d7de9c7ec7485fe4494902"),
      (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
      (16, "6ee2a4ca67b054bbfd3315bf85230577"),
      (17, "473d06e8738db89854c066c47ae47740"),
      (31, "2939b0183223fafc1723de4f52c43d35"),
      (32, "7c3956ca5eeafc3e363e9d556546eb68"),
      (63, "5150d1772f50834a503e069a973fbd7c"),
    ])
  func sipHash(count: Int, expected: String) {
    let message = (0..<count).map { UInt8($0) }
    for cut in 0...count {
      var hash = SipHash128(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908)
      message[..<cut].withUnsafeBytes { hash.update($0) }
      message[cut...].withUnsafeBytes { hash.update($0) }
      let key = hash.finalize()
      let bytes = [key.low, key.high].flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
      }
      #expect(Hex.text(bytes) == expected)
    }
  }

  @Test("fields that are cut differently have different hashes")
  func fields() {
    #expect(
      EventIdentity.dedupeKey(site: "ab", source: "c", eventID: "d")
        != EventIdentity.dedupeKey(site: "a", source: "bc", eventID: "d"))
  }

  /// Every collector and processor must derive the same identities for ever: these values may
  /// never change. Another derivation is another schema version of the frame.
  @Test("identities are what they always were")
  func identities() {
    #expect(
      EventIdentity.dedupeKey(site: "default", source: "segment", eventID: "m-1").description
        == "9f3c745507bdabb507c665b28120649e")
    #expect(
      EventIdentity.personKey(site: "default", id: "a-1").description
        == "f812807d9a8b8d69f37cc762be040480")
    let tuple = DimensionTuple(site: "default", campaign: "c").encoded
    #expect(
      tuple.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) } == 8_046_217_743_328_104_883)
  }
}
