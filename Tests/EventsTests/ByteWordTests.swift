import Testing

@testable import Events

@Suite("Eight bytes in a register")
struct ByteWordTests {
  @Test("every byte is judged by itself, whatever stands beside it", arguments: UInt64(1)...10)
  func bytes(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    func naive(_ word: UInt64, _ holds: (UInt8) -> Bool) -> UInt64 {
      (0..<8).reduce(0) { answer, place in
        holds(UInt8(truncatingIfNeeded: word >> UInt64(8 * place)))
          ? answer | 0x80 << UInt64(8 * place) : answer
      }
    }
    let often: [UInt8] = [0, 1, 0x1f, 0x20, 0x22, 0x2f, 0x30, 0x39, 0x3a, 0x40, 0x46, 0x7f, 0x80]
    for _ in 0..<2000 {
      let word = (0..<8).reduce(UInt64(0)) { word, _ in
        let byte =
          Bool.random(using: &random)
          ? often[Int.random(in: 0..<often.count, using: &random)]
          : UInt8.random(in: 0...255, using: &random)
        return word << 8 | UInt64(byte)
      }
      let limit = UInt8.random(in: 1...0x80, using: &random)
      #expect(ByteWord.isBelow(word, limit) == naive(word) { $0 < limit })
      #expect(ByteWord.isEqual(word, limit) == naive(word) { $0 == limit })
      #expect(ByteWord.isDigit(word) == naive(word) { (0x30...0x39).contains($0) })
      #expect(
        ByteWord.isHexadecimal(word)
          == naive(word) {
            (0x30...0x39).contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0)
          })
      #expect(
        ByteWord.count(ByteWord.isBelow(word, limit)) == naive(word) { $0 < limit }.nonzeroBitCount)
    }
  }

  @Test("what follows an offset is read to the end and no further")
  func tails() {
    for count in 0...20 {
      let bytes = (0..<count).map { UInt8(0xa0 + $0) }
      bytes.withUnsafeBytes { buffer in
        for offset in 0..<count {
          let expected = bytes[offset...].prefix(8).reversed().reduce(UInt64(0)) {
            $0 << 8 | UInt64($1)
          }
          #expect(ByteWord.tail(buffer, from: offset) == expected, "\(count), \(offset)")
        }
      }
    }
  }
}
