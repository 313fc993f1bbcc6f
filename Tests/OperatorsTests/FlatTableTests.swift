import Events
import Oracles
import Testing

@testable import Operators

@Suite struct FlatTableTests {
  @Test("A flat table agrees with a dictionary over random operations")
  func oracle() {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var table = FlatTable<Int64>()
      var oracle: [UInt64: Int64] = [:]
      let keys = 1 + random.below(3000)
      for _ in 0..<4000 {
        // Small keys, keys that differ only in their upper bits, and zero.
        let number = UInt64(random.below(keys))
        let key = random.once(in: 2) ? number : number << 37
        if random.once(in: 1500) {
          table.removeAll()
          oracle.removeAll()
        }
        var index = table.find(key)
        #expect((index >= 0) == (oracle[key] != nil), "seed \(seed)")
        if index < 0 { index = table.insert(key, 0) }
        table.entries[index].value += 1
        oracle[key, default: 0] += 1
      }
      #expect(table.count == oracle.count, "seed \(seed)")
      for index in 0..<table.count {
        #expect(oracle[table.entries[index].key] == table.entries[index].value, "seed \(seed)")
      }
    }
  }

  @Test("A table that has been large is empty after little was in it, and holds what comes then")
  func emptied() {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var table = FlatTable<Int>()
      for key in 0..<(1000 + random.below(3000)) { _ = table.insert(UInt64(key), key) }
      table.removeAll()
      // Neighbours, whose places run into each other, and others.
      let keys = (0..<300).map { UInt64($0) * (random.once(in: 2) ? 1 : 1 << 40) }
      for _ in 0..<200 {
        var held: Set<UInt64> = []
        for _ in 0..<random.below(60) {
          let key = random.pick(keys)
          let isNew = held.insert(key).inserted
          #expect((table.find(key) < 0) == isNew, "seed \(seed)")
          if isNew { _ = table.insert(key, 1) }
        }
        #expect(table.count == held.count && held.allSatisfy { table.find($0) >= 0 })
        table.removeAll()
        #expect(keys.allSatisfy { table.find($0) < 0 }, "seed \(seed)")
      }
    }
  }

  @Test("Entries keep the order of their insertion through growth")
  func order() {
    var table = FlatTable<Int>()
    for index in 0..<1000 { #expect(table.insert(UInt64(index * 977), index) == index) }
    for index in 0..<1000 { #expect(table.find(UInt64(index * 977)) == index) }
  }
}

@Suite struct TupleTableTests {
  @Test("Tuples of a frame get the slots that they get one by one, in tables small and large")
  func groups() {
    for seed in 1...4 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var grouped = TupleTable()
      var single = TupleTable()
      var held: [Int] = []
      for _ in 0..<120 {
        let frame = (0..<random.below(300)).map { _ in
          DimensionTuple(site: "s", campaign: "c", content: "\(random.below(20_000))").encoded
        }
        let texts = frame.map { tuple in
          let text = UnsafeMutableRawBufferPointer.allocate(byteCount: tuple.count, alignment: 1)
          text.copyBytes(from: tuple)
          return UnsafeRawBufferPointer(text)
        }
        var slots: [Int] = []
        for index in texts.indices {
          let slot = grouped.intern(index, of: texts.count) { texts[$0] }
          slots.append(slot)
          grouped.retainLive(slot)
        }
        for text in texts { text.deallocate() }
        for (tuple, slot) in zip(frame, slots) {
          #expect(tuple.withUnsafeBytes { single.intern($0) } == slot, "seed \(seed)")
          single.retainLive(slot)
          #expect(Array(grouped.bytes(slot)) == tuple, "seed \(seed)")
        }
        held += slots
        for slot in held.prefix(random.below(20)) {
          grouped.prefetchSlot(slot)
          grouped.prefetchRelease(slot)
          grouped.releaseLive(slot)
          single.releaseLive(slot)
          held.removeFirst()
        }
      }
      #expect(grouped.count == single.count, "seed \(seed)")
    }
  }

  @Test("Tuples keep their slots while they are referred to, and free ones are used again")
  func oracle() {
    for seed in 1...20 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var table = TupleTable()
      var slots: [[UInt8]: Int] = [:]
      var refs: [[UInt8]: Int] = [:]
      for _ in 0..<3000 {
        let tuple = DimensionTuple(
          site: "s", campaign: String(repeating: "x", count: random.below(9)),
          content: "\(random.below(200))"
        ).encoded
        let slot = tuple.withUnsafeBytes { table.intern($0) }
        if let known = slots[tuple] { #expect(slot == known, "seed \(seed)") }
        #expect(Array(table.bytes(slot)) == tuple, "seed \(seed)")
        let count = refs[tuple, default: 0]
        if count > 0 && random.once(in: 2) {
          table.releaseLive(slot)
          refs[tuple] = count - 1
        } else if random.once(in: 2) {
          table.retainLive(slot)
          refs[tuple] = count + 1
        }
        table.releaseUnused()
        slots[tuple] = refs[tuple, default: 0] > 0 ? slot : nil
        #expect(table.liveCount == slots.count, "seed \(seed)")
        #expect(table.count == slots.count, "seed \(seed)")
      }
    }
  }

  @Test("Bytes that are not a tuple are counted under a tuple of no site")
  func malformed() {
    var table = TupleTable()
    for bytes in [[], [1], [0, 0, 1], Array(repeating: 0xff, count: 40), [0, 0, 0, 0] as [UInt8]] {
      let slot = bytes.withUnsafeBytes { table.intern($0) }
      let tuple = DimensionTuple(encoded: table.bytes(slot))
      #expect(tuple == DimensionTuple(site: "", campaign: "(malformed)"))
    }
    #expect(table.count == 1)
  }

  @Test("Hash and comparison take every byte in, at every length")
  func bytes() {
    for count in 0..<70 {
      let a = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      for index in 0..<count {
        var b = a
        b[index] ^= 1
        a.withUnsafeBytes { a in
          b.withUnsafeBytes { b in
            #expect(TupleHash.hash(a) != TupleHash.hash(b))
            #expect(!TupleHash.equal(a, b))
            #expect(TupleHash.equal(a, a))
          }
        }
      }
    }
  }
}

