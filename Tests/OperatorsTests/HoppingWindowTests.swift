import Events
import Operators
import Oracles
import Testing
import Views

@Suite struct HoppingWindowTests {
  private func bytes(_ windows: inout HoppingWindows, isComplete: Bool = true) -> [UInt8] {
    var writer = SnapshotWriter(kind: .base, pipelineHash: 1)
    windows.snapshot(isComplete: isComplete, into: &writer)
    return writer.finish()
  }

  private func restored(_ chain: [[UInt8]], _ history: HoppingHistory) throws -> HoppingWindows {
    var windows = history.make()
    for bytes in chain {
      var reader = try SnapshotReader(bytes, pipelineHash: 1)
      try windows.restore(from: &reader)
      try reader.finish()
    }
    return windows
  }

  @Test("Hopping windows say what a count of all events for every window says")
  func oracle() throws {
    for seed in 1...300 as ClosedRange<UInt64> {
      let history = HoppingHistory(seed: seed, frameCount: 60)
      var random = SeededGenerator(seed: seed ^ 77)
      var windows = history.make()
      var oracle = HoppingOracle(history)
      var view = TrendView()
      for index in history.frames.indices {
        history.feed(index, asPanes: random.once(in: 2), to: &windows)
        oracle.feed(index)
        if random.once(in: 3) {
          #expect(view.drain(&windows) == nil, "seed \(seed)")
          #expect((view.rows == oracle.rows) == true, "frame \(index), seed \(seed)")
        }
        try early(windows, oracle, history, index, seed)
      }
      #expect(view.drain(&windows) == nil, "seed \(seed)")
      #expect((view.rows == oracle.rows) == true, "seed \(seed)")
      #expect(windows.tooLate == oracle.tooLate, "seed \(seed)")
      #expect(!view.rows.isEmpty, "seed \(seed)")
    }
  }

  private func early(
    _ windows: borrowing HoppingWindows, _ oracle: HoppingOracle, _ history: HoppingHistory,
    _ index: Int, _ seed: UInt64
  ) throws {
    var rows: [TrendRow] = []
    var entries: [DimensionEntry] = []
    windows.early(logTime: history.moment(index).logTime, into: &rows, dimensions: &entries)
    #expect(Set(entries.map(\.id)).isSubset(of: rows.map(\.dimensionID)))
    guard let end = rows.first?.end else { return }
    var expected: [Int64: Counts] = [:]
    for tuple in history.tuples.indices {
      let sum = oracle.sum(tuple, end)
      if sum != Counts() { expected[NaiveOracle.id(history.tuples[tuple])] = sum }
    }
    let found = Dictionary(rows.map { ($0.dimensionID, $0.counts) }) { first, _ in first }
    #expect((found == expected) == true, "early rows of frame \(index), seed \(seed)")
    #expect(end > history.moment(index).logTime && end % history.slide == 0)
  }

  @Test("Saved and restored between any two frames, whole or by increments, nothing changes")
  func restarts() throws {
    for seed in 1...150 as ClosedRange<UInt64> {
      var history = HoppingHistory(seed: seed, frameCount: 40)
      if seed % 3 == 0 { history.tupleCountMax = 3 }
      var random = SeededGenerator(seed: seed)
      var straight = history.make()
      var straightView = TrendView()
      var windows = history.make()
      var view = TrendView()
      var chain: [[UInt8]] = []
      for index in history.frames.indices {
        history.feed(index, asPanes: false, to: &straight)
        #expect(straightView.drain(&straight) == nil, "seed \(seed)")
        history.feed(index, asPanes: false, to: &windows)
        #expect(view.drain(&windows) == nil, "seed \(seed)")
        let isComplete = chain.isEmpty || random.once(in: 5)
        if isComplete { chain = [] }
        chain.append(bytes(&windows, isComplete: isComplete))
        if random.once(in: 2) {
          windows = try restored(chain, history)
          #expect((bytes(&windows) == bytes(&straight)) == true, "frame \(index), seed \(seed)")
          chain = [bytes(&windows)]
        }
      }
      #expect((view.rows == straightView.rows) == true, "seed \(seed)")
      #expect((bytes(&windows) == bytes(&straight)) == true, "seed \(seed)")
    }
  }

