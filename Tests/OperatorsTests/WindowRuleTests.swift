import Dataflow
import Events
import Operators
import Testing
import Views

/// The rules of time one by one, on a pipeline whose watermark trails log time by 5 s.
@Suite struct WindowRuleTests {
  private let base = noon

  private func loop(
    _ frames: [LoggedFrame], lateness: Int64? = nil, grace: Int64 = minute,
    horizon: Int64 = day, tuples: Int = 1000, ids: Int = 1000
  ) -> TestLoop {
    var history = History(seed: 1, frameCount: 0)
    history.spec = PipelineSpec(
      name: "rules", allowedDisorder: 5 * second, allowedLateness: lateness,
      dedupeHorizon: horizon, windowGrace: grace, tupleCountMax: tuples, dedupeCountMax: ids)
    history.frames = frames
    return TestLoop(history, seed: 0)
  }

  private func event(
    _ number: UInt64, at time: Int64, received: Int64? = nil, kind: EventKind = .impression,
    campaign: String = "c1", currency: String = "", revenue: Int64 = 0
  ) -> TestEvent {
    TestEvent(
      kind: kind, key: Key128(low: number, high: number),
      person: Key128(low: number, high: 1), time: time, received: received ?? time,
      tuple: DimensionTuple(site: "default", campaign: campaign, currency: currency),
      revenue: revenue)
  }

  @Test(
    "An event is on time until the watermark reaches its 10 s window's end, then late, then too late",
    arguments: [
      // Log time after noon + 2 s, where the event is; watermark 5 s less; lateness 30 s.
      (14_999_999, Verdict.onTime), (15_000_000, .late), (44_999_999, .late),
      (45_000_000, .tooLate),
    ] as [(Int64, Verdict)])
  func classes(_ elapsed: Int64, _ verdict: Verdict) throws {
    let loop = loop(
      [
        .heartbeat(storedAt: base + elapsed),
        LoggedFrame([event(1, at: base + 2 * second)], storedAt: base + elapsed),
      ], lateness: 30 * second)
    try loop.read()
    let accounting = loop.pipeline.accounting
    #expect(accounting.received == 1)
    #expect(accounting.onTime == (verdict == .onTime ? 1 : 0))
    #expect(accounting.late == (verdict == .late ? 1 : 0))
    #expect(accounting.tooLate == (verdict == .tooLate ? 1 : 0))
    loop.commit(includeCoarse: true)
    #expect(loop.views.late.count == (verdict == .tooLate ? 1 : 0))
  }

  @Test("A time more than five minutes after receipt becomes the time of receipt")
  func future() throws {
    let loop = loop([
      LoggedFrame(
        [
          event(1, at: base + 5 * minute, received: base),
          event(2, at: base + 5 * minute + 1, received: base),
        ], storedAt: base)
    ])
    try loop.read()
    #expect(loop.pipeline.accounting.clampedFuture == 1)
    let starts = loop.pipeline.drainHot().filter { $0.row.level == .minute }.map(\.row.start)
    #expect(starts == [base, base + 5 * minute])
  }

  @Test("10 s and 1 min rows are written when final, hour and day rows when asked for")
  func economy() throws {
    let loop = loop([
      LoggedFrame([event(1, at: base + 1)], storedAt: base + second),
      .heartbeat(storedAt: base + 15 * second),
      .heartbeat(storedAt: base + 65 * second),
    ])
    try loop.read(1)
    #expect(loop.pipeline.drainCommit(includeCoarse: false).rows.isEmpty)
    #expect(loop.pipeline.drainCommit(includeCoarse: true).rows.map(\.level) == [.hour, .day])
    #expect(loop.pipeline.drainCommit(includeCoarse: true).rows.isEmpty)
    try loop.read(1)
    let ten = loop.pipeline.drainCommit(includeCoarse: true)
    #expect(ten.rows.map(\.level) == [.tenSeconds] && ten.rows.allSatisfy(\.isFinal))
    #expect(ten.dimensions.isEmpty, "the tuple was written with the hour row")
    try loop.read(1)
    #expect(loop.pipeline.drainCommit(includeCoarse: false).rows.map(\.level) == [.minute])
  }

  @Test("A late event corrects a window in state with a revision per frame, and stays final")
  func revision() throws {
    let loop = loop([
      LoggedFrame([event(1, at: base)], storedAt: base),
      .heartbeat(storedAt: base + 20 * second),
      LoggedFrame(
        [event(2, at: base), event(3, at: base + second)], storedAt: base + 21 * second),
      LoggedFrame([event(4, at: base)], storedAt: base + 22 * second),
    ])
    try loop.read()
    let rows = loop.pipeline.drainCommit(includeCoarse: true).rows
    #expect(rows.map(\.level) == [.tenSeconds, .hour, .day])
    #expect(rows.map(\.counts.impressions) == [4, 4, 4])
    #expect(rows.map(\.revision) == [2, 0, 0])
    #expect(rows.map(\.isFinal) == [true, false, false])
  }