@Suite struct DedupeTableTests {
  @Test("A table of ids agrees with a dictionary through growth, expiry and restoring")
  func oracle() {
    for seed in 1...10 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var table = DedupeTable()
      var oracle: [Key128: (stamp: UInt32, mark: UInt32)] = [:]
      var keys: [Key128] = []
      var now: UInt32 = 1000
      let horizon: UInt32 = 50
      for _ in 0..<3000 {
        if random.once(in: 40) { now += UInt32(random.below(6)) }
        let oldest = now - horizon
        // Many keys share a home, so that buckets spill, also over the end of the table.
        let high = random.once(in: 3) ? UInt64.max - UInt64(random.below(3)) : random.next() >> 3
        let key = Key128(low: UInt64(random.below(300)) + 1, high: high)
        let known = random.once(in: 3) && !keys.isEmpty ? random.pick(keys) : key
        let mark = UInt32(random.below(1024))
        let remembered = oracle[known].flatMap { $0.stamp < oldest ? nil : $0.mark }
        let found = table.insert(known, mark: mark, stamp: now, oldest: oldest)
        #expect(found == remembered, "seed \(seed)")
        if oracle[known] == nil { keys.append(known) }
        if remembered == nil { oracle[known] = (now, mark) }
        if random.once(in: 700) { table.rebuild(oldest: oldest) }
        if random.once(in: 900) { table.fill(table.sorted(oldest: oldest)) }
      }
      let live = oracle.filter { $0.value.stamp >= now - horizon }
      let sorted = table.sorted(oldest: now - horizon)
      #expect(sorted.count == live.count, "seed \(seed)")
      #expect(
        sorted.allSatisfy { live[$0.key]?.stamp == $0.stamp && live[$0.key]?.mark == $0.mark },
        "seed \(seed)")
      #expect(zip(sorted, sorted.dropFirst()).allSatisfy { $0.key < $1.key }, "seed \(seed)")
    }
  }

  @Test("A bucket of ids is one cache line")
  func layout() {
    #expect(MemoryLayout<DedupeTable.Bucket>.stride == 64)
  }
}