  @Test("A replay in silence ends in the same state and hands out nothing")
  func silence() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      let history = HoppingHistory(seed: seed, frameCount: 40)
      var silent = history
      for index in silent.frames.indices { silent.frames[index].isSilent = index < 30 }
      var straight = history.make()
      var replayed = history.make()
      var view = TrendView()
      for index in history.frames.indices {
        history.feed(index, asPanes: false, to: &straight)
        #expect(view.drain(&straight) == nil)
        silent.feed(index, asPanes: false, to: &replayed)
        if index < 30 { #expect(replayed.pendingCount == 0, "seed \(seed)") }
      }
      #expect((bytes(&straight) == bytes(&replayed)) == true, "seed \(seed)")
      // What is handed out after the replay is what the other run said of the same rows.
      var after = TrendView()
      #expect(after.drain(&replayed) == nil, "seed \(seed)")
      #expect(after.rows.allSatisfy { view.rows[$0.key] == $0.value }, "seed \(seed)")
    }
  }

  @Test("Within the lateness the same events give the same sums in whatever order they come")
  func permutation() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var history = HoppingHistory(seed: seed, frameCount: 30)
      history.lateness = 10_000 * hour
      var shuffled = history
      var random = SeededGenerator(seed: seed)
      var events = history.frames.flatMap(\.events)
      events.shuffle(using: &random)
      for index in shuffled.frames.indices {
        let count = shuffled.frames[index].events.count
        shuffled.frames[index].events = Array(events.prefix(count))
        events.removeFirst(count)
      }
      // Windows before the first moment are of no order: all frames come after it.
      history.frames.insert(
        HoppingHistory.Frame(watermark: history.frames[0].watermark, events: []), at: 0)
      shuffled.frames.insert(history.frames[0], at: 0)
      let end = (history.frames.last?.watermark ?? 0) + 50 * history.size
      history.frames.append(HoppingHistory.Frame(watermark: end, events: []))
      shuffled.frames.append(HoppingHistory.Frame(watermark: end, events: []))
      var sums: [[TrendView.Key: Counts]] = []
      for history in [history, shuffled] {
        var windows = history.make()
        var view = TrendView()
        for index in history.frames.indices {
          history.feed(index, asPanes: index % 2 == 0, to: &windows)
          #expect(view.drain(&windows) == nil, "seed \(seed)")
        }
        sums.append(view.rows.mapValues(\.counts))
      }
      #expect((sums[0] == sums[1]) == true, "seed \(seed)")
    }
  }

  @Test("Nothing is left in state once everything has expired")
  func empty() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var history = HoppingHistory(seed: seed, frameCount: 30)
      let last = history.frames.map(\.watermark).max() ?? 0
      history.frames.append(HoppingHistory.Frame(watermark: last + 10 * day, events: []))
      var windows = history.make()
      var view = TrendView()
      for index in history.frames.indices {
        if let timer = windows.earliestTimer, index == history.frames.count - 1 {
          #expect(timer > history.frames[index - 1].watermark, "seed \(seed)")
        }
        history.feed(index, asPanes: false, to: &windows)
      }
      #expect(view.drain(&windows) == nil)
      windows.begin(tupleCount: 0) { _ in UnsafeRawBufferPointer(start: nil, count: 0) }
      #expect(windows.tupleCount == 0 && windows.paneCount == 0 && windows.rowCount == 0)
      #expect(windows.earliestTimer == nil && windows.pendingCount == 0, "seed \(seed)")
    }
  }

  @Test("A tuple too many counts for the site's other tuple and its currency")
  func tooMany() throws {
    var history = HoppingHistory(seed: 1, frameCount: 0)
    history.slide = second
    history.size = 2 * second
    history.lateness = 0
    history.tupleCountMax = 1
    history.tuples = [
      DimensionTuple(site: "s", campaign: "a").encoded,
      DimensionTuple(site: "s", campaign: "b", currency: "EUR").encoded,
    ]
    history.frames = [
      HoppingHistory.Frame(
        watermark: noon,
        events: [
          .init(time: noon, tuple: 0, kind: 1, revenue: 0),
          .init(time: noon, tuple: 1, kind: 5, revenue: 7),
        ]), HoppingHistory.Frame(watermark: noon + second, events: []),
    ]
    var windows = history.make()
    var view = TrendView()
    for index in history.frames.indices { history.feed(index, asPanes: false, to: &windows) }
    #expect(view.drain(&windows) == nil)
    let other = DimensionTuple(
      site: "s", campaign: "(other)", content: "(other)", variant: "(other)", channel: "(other)",
      currency: "EUR")
    let key = TrendView.Key(end: noon + second, id: NaiveOracle.id(other.encoded))
    #expect(view.rows[key]?.counts.revenueMicros == 7)
    #expect(windows.overflowed == 1)
  }

  @Test("Bytes that no writer makes are refused, and never trap")
  func damaged() throws {
    let history = HoppingHistory(seed: 5, frameCount: 30)
    var windows = history.make()
    for index in history.frames.indices { history.feed(index, asPanes: false, to: &windows) }
    let good = bytes(&windows)
    var random = SeededGenerator(seed: 5)
    for _ in 0..<400 {
      var bad = good
      let place = 48 + random.below(bad.count - 48)
      bad[place] ^= UInt8(1 << random.below(8))
      makeChecksumHold(&bad)
      // Another number may stand there as well; but nothing may trap.
      if var again = try? restored([bad], history) { _ = bytes(&again) }
    }
  }
}
