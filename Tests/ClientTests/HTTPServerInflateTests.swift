import CZlib
import HTTPServer
import Testing

@Suite("HTTP server: compressed bodies")
struct HTTPServerInflateTests {
  private static func deflated(_ bytes: [UInt8], windowBits: Int32 = 15 + 16) -> [UInt8] {
    var stream = z_stream()
    var input = bytes
    var output = [UInt8](repeating: 0, count: bytes.count + bytes.count / 100 + 1024)
    let size = output.count
    deflateInit2_(
      &stream, 9, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output in
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(bytes.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(size)
        _ = deflate(&stream, Z_FINISH)
      }
    }
    output.removeLast(Int(stream.avail_out))
    deflateEnd(&stream)
    return output
  }

  private func inflated(
    _ bytes: [UInt8], maxBytes: Int = 1_000_000, maxRatio: Int = 200
  ) throws -> [UInt8] {
    try bytes.withUnsafeBytes { try inflate($0, maxBytes: maxBytes, maxRatio: maxRatio) }
  }

  /// Text that compresses little, the same each time.
  private static let text: [UInt8] = {
    var state: UInt64 = 1
    return (0..<200_000).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 60) + UInt8(ascii: "a")
    }
  }()

  @Test("gzip, zlib and several gzip members are inflated")
  func roundTrip() throws {
    #expect(try inflated(Self.deflated(Self.text)) == Self.text)
    #expect(try inflated(Self.deflated(Self.text, windowBits: 15)) == Self.text)
    let two = Self.deflated(Array("ab".utf8)) + Self.deflated(Array("cd".utf8))
    #expect(try inflated(two) == Array("abcd".utf8))
    #expect(try inflated(Self.deflated([])) == [])
  }

  @Test("The size limit is exact")
  func sizeLimit() throws {
    let bytes = Self.deflated(Self.text)
    #expect(try inflated(bytes, maxBytes: Self.text.count).count == Self.text.count)
    #expect(throws: InflateError.tooLarge(maxBytes: Self.text.count - 1)) {
      try inflated(bytes, maxBytes: Self.text.count - 1)
    }
  }

  @Test("A bomb is refused by its ratio, and by its size where the ratio allows it")
  func bomb() throws {
    let bomb = Self.deflated([UInt8](repeating: 0, count: 10_000_000))
    #expect(bomb.count < 20_000)
    #expect(throws: InflateError.ratioTooHigh(maxRatio: 20)) {
      try inflated(bomb, maxBytes: 100_000_000, maxRatio: 20)
    }
    #expect(throws: InflateError.tooLarge(maxBytes: 512_000)) {
      try inflated(bomb, maxBytes: 512_000)
    }
  }

  @Test("A cut or changed body is malformed at every length, never accepted")
  func truncated() {
    let bytes = Self.deflated(Array("hello, hello, hello".utf8))
    for length in 0..<bytes.count {
      #expect(throws: InflateError.malformed, "\(length)") {
        try inflated(Array(bytes.prefix(length)))
      }
    }
    #expect(throws: InflateError.malformed) { try inflated(bytes + [1, 2, 3]) }
    #expect(throws: InflateError.malformed) { try inflated(Array("{}".utf8)) }
    var changed = bytes
    changed[bytes.count - 6] ^= 1  // In the checksum.
    #expect(throws: InflateError.malformed) { try inflated(changed) }
  }
}
