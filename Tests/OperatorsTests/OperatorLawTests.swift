import Dataflow
import Events
import Operators
import Oracles
import Testing
import Views

@Suite struct OperatorLawTests {
  private func windows(_ spec: PipelineSpec) -> WindowAggregator {
    WindowAggregator(
      policy: WindowPolicy(
        allowedLateness: spec.allowedLateness, windowGrace: spec.windowGrace,
        tupleCountMax: spec.tupleCountMax))
  }

  @Test("Deduplication keeps the operator laws")
  func deduplicator() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      let history = History(seed: seed, frameCount: 30)
      try OperatorLaws.verify(history, seed: seed) {
        Deduplicator(groups: 3..<5, horizon: history.spec.dedupeHorizon, countMax: 1_000_000)
      }
    }
  }

  @Test("Windows keep the operator laws")
  func aggregator() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      let history = History(seed: seed, frameCount: 30)
      try OperatorLaws.verify(history, seed: seed) { windows(history.spec) }
    }
  }

  @Test("A pipeline saved and restored between every two frames ends as one that ran through")
  func pipeline() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      let history = History(seed: seed, frameCount: 25)
      let straight = TestLoop(history, seed: seed)
      try straight.read()
      straight.commit(includeCoarse: true)
      let restarted = TestLoop(history, seed: seed)
      while restarted.pipeline.position < UInt64(history.frames.count) {
        try restarted.read(1)
        restarted.commit(includeCoarse: false)
        restarted.groups.forEach { restarted.saveGroup($0) }
        restarted.saveHead()
        try restarted.crash()
        #expect(restarted.lastReport.findings == [], "seed \(seed)")
      }
      restarted.commit(includeCoarse: true)
      #expect((straight.state() == restarted.state()) == true, "seed \(seed)")
      #expect((straight.views.rows == restarted.views.rows) == true, "seed \(seed)")
    }
  }

  @Test("Events within the lateness count the same in whatever order and frames they come")
  func permutation() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let base = History(seed: seed, frameCount: 20)
      var spec = base.spec
      spec.allowedLateness = nil
      spec.dedupeHorizon = 10_000 * day
      spec.tupleCountMax = 1000
      // Receipt at one time, so that future times are cut the same in every order.
      var events = base.frames.filter { $0.kind == .events && !$0.isPoison }.flatMap(\.events)
      for index in events.indices {
        events[index].received = noon
        events[index].time = max(events[index].time, noon - 40 * hour)
      }
      var results: [[RowKey: Counts]] = []
      for _ in 0..<2 {
        events.shuffle(using: &random)
        var history = base
        history.spec = spec
        history.frames = []
        var rest = events[...]
        while !rest.isEmpty {
          history.frames.append(
            LoggedFrame(
              Array(rest.prefix(1 + random.below(9))),
              storedAt: noon + Int64(history.frames.count) * second))
          rest = rest.dropFirst(history.frames[history.frames.count - 1].events.count)
        }
        history.frames.append(.heartbeat(storedAt: noon + 3 * hour))
        let loop = TestLoop(history, seed: seed)
        while loop.pipeline.position < UInt64(history.frames.count) {
          try loop.read(1 + random.below(4))
          loop.commit(includeCoarse: true)
        }
        results.append(loop.views.rows.mapValues(\.counts))
      }
      #expect((results[0] == results[1]) == true, "seed \(seed)")
      #expect(!results[0].isEmpty || events.isEmpty, "seed \(seed)")
    }
  }

  @Test("Nothing is left in state once everything has expired")
  func empty() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var history = History(seed: seed, frameCount: 20)
      let last = history.frames.map(\.storedAt).max() ?? noon
      history.frames.append(.heartbeat(storedAt: last + 10 * day))
      let loop = TestLoop(history, seed: seed)
      try loop.read()
      loop.drainHot()
      loop.commit(includeCoarse: true)
      #expect(loop.pipeline.rowCount == 0 && loop.pipeline.tupleCount == 0, "seed \(seed)")
      #expect(loop.pipeline.earliestTimer == nil && loop.pipeline.pendingCount == 0)
      var fresh = TestLoop.pipeline(history.spec, loop.groups)
      let group = fresh.snapshotGroup(0).count
      #expect(loop.groups.allSatisfy { loop.pipeline.snapshotGroup($0).count == group })
      #expect(loop.pipeline.snapshotHead().count == fresh.snapshotHead().count, "seed \(seed)")
      #expect(loop.pipeline.drainHot().isEmpty)
    }
  }
}
