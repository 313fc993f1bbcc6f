import Dataflow
import Events
import Operators
import Oracles
import Testing
import Verification
import Views

/// Several first stages and the second, joined by a log of partials that copies and reorders.
@Suite struct TwoStageTests {
  @Test(
    "Outcomes of both stages are those of each person's whole history, links before, between or after, in whatever order partials come",
    arguments: 0..<120)
  func oracle(seed: UInt64) throws { try run(.mixed, seed: seed) }

  @Test(
    "So they are for a flood of copies, a hot person, idle persons and too many tuples",
    arguments: Shape.allCases)
  func shapes(shape: Shape) throws {
    for seed in 1...3 as ClosedRange<UInt64> { try run(shape, seed: seed) }
  }

  private func run(_ shape: Shape, seed: UInt64) throws {
    var random = SeededGenerator(seed: seed ^ 77)
    let log = StageLog(shape, seed: seed)
    var accounting = Accounting()
    let frames = try handedOn(log, &random, &accounting)
    var second = log.secondStage()
    var tupleCountMax = 0
    for (index, frame) in frames.enumerated() {
      try second.take(frame, sequence: UInt64(index + 1), storedAt: log.end)
      #expect(second.accounting.isConserved)
      tupleCountMax = max(tupleCountMax, second.tupleCount)
    }
    #expect(second.sources.map(\.partition) == Array(0..<log.partitions))
    for source in second.sources {
      #expect(source.sequence == UInt64(log.entries[source.partition].count - 1))
    }
    let watermark = second.watermark
    let batch = second.drainCommit(includeCoarse: true)
    #expect(batch.measure == .outcomes)
    try compareOutcomes(log, batch, shape, seed)
    try compareTrends(log, batch, watermark, shape, seed)
    expectReached(shape, log, accounting, tupleCountMax: tupleCountMax)
  }

  /// What the first stages hand on, as it comes: copies, and places that are changed among neighbours of
  /// one source and freely between sources.
  private func handedOn(
    _ log: StageLog, _ random: inout SeededGenerator, _ accounting: inout Accounting
  ) throws -> [PartialFrame] {
    var frames: [PartialFrame] = []
    for partition in 0..<log.partitions {
      var stage = log.firstStage(partition)
      for (index, entry) in log.entries[partition].enumerated() {
        try stage.take(entry, sequence: UInt64(index + 1))
        frames += stage.takeEmitted()
      }
      accounting.received += stage.accounting.received
      accounting.duplicate += stage.accounting.duplicate
    }
    frames += frames.filter { _ in random.once(in: 5) }
    let weights = frames.indices.map { Int(frames[$0].number) * 3 + random.below(20) }
    return frames.indices.sorted { weights[$0] < weights[$1] }.map { frames[$0] }
  }

  /// Where there are too many tuples, only what they come to together is known.
  private func place(_ tuple: DimensionTuple, _ time: Int64, _ shape: Shape) -> NaiveOutcomes.Place
  {
    let sum = DimensionTuple(site: tuple.site, campaign: "", currency: tuple.currency)
    return NaiveOutcomes.Place(tuple: shape == .bomb ? sum : tuple, window: time)
  }

  private func tuples(_ batch: CommitBatch) -> [Int64: DimensionTuple] {
    var tuples: [Int64: DimensionTuple] = [:]
    for entry in batch.dimensions {
      tuples[entry.id] = entry.encoded.withUnsafeBytes { DimensionTuple(encoded: $0) }
    }
    return tuples
  }