  @Test("A late event of an expired window is a delta, and its live coarser windows are absolute")
  func delta() throws {
    let loop = loop([
      LoggedFrame([event(1, at: base)], storedAt: base),
      .heartbeat(storedAt: base + 3 * minute),
      LoggedFrame(
        [event(2, at: base), event(3, at: base)], storedAt: base + 3 * minute + second),
      LoggedFrame([event(4, at: base + 1)], storedAt: base + 3 * minute + 2 * second),
    ])
    try loop.read(2)
    #expect(
      loop.pipeline.drainCommit(includeCoarse: false).rows.map(\.level) == [.tenSeconds, .minute])
    #expect(loop.pipeline.lastDeltaSequence == 0)
    try loop.read()
    let batch = loop.pipeline.drainCommit(includeCoarse: true)
    #expect(batch.deltas.map(\.level) == [.tenSeconds, .minute])
    #expect(batch.deltas.map(\.counts.impressions) == [3, 3])
    #expect(batch.deltas.map(\.revision) == [2, 2])
    #expect(batch.rows.map(\.level) == [.hour, .day])
    #expect(batch.rows.map(\.counts.impressions) == [4, 4])
    #expect(batch.checkpoint.lastDeltaSequence == 4)
    #expect(loop.pipeline.drainCommit(includeCoarse: true).deltas.isEmpty)
  }

  @Test("Events older than the retention of fine rows correct only coarser ones")
  func retention() throws {
    let loop = loop([
      LoggedFrame(
        [
          event(1, at: base - 3 * day, received: base),
          event(2, at: base - 100 * day, received: base),
        ], storedAt: base)
    ])
    try loop.read()
    let deltas = loop.pipeline.drainCommit(includeCoarse: true).deltas
    #expect(deltas.map(\.level) == [.minute, .hour, .hour, .day, .day])
    #expect(loop.pipeline.accounting.late == 2)
  }

  @Test("A window's row is kept until the retention has passed since its end, in log time")
  func retentionEnd() throws {
    // `base` starts a window of every level but the day.
    for (elapsed, levels) in [
      (2 * day + 10 * second - 1, [WindowLevel.tenSeconds, .minute, .hour, .day]),
      (2 * day + 10 * second, [.minute, .hour, .day]),
      (90 * day + minute - 1, [.minute, .hour, .day]), (90 * day + minute, [.hour, .day]),
    ] {
      let loop = loop([LoggedFrame([event(1, at: base)], storedAt: base + elapsed)])
      try loop.read()
      let deltas = loop.pipeline.drainCommit(includeCoarse: true).deltas
      #expect(deltas.map(\.level) == levels, "after \(elapsed)")
    }
  }

  @Test("The seam is the first start in state, before and after the epoch")
  func seam() {
    let policy = WindowPolicy(allowedLateness: nil, windowGrace: minute, tupleCountMax: 1)
    for watermark in [base, base + 1, base - 1, 0, 1, -1, -day, 70 * second, 70 * second - 1] {
      for level in WindowLevel.allCases {
        let seam = policy.seam(level, watermark: watermark)
        #expect(level.start(of: seam) == seam)
        #expect(seam + level.length + minute > watermark, "the window at the seam is in state")
        #expect(seam - level.length + level.length + minute <= watermark, "the one before is not")
      }
    }
  }

  @Test("A copy within the horizon of log time is a duplicate, and does not prolong it")
  func horizon() throws {
    let loop = loop(
      [0, 10, 20, 21, 31].map {
        LoggedFrame([event(1, at: base)], storedAt: base + $0 * second)
      }, horizon: 20 * second)
    var duplicates: [Int64] = []
    for _ in 0..<5 {
      try loop.read(1)
      duplicates.append(loop.pipeline.accounting.duplicate)
    }
    #expect(duplicates == [0, 1, 2, 2, 3])
  }

  @Test("The second of two copies in a frame is the duplicate, whatever their event times")
  func withinFrame() throws {
    let loop = loop([
      LoggedFrame(
        [event(1, at: base + second, received: base), event(1, at: base - day, received: base)],
        storedAt: base)
    ])
    try loop.read()
    #expect(loop.pipeline.accounting.duplicate == 1 && loop.pipeline.accounting.onTime == 1)
  }

  @Test("A partition that remembers as many ids as it may stops before the frame that is too much")
  func full() throws {
    let loop = loop(
      [
        LoggedFrame((1...6).map { event($0, at: base) }, storedAt: base),
        LoggedFrame((7...11).map { event($0, at: base) }, storedAt: base),
        LoggedFrame((7...11).map { event($0, at: base) }, storedAt: base + 21 * second),
      ], horizon: 20 * second, ids: 10)
    try loop.read(1)
    let error = OperatorError.full(operator: "dedupe", count: 6, max: 10)
    #expect(throws: PipelineError.refused(sequence: 2, error)) { try loop.read(1) }
    #expect(loop.pipeline.position == 1 && loop.pipeline.accounting.received == 6)
    // Without the frame in between, what has expired makes room.
    let later = self.loop(
      [loop.history.frames[0], loop.history.frames[2]], horizon: 20 * second, ids: 10)
    try later.read()
    #expect(later.pipeline.accounting.received == 11 && later.pipeline.accounting.duplicate == 0)
    #expect(later.pipeline.idCount == 5)
  }

  @Test("Tuples beyond the limit count for (other), with their site and their money")
  func other() throws {
    let loop = loop(
      [
        LoggedFrame(
          [
            event(1, at: base, campaign: "a"),
            event(
              2, at: base, kind: .conversion, campaign: "b", currency: "EUR", revenue: 5_000_000),
            event(3, at: base, kind: .click, campaign: "a"),
          ], storedAt: base)
      ], tuples: 1)
    try loop.read()
    #expect(loop.pipeline.overflowedCount == 1)
    let rows = loop.pipeline.drainHot().filter { $0.row.level == .day }
    let tuples = rows.compactMap { row in
      row.tuple.withUnsafeBytes { DimensionTuple(encoded: $0) }
    }
    let other = DimensionTuple(
      site: "default", campaign: "(other)", content: "(other)", variant: "(other)",
      channel: "(other)", currency: "EUR")
    #expect(Set(tuples) == [DimensionTuple(site: "default", campaign: "a"), other])
    #expect(rows.map(\.row.counts.revenueMicros).max() == 5_000_000)
  }

  @Test("The timer is the next end or expiry of a window in state")
  func timers() throws {
    let loop = loop([
      LoggedFrame([event(1, at: base + second)], storedAt: base + second),
      .heartbeat(storedAt: base + 15 * second), .heartbeat(storedAt: base + 66 * second),
    ])
    #expect(loop.pipeline.earliestTimer == nil)
    try loop.read(1)
    #expect(loop.pipeline.earliestTimer == base + 10 * second)
    try loop.read(1)
    #expect(loop.pipeline.earliestTimer == base + minute)
    try loop.read(1)
    #expect(loop.pipeline.earliestTimer == base + 70 * second)
  }

  @Test("Identify and custom events are accounted for and make no row")
  func kinds() throws {
    let loop = loop([
      LoggedFrame(
        [event(1, at: base, kind: .identify), event(2, at: base, kind: .custom)], storedAt: base)
    ])
    try loop.read()
    #expect(loop.pipeline.accounting.onTime == 2 && loop.pipeline.rowCount == 0)
    #expect(loop.pipeline.tupleCount == 0 && loop.pipeline.earliestTimer == nil)
  }

  @Test("Dead letters count as received and rejected, heartbeats move time alone")
  func otherFrames() throws {
    let loop = loop([
      .deadLetters([event(1, at: base), event(2, at: base)], storedAt: base),
      .heartbeat(storedAt: base + minute), .poison(storedAt: base + 2 * minute),
      .heartbeat(storedAt: base),
    ])
    try loop.read()
    #expect(loop.pipeline.accounting.received == 2 && loop.pipeline.accounting.rejected == 2)
    #expect(loop.pipeline.logTime == base + 2 * minute && loop.pipeline.position == 4)
    #expect(loop.pipeline.watermark == base + 2 * minute - 5 * second)
  }

  @Test("Money beyond Int64 ends there: it does not run over into debt", arguments: [1, -1])
  func endlessMoney(sign: Int64) {
    var counts = Counts()
    for _ in 0..<3 {
      counts.add(kind: EventKind.conversion.rawValue, revenueMicros: sign * (.max / 2))
    }
    #expect(counts.conversions == 3 && counts.revenueMicros == (sign > 0 ? .max : .min))
    let all = counts
    counts += all
    #expect(counts.conversions == 6 && counts.revenueMicros == all.revenueMicros)
  }
}
