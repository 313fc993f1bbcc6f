import Dataflow
import Events
import Oracles
import Testing
import Views

@testable import Operators

@Suite("Joined counts")
struct JoinedCountsTests {
  /// Contents 1 to 7 in three groups; 0 and 8 on belong to none.
  static func table() -> JoinTable {
    JoinTable(
      dimension: .content,
      facts: (1..<8).map {
        ("content-\($0)", DimensionTuple(site: "default", campaign: "group-\($0 % 3)"))
      })
  }

  private static func counts(_ history: History, _ level: WindowLevel) -> JoinedCounts {
    JoinedCounts(
      kind: .view, level: level, table: table(),
      policy: WindowPolicy(
        allowedLateness: history.spec.allowedLateness, windowGrace: history.spec.windowGrace,
        tupleCountMax: 1000), windowCountMax: 1_000_000)
  }

  private struct RowKey: Hashable {
    var start: Int64
    var id: Int64
  }

  @Test("Joined counts equal a scan of the whole input, in committed rows and in hot ones")
  func oracle() throws {
    for seed in 1...200 as ClosedRange<UInt64> {
      let history = History(seed: seed, frameCount: 40)
      var op = Self.counts(history, .tenSeconds)
      var verdicts = Verdicts()
      var logTime = Int64.min
      var expected: [RowKey: Int64] = [:]
      var unmatched: Int64 = 0
      var committed: [RowKey: Int64] = [:]
      var hot: [RowKey: Int64] = [:]
      for (index, frame) in history.frames.enumerated() {
        logTime = max(logTime, frame.storedAt)
        let moment = FrameMoment(
          sequence: UInt64(index + 1), logTime: logTime,
          watermark: logTime - history.spec.allowedDisorder)
        op.advance(to: moment)
        if frame.kind == .events && !frame.isPoison {
          try frame.bytes.withUnsafeBytes {
            let view = try FrameView($0)
            verdicts.reset(count: view.count)
            try op.process(view, at: moment, verdicts: &verdicts)
          }
          for (place, event) in frame.events.enumerated() where event.kind == .view {
            guard verdicts[place] != .tooLate else { continue }
            let limit = min(
              event.received, logTime + WindowPolicy.receiptTolerance)
            let time = max(
              event.time > limit + WindowPolicy.futureTolerance ? limit : event.time,
              TimeRange.earliest)
            let start = WindowLevel.tenSeconds.start(of: time)
            #expect(start >= op.seam)
            let digits = event.tuple.content.split(separator: "-").last.flatMap { Int($0) } ?? 0
            guard (1..<8).contains(digits) else {
              unmatched += 1
              continue
            }
            let tuple = DimensionTuple(site: "default", campaign: "group-\(digits % 3)").encoded
            let id = tuple.withUnsafeBytes { DimensionTuple.identifier(encoded: $0) }
            expected[RowKey(start: start, id: id), default: 0] += 1
          }
        }
        var outbox = Outbox()
        if index % 3 == 0 { op.drain(.commit(includeCoarse: false), into: &outbox) }
        if index % 2 == 0 { op.drain(.hot, into: &outbox) }
        Self.apply(outbox, &committed, &hot)
      }
      let end = FrameMoment(
        sequence: UInt64(history.frames.count + 1), logTime: logTime + 10 * day,
        watermark: logTime + 10 * day)
      op.advance(to: end)
      var outbox = Outbox()
      op.drain(.commit(includeCoarse: false), into: &outbox)
      op.drain(.hot, into: &outbox)
      Self.apply(outbox, &committed, &hot)
      #expect(committed == expected, "seed \(seed)")
      #expect(hot == expected, "seed \(seed)")
      #expect(op.unmatched == unmatched, "seed \(seed)")
      #expect(op.earliestTimer == nil && op.pendingCount == 0, "seed \(seed)")
    }
  }

  private static func apply(
    _ outbox: Outbox, _ committed: inout [RowKey: Int64], _ hot: inout [RowKey: Int64]
  ) {
    for row in outbox.rows {
      committed[RowKey(start: row.start, id: row.dimensionID)] = row.counts.views
    }
    for hotRow in outbox.hot {
      hot[RowKey(start: hotRow.row.start, id: hotRow.row.dimensionID)] = hotRow.row.counts.views
    }
  }

