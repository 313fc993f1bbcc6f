import Oracles
import Testing

@testable import Operators

@Suite struct RowTableTests {
  @Test("A table of rows agrees with a dictionary through growth, and entries keep their indices")
  func oracle() {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var table = RowTable<Int64>()
      var oracle: [UInt64: (index: Int, value: Int64)] = [:]
      let keys = 1 + random.below(20_000)
      for _ in 0..<30_000 {
        // Dense keys, as slots are, keys that differ only in their upper bits, and zero.
        let number = UInt64(random.below(keys))
        let key = random.once(in: 2) ? number : number << 37
        var index = table.find(key)
        #expect(index == oracle[key]?.index ?? -1, "seed \(seed)")
        if index < 0 { index = table.insert(key, 0) }
        table.entry(index).pointee.value += 1
        oracle[key, default: (index, 0)].value += 1
      }
      #expect(table.count == oracle.count, "seed \(seed)")
      for index in 0..<table.count {
        let entry = table.entry(index).pointee
        #expect(oracle[entry.key]?.value == entry.value, "seed \(seed)")
      }
    }
  }

  @Test("Every size up to several divisions of all segments finds what it holds, and nothing else")
  func growth() {
    var table = RowTable<UInt64>()
    var largest = 0
    for key in 0..<100_000 as Range<UInt64> {
      let before = table.byteCount
      #expect(table.find(key) == -1)
      #expect(table.insert(key, key * 3) == Int(key))
      largest = max(largest, table.byteCount - before)
      // What was put in long ago and just now.
      for known in [0, key / 2, key] { #expect(table.find(known) == Int(known)) }
    }
    for key in 0..<100_000 as Range<UInt64> {
      #expect(table.entry(table.find(key)).pointee.value == key * 3)
    }
    // No insertion makes room for more than a chunk and a segment.
    #expect(largest <= 1024 * MemoryLayout<RowTable<UInt64>.Entry>.stride + 64 * 1024)
    // 16 bytes of entry and at most 18 beside it.
    #expect(table.byteCount <= 100_000 * 34)
  }
}