  private func compareOutcomes(
    _ log: StageLog, _ batch: CommitBatch, _ shape: Shape, _ seed: UInt64
  ) throws {
    let tuples = tuples(batch)
    var found: [NaiveOutcomes.Place: Outcomes] = [:]
    for row in batch.rows + batch.deltas where row.level == .day {
      let tuple = try #require(tuples[row.dimensionID])
      found[place(tuple, row.start, shape), default: Outcomes()] += Outcomes(row.counts)
    }
    var expected: [NaiveOutcomes.Place: Outcomes] = [:]
    let resolved = log.resolve()
    let naive = NaiveOutcomes(resolved.facts, StageLog.policy, watermark: log.end)
    for (place, outcomes) in naive.sums {
      let day = WindowLevel.day.start(of: place.window)
      expected[self.place(place.tuple, day, shape), default: Outcomes()] += outcomes
    }
    #expect(
      (found.filter { !$0.value.isZero } == expected.filter { !$0.value.isZero }) == true,
      "\(shape), seed \(seed)")
    try compareExposures(log, batch, resolved, shape, seed)
  }

  private func compareExposures(
    _ log: StageLog, _ batch: CommitBatch,
    _ resolved: (facts: [NaiveOutcomes.Fact], anchors: [NaiveExposures.Anchor]), _ shape: Shape,
    _ seed: UInt64
  ) throws {
    let tuples = tuples(batch)
    #expect(batch.experiments.map(\.measure) == [.exposures, .baselines])
    var found: [Measure: [NaiveOutcomes.Place: Counts]] = [:]
    for measured in batch.experiments {
      for row in measured.rows + measured.deltas where row.level == .day {
        let tuple = try #require(tuples[row.dimensionID])
        found[measured.measure, default: [:]][place(tuple, row.start, shape), default: Counts()] +=
          row.counts
      }
    }
    var expected: [Measure: [NaiveOutcomes.Place: Counts]] = [:]
    let experiments = try #require(StageLog.policy.experiments)
    let naive = NaiveExposures(resolved.facts, experiments, anchors: resolved.anchors)
    for (place, sums) in naive.sums {
      let place = self.place(place.tuple, WindowLevel.day.start(of: place.window), shape)
      expected[.exposures, default: [:]][place, default: Counts()] += sums.exposures.counts
      expected[.baselines, default: [:]][place, default: Counts()] += sums.baselines.counts
    }
    for measure in [Measure.exposures, .baselines] {
      let (found, expected) = (found[measure] ?? [:], expected[measure] ?? [:])
      #expect(
        (found.filter { $0.value != Counts() } == expected.filter { $0.value != Counts() }) == true,
        "\(measure), \(shape), seed \(seed)")
    }
  }

  private func compareTrends(
    _ log: StageLog, _ batch: CommitBatch, _ watermark: Int64, _ shape: Shape, _ seed: UInt64
  ) throws {
    let tuples = tuples(batch)
    var found: [NaiveOutcomes.Place: Counts] = [:]
    for row in batch.trends where row.isFinal {
      let tuple = try #require(tuples[row.dimensionID])
      found[place(tuple, row.end, shape), default: Counts()] += row.counts
    }
    var expected: [NaiveOutcomes.Place: Counts] = [:]
    for (place, counts) in log.trends(upTo: watermark) {
      expected[self.place(place.tuple, place.window, shape), default: Counts()] += counts
    }
    #expect((found == expected) == true, "trends, \(shape), seed \(seed)")
  }

  /// A log that is not what its shape says proves nothing.
  private func expectReached(
    _ shape: Shape, _ log: StageLog, _ accounting: Accounting, tupleCountMax: Int
  ) {
    let count = log.steps.count
    switch shape {
    case .mixed: break
    case .copies:
      #expect(accounting.received == Int64(count * History.copyCount))
      #expect(accounting.duplicate == Int64(count * (History.copyCount - 1)))
    case .hotKey:
      #expect(log.steps.filter { $0.device == 0 }.count > count * 9 / 10)
      #expect(log.steps.filter { $0.fact.tuple.campaign == "c0" }.count > count * 9 / 10)
    case .idleKeys:
      #expect(Set(log.steps.map(\.device)).count == 100)
      let times = log.steps.map(\.storedAt)
      let pauses = zip(times, times.dropFirst()).filter { $1 - $0 > StageLog.policy.keep }
      #expect(pauses.count == 2)
    case .bomb:
      #expect(Set(log.steps.map(\.fact.tuple.campaign)).count == 5 * History.bombTupleCountMax)
      // A site's other tuple in each currency is not counted against the limit.
      #expect((1000...1004).contains(tupleCountMax), "\(tupleCountMax)")
    }
  }

  @Test("Of persons too many nothing is kept in either stage, and what is kept is bounded")
  func personBomb() throws {
    var log = StageLog(.bomb, seed: 5)
    log.spec.persons?.personCountMax = 50
    var frames: [PartialFrame] = []
    for partition in 0..<log.partitions {
      var stage = log.firstStage(partition)
      var most = 0
      for (index, entry) in log.entries[partition].enumerated() {
        try stage.take(entry, sequence: UInt64(index + 1))
        frames += stage.takeEmitted()
        most = max(most, persons(stage))
      }
      #expect(most == 50, "the limit was reached, and kept")
    }
    var second = log.secondStage()
    for (index, frame) in frames.enumerated() {
      try second.take(frame, sequence: UInt64(index + 1), storedAt: log.end)
      #expect(persons(second) <= 50 && second.accounting.isConserved)
    }
  }

  private func persons(_ stage: borrowing Pipeline) -> Int {
    stage.stateSizes.first { $0.operator == "persons" }?.size.keyCount ?? 0
  }
}
