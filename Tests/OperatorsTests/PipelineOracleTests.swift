import Dataflow
import Events
import Operators
import Oracles
import Testing
import Views

@Suite struct PipelineOracleTests {
  @Test(
    "Drained rows and corrections sum up to the naive recount, whatever is drained, lost or crashes"
  )
  func oracle() throws {
    var seen = Accounting()
    var overflowed: Int64 = 0
    var findings: Set<String> = []
    var expiredCount = 0
    for seed in 1...600 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed &* 7919)
      let history = History(seed: seed, frameCount: 10 + random.below(40))
      let loop = TestLoop(history, seed: seed)
      while loop.pipeline.position < UInt64(history.frames.count) {
        try step(loop, &random)
        for finding in loop.lastReport.findings {
          findings.insert(String("\(finding)".prefix { $0 != "(" }))
        }
      }
      loop.drainHot()
      loop.commit(includeCoarse: true)
      compare(loop, NaiveOracle(history))
      let straight = TestLoop(history, seed: seed)
      try straight.read()
      #expect((straight.state() == loop.state()) == true, "state, seed \(seed)")
      seen.late += loop.pipeline.accounting.late
      seen.tooLate += loop.pipeline.accounting.tooLate
      seen.duplicate += loop.pipeline.accounting.duplicate
      seen.rejected += loop.pipeline.accounting.rejected
      seen.clampedFuture += loop.pipeline.accounting.clampedFuture
      overflowed += loop.pipeline.overflowedCount
      if loop.pipeline.lastDeltaSequence > 0 { expiredCount += 1 }
    }
    // A history that never reaches a limit proves nothing about it.
    #expect(min(seen.late, seen.tooLate, seen.duplicate) > 1000 && seen.rejected > 100)
    #expect(seen.clampedFuture > 1000 && overflowed > 1000 && expiredCount > 300)
    #expect(
      findings.isSuperset(of: ["missing", "baseUnusable", "incrementUnusable", "ahead", "gap"]))
  }

  @Test(
    "A flood of copies, a hot key, idle keys and too many tuples count as a naive recount does",
    arguments: Shape.allCases)
  func shapes(shape: Shape) throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed &* 7919)
      let history = History(shape, seed: seed)
      let loop = TestLoop(history, seed: seed)
      var tupleCounts: [Int] = []
      while loop.pipeline.position < UInt64(history.frames.count) {
        try step(loop, &random)
        tupleCounts.append(loop.pipeline.tupleCount)
      }
      loop.drainHot()
      loop.commit(includeCoarse: true)
      compare(loop, NaiveOracle(history))
      try expectReached(shape, loop, tupleCounts)
    }
  }

  /// A log that is not what its shape says proves nothing.
  private func expectReached(_ shape: Shape, _ loop: TestLoop, _ tupleCounts: [Int]) throws {
    let events = loop.history.frames.flatMap(\.events)
    let accounting = loop.pipeline.accounting
    switch shape {
    case .mixed: break
    case .copies:
      let ids = Set(events.map(\.key)).count
      #expect(events.count == History.copyCount * ids && ids > 0)
      #expect(accounting.duplicate == Int64(events.count - ids))
    case .hotKey:
      let tuples = Dictionary(grouping: events, by: \.tuple).mapValues(\.count)
      let persons = Dictionary(grouping: events, by: \.person).mapValues(\.count)
      #expect(try #require(tuples.values.max()) > events.count * 9 / 10)
      #expect(try #require(persons.values.max()) > events.count * 9 / 10)
      #expect(events.count > 5000)
    case .idleKeys:
      #expect(tupleCounts.max() == 300 && loop.pipeline.tupleCount == 0)
      let days = Set(loop.views.rows.keys.filter { $0.level == .day }.map(\.start))
      #expect(days.count >= 4, "they come back on other days")
    case .bomb:
      #expect(Set(events.map(\.tuple)).count == 5 * History.bombTupleCountMax)
      // A site's other tuple is not counted against the limit.
      let most = try #require(tupleCounts.max())
      #expect((1000...1004).contains(most), "\(most)")
      #expect(loop.pipeline.overflowedCount > 3000)
    }
  }

  private func step(_ loop: TestLoop, _ random: inout SeededGenerator) throws {
    switch random.below(12) {
    case 0...4: try loop.read(1 + random.below(5))
    case 5, 6:
      if random.once(in: 4) { loop.rebuildHot() } else { loop.drainHot() }
      if random.once(in: 3) { compareHot(loop) }
    case 7, 8: loop.commit(includeCoarse: random.once(in: 2))
    case 9:
      // A snapshot may be ahead of the checkpoint; then it is not used.
      if !random.once(in: 3) { loop.commit(includeCoarse: random.once(in: 2)) }
      loop.save()
      if random.once(in: 3) { try loop.compact(1 + random.below(loop.chain.count + 1)) }
      if random.once(in: 12) { loop.saveBase() }
    case 10:
      loop.commit(includeCoarse: random.once(in: 2), isLost: true)
      try loop.crash()
    default:
      if random.once(in: 3) { damage(loop, &random) }
      try loop.crash()
    }
  }

  private func damage(_ loop: TestLoop, _ random: inout SeededGenerator) {
    guard !loop.chain.isEmpty else { return }
    let index = random.below(loop.chain.count)
    let byteCount = loop.chain[index].bytes.count
    switch random.below(4) {
    case 0: loop.chain = []
    case 1: loop.chain[index].bytes[random.below(byteCount)] ^= 0x10
    case 2: loop.chain.remove(at: index)
    default: loop.chain[index].bytes.removeLast(1 + random.below(byteCount))
    }
  }

  private func compare(_ loop: TestLoop, _ oracle: NaiveOracle) {
    let seed = loop.seed
    #expect(loop.pipeline.accounting == oracle.accounting, "seed \(seed)")
    #expect(loop.views.accounting == oracle.accounting, "seed \(seed)")
    #expect(oracle.accounting.isConserved, "seed \(seed)")
    #expect(difference(loop.views.late, oracle.late) == "", "late events, seed \(seed)")
    #expect(loop.pipeline.overflowedCount == oracle.overflowed, "seed \(seed)")
    #expect(loop.pipeline.watermark == oracle.watermark, "seed \(seed)")
    let seams = loop.pipeline.seams
    let durable = loop.views.rows.filter { $0.key.start < seams[$0.key.level] }
    let merged = durable.merging(loop.hot.rows) { durable, _ in durable }
    #expect(difference(merged, oracle.rows) == "", "around the seam, seed \(seed)")
    let written = oracle.rows.filter {
      $0.key.level.isCoarse || $0.key.start + $0.key.level.length <= oracle.watermark
    }
    #expect(difference(loop.views.rows, written) == "", "durable, seed \(seed)")
    let final = oracle.rows.keys.filter { $0.start + $0.level.length <= oracle.watermark }
    #expect((loop.views.final == Set(final)) == true, "final, seed \(seed)")
  }

  /// What a reader sees who has read the durable rows at the last commit and takes the rest from
  /// the hot copy.
  private func compareHot(_ loop: TestLoop) {
    let oracle = NaiveOracle(loop.history, upTo: Int(loop.pipeline.position))
    // A correction after the commit is in neither place yet; the header tells readers.
    let isCorrected = loop.pipeline.lastDeltaSequence > loop.views.checkpoint.sequence
    let seams = loop.views.checkpoint.seams
    let isSeen = { (key: RowKey) in
      key.start >= seams[key.level] && !(isCorrected && oracle.isExpired(key))
    }
    let expected = oracle.rows.filter { isSeen($0.key) }
    let found = loop.hot.rows.filter { isSeen($0.key) }
    #expect(difference(found, expected) == "", "hot, seed \(loop.seed)")
  }

  /// The first few differences as text; empty if there are none.
  private func difference(
    _ found: [RowKey: RowValue], _ expected: [RowKey: RowValue]
  ) -> String {
    Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }.prefix(3).map { key in
      "\(key.level) \(key.start): \(String(describing: found[key])) is not "
        + "\(String(describing: expected[key]))\n"
    }.joined()
  }

  private func difference(_ found: [LateEvent], _ expected: [LateEvent]) -> String {
    if found == expected { return "" }
    let pair = zip(found, expected).first { $0 != $1 }
    return "\(found.count) instead of \(expected.count), first \(String(describing: pair))"
  }
}
