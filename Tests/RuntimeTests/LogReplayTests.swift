import Dataflow
import Events
import Oracles
import Ports
import Testing
import Verification
import Views

@testable import Runtime

/// The past of a log, as a replay gives it.
@Suite struct LogReplayTests {
  private static let cuts: [[Int]] = [[1], [3], [1, 2], [4, 3], [2, 5, 1], [3, 1, 4]]

  @Test(
    "At any instant every read model is that of an independent recount, over all generations",
    arguments: 0..<60 as Range<UInt64>)
  func recounted(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed &* 7919)
    let made = RepartitionedLog(seed: seed, partitions: random.pick(Self.cuts))
    for until in [random.pick(made.times), random.pick(made.times), .max] {
      let views = try made.replay(until: until)
      let report = try Verifier(made.spec, generations: made.generations, log: made.log).verify(
        ReplayedTables(views))
      for finding in report.tables {
        #expect(
          finding.differenceCount == 0,
          "seed \(seed) until \(until): \(finding.table): \(finding.first ?? "")")
      }
      for (stream, checkpoint) in views.checkpointsByStream where stream.role != .partials {
        let wanted = made.log.streams[stream.stream, default: []].prefix { $0.storedAt <= until }
        #expect(checkpoint.sequence == UInt64(wanted.count), "seed \(seed) \(stream.stream)")
      }
    }
  }

  @Test("A device that is handed over long after its user's click is verified, and attributed")
  func handedOverLate() throws {
    let story = Story()
    // The click is older than an event that is still let in could be attributed to.
    story.append(after: 0) { ($0.user, $0.kind) = (1, .click) }
    story.append(after: 4 * minute) {
      ($0.device, $0.kind, $0.revenue) = (1, .conversion, 1_250_000)
    }
    story.append(after: 6 * minute) { $0.user = 2 }
    story.append(after: 30 * second) { ($0.device, $0.user, $0.kind) = (1, 1, .identify) }
    let outcomes = try story.verified()
    #expect(outcomes.sessions == 3 && outcomes.attributedConversions == 1)
  }

  @Test(
    "Users who are united are verified, whether or not a click has left state by then",
    arguments: [8, 12, 16, 20])
  func unitedLate(minutes: Int64) throws {
    let story = Story()
    story.append(after: 0) { ($0.user, $0.kind) = (1, .click) }
    story.append(after: 4 * minute) { ($0.user, $0.kind, $0.revenue) = (2, .conversion, 1_250_000) }
    story.append(after: (minutes - 4) * minute) { $0.user = 3 }
    story.append(after: 30 * second) { $0.user = 3 }
    story.append(after: 30 * second) { ($0.user, $0.otherUser, $0.kind) = (1, 2, .alias) }
    let outcomes = try story.verified()
    // State reaches fourteen minutes back.
    #expect(outcomes.attributedConversions == (minutes < 14 ? 1 : 0))
  }

  @Test(
    "What united users do is one person's until nothing is in state of them, and then each one's own",
    arguments: [13, 33, 36, 60])
  func unitedAndForgotten(minutes: Int64) throws {
    let story = Story()
    story.append(after: 0) { ($0.user, $0.variant) = (1, "a") }
    story.append(after: second) { ($0.user, $0.otherUser, $0.kind) = (1, 2, .alias) }
    story.append(after: minutes * minute) { $0.user = 3 }
    story.append(after: 30 * second) { ($0.user, $0.kind) = (1, .click) }
    story.append(after: 30 * second) {
      ($0.user, $0.kind, $0.revenue) = (2, .conversion, 1_000_000)
    }
    let outcomes = try story.verified()
    // State reaches fourteen minutes back, and what exposed them is remembered for twenty more.
    #expect(outcomes.attributedConversions == (minutes < 34 ? 1 : 0))
    #expect(outcomes.sessions == (minutes < 34 ? 3 : 4))
  }

  @Test("The histories of the law above have everything that it is about")
  func isAboutSomething() throws {
    var seen = Accounting()
    var outcomes = Outcomes()
    var exposures = Exposures()
    var baselines = Baselines()
    var trendCount = 0
    var lateCount = 0
    for seed in 0..<20 as Range<UInt64> {
      let made = RepartitionedLog(seed: seed, partitions: [4, 3])
      let views = try made.replay(until: .max)
      for (stream, part) in views.accountingByStream where stream.generation == 2 {
        seen.duplicate += part.duplicate
        seen.late += part.late
        seen.tooLate += part.tooLate
      }
      for window in views.windows where window.measure == .outcomes && window.row.level == .day {
        outcomes += Outcomes(window.row.counts)
      }
      for window in views.windows where window.row.level == .day {
        if window.measure == .exposures { exposures += Exposures(window.row.counts) }
        if window.measure == .baselines { baselines += Baselines(window.row.counts) }
      }
      trendCount += views.trends.count { $0.row.isFinal }
      lateCount += views.lateEvents.count
    }
    #expect(min(seen.duplicate, seen.late, seen.tooLate) > 20, "\(seen)")
    #expect(min(outcomes.sessions, outcomes.attributedClicks, outcomes.attributedConversions) > 20)
    #expect(
      min(exposures.persons, exposures.clickers, exposures.converters, exposures.mixed) > 10,
      "\(exposures)")
    #expect(min(baselines.prior, baselines.priorClicked, baselines.priorRevenueMicros) > 10)
    #expect(trendCount > 200 && lateCount > 50)
  }

  @Test("The next generation begins once the one before has come to its end and something follows")
  func cut() throws {
    let made = RepartitionedLog(seed: 5, partitions: [2, 3])
    let old = made.generations[0].streams.map { made.log.streams[$0, default: []] }
    let new = made.generations[1].streams.map { made.log.streams[$0, default: []] }
    let oldEnd = old.compactMap { $0.last?.storedAt }.max() ?? .max
    let newBegin = new.compactMap { $0.first?.storedAt }.min() ?? .max
    #expect(newBegin < oldEnd, "they overlap where streams are closed one by one")
    for (until, generations) in [(oldEnd - 1, [1]), (oldEnd, [1, 2]), (Int64.max, [1, 2])] {
      let views = try made.replay(until: until)
      let read = views.checkpointsByStream.filter { $0.key.role == .events }
      #expect(Set(read.keys.map(\.generation)) == Set(generations.map(UInt32.init)))
      let isFinished = read.filter { $0.key.generation == 1 }.values.allSatisfy(\.isFinished)
      #expect(isFinished == (generations.count == 2))
      let closed = views.windows.filter { $0.stream.generation == 1 && $0.stream.role == .events }
      #expect(closed.allSatisfy(\.row.isFinal) == isFinished)
    }
  }

  @Test("A sealed generation after which nothing has come is as open as it was")
  func sealedAlone() throws {
    var random = SeededGenerator(seed: 3)
    let made = RepartitionedLog(seed: 3, partitions: [2])
    let sealed = LogGeneration(
      number: 1, streams: made.generations[0].streams,
      ends: made.generations[0].streams.map { made.log.count($0) })
    let next = LogGeneration(number: 2, streams: ["events-g2-00"])
    for until in [random.pick(made.times), .max] {
      let open = try made.replay(until: until)
      let views = try LogReplay(
        made.spec, generations: [sealed, next], deadLetters: RepartitionedLog.deadLetters,
        log: made.log, until: until
      ).run()
      #expect(views.checkpointsByStream == open.checkpointsByStream)
      #expect(views.windows.map(\.row) == open.windows.map(\.row))
      #expect(views.trends.map(\.row) == open.trends.map(\.row))
    }
  }

  @Test("Trends are answered for the newest window that has rows, beside the one a length before")
  func trends() async throws {
    let spec = PipelineSpec(
      name: "test", allowedDisorder: 2 * second,
      trends: TrendPolicy(size: 60 * second, slide: 10 * second))
    let clock = SimulatedClock()
    let log = SimulatedLog(clock: clock)
    // A click a second, of spring for a minute and of summer twice a second for half of the next.
    var id: UInt64 = 0
    for tick in 0..<90 {
      let now = clock.logTime
      let campaigns = tick < 60 ? ["spring"] : ["summer", "summer"]
      let events = campaigns.map { campaign in
        id += 1
        return TestEvent(id: id, time: now, kind: .click, campaign: campaign)
      }
      log.append(LogEntry.events(events, at: now).bytes, to: "events-00")
      clock.advance(micros: second)
    }
    func answer(until: Int64) async throws -> TrendAnswer {
      try await LogReplay(
        spec, generations: [LogGeneration(number: 1, streams: ["events-00"])],
        deadLetters: World.deadLetters, log: log, until: until
      ).run().trends(site: "shop", groupBy: .campaign)
    }
    func clicks(_ answer: TrendAnswer, _ bucket: Int) -> [String: Int64] {
      answer.groups.filter { $0.bucket == bucket }.reduce(into: [:]) {
        $0[$1.dimensions[0]] = $1.counts.clicks
      }
    }
    // The tick of the last frame is open, so the second stage has come to the one before.
    let open = try await answer(until: .max)
    #expect(open.end == ten + 90 * second && open.size == 60 * second)
    #expect(clicks(open, 1) == ["spring": 30, "summer": 58])
    #expect(clicks(open, 0) == ["spring": 30])
    let earlier = try await answer(until: ten + 75 * second)
    #expect(earlier.end == ten + 80 * second)
    #expect(clicks(earlier, 1) == ["spring": 40, "summer": 30])
    #expect(clicks(earlier, 0) == ["spring": 20])
    // Where nothing is counted any more, the last window that is final is the newest.
    for pause in [10, 4] as [Int64] {
      clock.advance(micros: pause * second)
      log.append(LogEntry.heartbeat(at: 0).bytes, to: "events-00")
    }
    let quiet = try await answer(until: .max)
    #expect(quiet.end == ten + 90 * second && quiet.checkpoint.watermark == ten + 98 * second)
    #expect(clicks(quiet, 1) == ["spring": 30, "summer": 60])
    let nothing = try await answer(until: ten - 1)
    #expect(nothing.end == nil && nothing.groups.isEmpty)
  }

  @Test("A pipeline without trends says so")
  func withoutTrends() async throws {
    let log = SimulatedLog(clock: SimulatedClock())
    let views = try LogReplay(
      World.shortGrace, generations: [LogGeneration(number: 1, streams: ["events-00"])],
      deadLetters: World.deadLetters, log: log, until: .max
    ).run()
    await #expect(throws: ViewReadError.refused("the pipeline declares no trends")) {
      try await views.trends(site: "shop", groupBy: .campaign)
    }
  }

  @Test("Rows whose retention is over at the instant are not there")
  func retention() throws {
    let spec = PipelineSpec(
      name: "test", allowedDisorder: 2 * second,
      trends: TrendPolicy(size: 60 * second, slide: 10 * second, retention: 3 * hour))
    let clock = SimulatedClock()
    let log = SimulatedLog(clock: clock)
    for (id, pause) in [hour, 49 * hour, second, second].enumerated() {
      let event = TestEvent(id: UInt64(id + 1), time: clock.logTime)
      log.append(LogEntry.events([event], at: clock.logTime).bytes, to: "events-00")
      clock.advance(micros: pause)
    }
    func replay(until: Int64) throws -> ReplayedViews {
      try LogReplay(
        spec, generations: [LogGeneration(number: 1, streams: ["events-00"])],
        deadLetters: World.deadLetters, log: log, until: until
      ).run()
    }
    func starts(_ level: WindowLevel, _ views: ReplayedViews) -> Set<Int64> {
      Set(views.windows.filter { $0.row.level == level }.map(\.row.start))
    }
    let early = try replay(until: ten + hour)
    #expect(starts(.tenSeconds, early) == [ten, ten + hour])
    // The second stage has come to the frame before.
    #expect(try replay(until: ten + 50 * hour).trends.contains { $0.row.end == ten + minute })
    let late = try replay(until: .max)
    #expect(starts(.tenSeconds, late) == [ten + 50 * hour])
    #expect(starts(.minute, late) == [ten, ten + hour, ten + 50 * hour])
    #expect(!late.trends.isEmpty && late.trends.allSatisfy { $0.row.end > ten + 47 * hour })
  }
}