  @Test("a table finds what the facts name, and nothing else")
  func joinTable() {
    let facts = (0..<3000).map {
      ("ad-\($0)", DimensionTuple(site: "s", campaign: "c\($0 % 70)"))
    }
    let table = JoinTable(dimension: .content, facts: facts)
    let shuffled = JoinTable(dimension: .content, facts: facts.reversed())
    #expect(table.groupCount == 70 && table.hash == shuffled.hash)
    for (value, tuple) in facts {
      let group = Array(value.utf8).withUnsafeBytes { table.group(of: $0) }
      #expect(table.groups[group] == tuple.encoded)
      let event = DimensionTuple(site: "other", campaign: "x", content: value, channel: "mail")
      #expect(event.encoded.withUnsafeBytes { table.group(ofTuple: $0) } == group)
    }
    for value in ["", "ad-", "ad-3000", "AD-1"] {
      #expect(Array(value.utf8).withUnsafeBytes { table.group(of: $0) } == 70)
    }
    for broken in [[], [0], [255, 255, 1], [0, 0, 9, 9]] as [[UInt8]] {
      #expect(broken.withUnsafeBytes { table.group(ofTuple: $0) } == 70)
    }
  }
}

@Suite("Tumbling counters")
struct TumblingCountersTests {
  private struct Cell: Hashable {
    var group: Int
    var start: Int64
  }

  private static func cells(_ counters: borrowing TumblingCounters) -> [Cell: Int64] {
    var cells: [Cell: Int64] = [:]
    for window in 0..<counters.windowCount {
      for (group, count) in counters.counts(window: window).enumerated() where count != 0 {
        cells[Cell(group: group, start: counters.start(window: window))] = count
      }
    }
    return cells
  }

  @Test(
    "counters of any length equal a dictionary, before the epoch too",
    arguments: [1, 2, 3, 7, 1 << 20, 1_000_000, 10_000_000, 3_600_000_000, (1 << 40) + 1] as [Int64]
  )
  func dictionary(length: Int64) {
    for seed in 1...30 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var counters = TumblingCounters(length: length, groupCount: 5, windowCountMax: 400)
      var naive: [Cell: Int64] = [:]
      let base = Int64(random.next() >> 14) - (1 << 49)
      for _ in 0..<300 {
        let time = base + random.time(upTo: length * 300)
        let group = random.below(5)
        let remainder = ((time % length) + length) % length
        let isCounted = counters.add(group: group, time: time)
        #expect(isCounted)
        naive[Cell(group: group, start: time - remainder), default: 0] += 1
      }
      #expect(Self.cells(counters) == naive, "seed \(seed)")
      let cut = base + length * 100
      counters.removeWindows(before: cut)
      #expect(Self.cells(counters) == naive.filter { $0.key.start >= cut }, "seed \(seed)")
      let isBeyond = counters.add(group: 0, time: base + length * 1000)
      #expect(!isBeyond)
    }
  }

  @Test("adding tables up is commutative and associative, and gives what one table would have")
  func merging() {
    for seed in 1...60 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let times = (0..<3).map { _ in
        (0..<random.below(200)).map { _ in (random.below(4), noon + random.time(upTo: hour)) }
      }
      func table(_ parts: [Int]) -> TumblingCounters {
        var table = TumblingCounters(length: 10 * second, groupCount: 4, windowCountMax: 1000)
        for part in parts {
          for (group, time) in times[part] { _ = table.add(group: group, time: time) }
        }
        return table
      }
      let whole = Self.cells(table([0, 1, 2]))
      for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        var left = table([order[0]])
        _ = left.merge(table([order[1]]))
        _ = left.merge(table([order[2]]))
        #expect(Self.cells(left) == whole, "seed \(seed)")
        var right = table([order[1]])
        _ = right.merge(table([order[2]]))
        var both = table([order[0]])
        _ = both.merge(right)
        #expect(Self.cells(both) == whole, "seed \(seed)")
      }
      var late = TumblingCounters(length: 10 * second, groupCount: 4, windowCountMax: 1000)
      let cut = noon + hour / 2
      let left = late.merge(table([0, 1, 2]), from: cut)
      #expect(left == whole.reduce(0) { $1.key.start < cut ? $0 + $1.value : $0 })
      #expect(Self.cells(late) == whole.filter { $0.key.start >= cut })
    }
  }
}
