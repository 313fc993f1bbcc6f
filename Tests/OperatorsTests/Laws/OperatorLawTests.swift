import Dataflow
import Events
import Oracles
import Testing
import Views

@testable import Operators

@Suite struct OperatorLawTests {
  @Test(
    "Every operator keeps every law", arguments: OperatorCatalog.all, OperatorLaw.allCases)
  func laws(_ entry: OperatorCatalog.Entry, _ law: OperatorLaw) throws {
    var saidCount = 0
    for seed in 1...60 as ClosedRange<UInt64> { saidCount += try entry.verify(law, seed) }
    #expect(saidCount > 100)
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
        restarted.save()
        if seed % 3 == 0 { try restarted.compact(restarted.chain.count) }
        try restarted.crash()
        #expect(restarted.lastReport.findings == [], "seed \(seed)")
      }
      restarted.commit(includeCoarse: true)
      #expect((straight.state() == restarted.state()) == true, "seed \(seed)")
      #expect((straight.views.rows == restarted.views.rows) == true, "seed \(seed)")
    }
  }

  @Test("A chain gives the bytes that replaying everything gives, wherever its links end")
  func chain() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let history = History(seed: seed, frameCount: 30)
      let loop = TestLoop(history, seed: seed)
      while loop.pipeline.position < UInt64(history.frames.count) {
        try loop.read(1 + random.below(6))
        if random.once(in: 2) { loop.commit(includeCoarse: random.once(in: 2)) }
        if random.once(in: 2) { loop.drainHot() }
        if random.once(in: 2) { continue }
        if random.once(in: 6) {
          try loop.leaveOut()
          continue
        }
        loop.save()
        let links = loop.chain
        try loop.compact(loop.chain.count)
        let straight = TestLoop(history, seed: seed)
        try straight.read(Int(loop.pipeline.position))
        #expect((loop.chain[0].bytes == straight.state()) == true, "seed \(seed)")
        if random.once(in: 2) { loop.chain = links }
      }
    }
  }

  @Test("Whatever is never saved takes bounded memory for its notes")
  func boundedNotes() {
    var notes = DedupeChanges()
    for _ in 0..<3000 {
      _ = notes.reserve(1000)
      notes.add(1000, stateCount: 10_000)
      #expect(notes.byteCount < 64 << 20)
    }
    #expect(notes.isLost && notes.count == 0)
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
}