/// One event after the other in a log of one partition, and what comes of them.
private struct Story {
  private let clock = SimulatedClock()
  private let log: SimulatedLog

  init() { log = SimulatedLog(clock: clock) }

  func append(after pause: Int64, _ change: (inout TestEvent) -> Void) {
    clock.advance(micros: pause)
    var event = TestEvent(id: UInt64(clock.logTime), time: clock.logTime)
    change(&event)
    log.append(LogEntry.events([event], at: clock.logTime).bytes, to: "events-00")
  }

  /// Outcomes by the day once everything has left state; a replay and a recount agree.
  func verified() throws -> Outcomes {
    for _ in 0..<2 {
      clock.advance(micros: hour)
      log.append(LogEntry.heartbeat(at: 0).bytes, to: "events-00")
    }
    let spec = PipelineSpec(name: "test", persons: RepartitionedLog.policy)
    let generations = [LogGeneration(number: 1, streams: ["events-00"])]
    let views = try LogReplay(
      spec, generations: generations, deadLetters: World.deadLetters, log: log, until: .max
    ).run()
    let report = try Verifier(spec, generations: generations, log: log).verify(
      ReplayedTables(views))
    for finding in report.tables {
      #expect(finding.differenceCount == 0, "\(finding.table): \(finding.first ?? "")")
    }
    var outcomes = Outcomes()
    for window in views.windows where window.measure == .outcomes && window.row.level == .day {
      outcomes += Outcomes(window.row.counts)
    }
    return outcomes
  }
}
