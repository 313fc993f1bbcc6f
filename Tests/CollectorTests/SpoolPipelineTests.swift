import Events
import Metrics
import Ports
import Synchronization
import Testing

@testable import Collector

/// The way of frames through the spool while the log is away.
@Suite("Spool before the log")
struct SpoolPipelineTests {
  typealias Outcomes = IngestPipelineTests.Outcomes

  /// Takes frames or none.
  private final class Switch: Sendable {
    private let state = Mutex((isAway: true, stored: [ScriptedPublisher.Published]()))
    var stored: [ScriptedPublisher.Published] { state.withLock { $0.stored } }
    func comeBack() { state.withLock { $0.isAway = false } }
    func settle(_ frame: ScriptedPublisher.Published, _ sequence: UInt64) -> PublishOutcome {
      state.withLock { state in
        if state.isAway { return .unavailable("no server") }
        let isDuplicate = state.stored.contains {
          $0.stream == frame.stream && $0.messageID == frame.messageID
        }
        if !isDuplicate { state.stored.append(frame) }
        return .stored(sequence: sequence, duplicate: isDuplicate)
      }
    }
    var publisher: ScriptedPublisher { ScriptedPublisher { self.settle($0, $1) } }
    func ids() throws -> [String] {
      try stored.filter { try $0.header().kind != .heartbeat }.flatMap { try $0.ids() }
    }
  }

  @Test("With the log away events are acknowledged, and get there in order once it is back")
  func awayAndBack() async throws {
    try await withFolder { folder in
      let log = Switch()
      let pipeline = try IngestPipelineTests.pipeline(
        log.publisher, streams: ["events-00"], spool: try openSpool(folder))
      pipeline.start()
      let outcomes = Outcomes()
      for number in 0..<20 {
        pipeline.submit([event("e\(number)")], deadLetters: [event("bad\(number)")]) {
          outcomes.add("\(number)", $0)
        }
        await eventually { outcomes["\(number)"] == ["spooled"] }
      }
      #expect(!pipeline.isSaturated)
      #expect(pipeline.spoolState?.frames == 40)
      #expect(pipeline.logProblem?.contains("no server") == true)
      log.comeBack()
      await eventually { pipeline.spoolState?.frames == 0 }
      #expect(pipeline.logIsReachable)
      let ids = try log.ids()
      #expect(ids.filter { $0.hasPrefix("e") } == (0..<20).map { "e\($0)" })
      #expect(ids.filter { $0.hasPrefix("bad") } == (0..<20).map { "bad\($0)" })
      pipeline.submit([event("last")]) { outcomes.add("last", $0) }
      await eventually { outcomes["last"].first?.hasPrefix("stored 1~0.") == true }
      await pipeline.stop(withinMs: 1000)
      #expect(try spoolFiles(folder).isEmpty)
    }
  }

  @Test("Frames of an earlier process go before new ones, under the ids that they had")
  func restart() async throws {
    try await withFolder { folder in
      let away = Switch()
      let outcomes = Outcomes()
      do {
        let pipeline = try IngestPipelineTests.pipeline(
          away.publisher, streams: ["events-00"], spool: try openSpool(folder))
        pipeline.start()
        for number in 0..<5 {
          pipeline.submit([event("e\(number)")]) { outcomes.add("\(number)", $0) }
          await eventually { outcomes["\(number)"] == ["spooled"] }
        }
        await pipeline.stop(withinMs: 1000)
      }
      let log = Switch()
      log.comeBack()
      let publisher = log.publisher
      let pipeline = try IngestPipelineTests.pipeline(
        publisher, streams: ["events-00"], producer: 8, spool: try openSpool(folder))
      pipeline.submit([event("new")]) { outcomes.add("new", $0) }
      pipeline.start()
      await eventually { outcomes["new"].first?.hasPrefix("stored") == true }
      #expect(try log.ids() == (0..<5).map { "e\($0)" } + ["new"])
      for frame in log.stored { #expect(try frame.header().messageID == frame.messageID) }
      await pipeline.stop(withinMs: 1000)
    }
  }

  @Test("A frame that the log had after all is published under the same id")
  func lostAcknowledgement() async throws {
    try await withFolder { folder in
      let publisher = ScriptedPublisher()
      let now = Mutex<Int64>(0)
      let clock = CollectorClock(nowMicros: { testNow }, steadyMicros: { now.withLock { $0 } })
      let pipeline = try IngestPipelineTests.pipeline(
        publisher, streams: ["events-00"], clock: clock, spool: try openSpool(folder))
      pipeline.start()
      let outcomes = Outcomes()
      pipeline.submit([event("e")]) { outcomes.add("e", $0) }
      await eventually { publisher.unsettledCount == 1 }
      now.withLock { $0 = 1_001_000 }
      await eventually { outcomes["e"] == ["spooled"] }
      await eventually { publisher.frames.count == 2 }
      #expect(publisher.frames[0].messageID == publisher.frames[1].messageID)
      #expect(publisher.frames[0].frame == publisher.frames[1].frame)
      publisher.store(duplicate: true)
      await eventually { pipeline.spoolState?.frames == 0 }
      await pipeline.stop(withinMs: 1000)
    }
  }

  @Test("When the spool is full requests fail again, and the ones before are kept")
  func full() async throws {
    try await withFolder { folder in
      let log = Switch()
      let pipeline = try IngestPipelineTests.pipeline(
        log.publisher, streams: ["events-00"], spool: try openSpool(folder))
      pipeline.start()
      let outcomes = Outcomes()
      var spooled = 0
      for number in 0..<100 {
        pipeline.submit([event("e\(number)", person: "\(number)", payloadBytes: 30_000)]) {
          outcomes.add("\(number)", $0)
        }
        await eventually { !outcomes["\(number)"].isEmpty }
        if outcomes["\(number)"] != ["spooled"] { break }
        spooled += 1
      }
      #expect((25...36).contains(spooled))
      #expect(outcomes["\(spooled)"].first?.contains("the spool takes no more") == true)
      #expect(pipeline.spoolState?.takesFrames == false)
      log.comeBack()
      await eventually { pipeline.spoolState?.frames == 0 }
      #expect(try log.ids() == (0..<spooled).map { "e\($0)" })
      await pipeline.stop(withinMs: 1000)
    }
  }

  @Test("One full stream is spooled while the others go on with positions")
  func oneStream() async throws {
    try await withFolder { folder in
      let publisher = ScriptedPublisher { one, sequence in
        one.stream == "events-02"
          ? .full("maximum bytes") : .stored(sequence: sequence, duplicate: false)
      }
      let pipeline = try IngestPipelineTests.pipeline(publisher, spool: try openSpool(folder))
      pipeline.start()
      let outcomes = Outcomes()
      for number in 0..<10 {
        pipeline.submit([event("a\(number)", person: person(in: 2, of: 4))]) {
          outcomes.add("full", $0)
        }
        pipeline.submit([event("b\(number)", person: person(in: 1, of: 4))]) {
          outcomes.add("other", $0)
        }
      }
      await eventually { outcomes["full"].count == 10 && outcomes["other"].count == 10 }
      #expect(outcomes["full"].allSatisfy { $0 == "spooled" })
      #expect(outcomes["other"].allSatisfy { $0.hasPrefix("stored") })
      await pipeline.stop(withinMs: 1000)
    }
  }

  @Test("What waits at a stop is spooled rather than failed")
  func stop() async throws {
    try await withFolder { folder in
      do {
        let pipeline = try IngestPipelineTests.pipeline(
          ScriptedPublisher(), streams: ["events-00"], spool: try openSpool(folder))
        pipeline.start()
        let outcomes = Outcomes()
        for number in 0..<5 { pipeline.submit([event("e\(number)")]) { outcomes.add("r", $0) } }
        await pipeline.stop(withinMs: 20)
        #expect(outcomes["r"] == Array(repeating: "spooled", count: 5))
      }
      #expect(try openSpool(folder).gauges.frames.load(ordering: .relaxed) >= 1)
    }
  }

  @Test("Frames of a generation that has ended are divided among the next one's, once")
  func generations() async throws {
    try await withFolder { folder in
      let isBack = Mutex(false)
      let stored = Mutex<[ScriptedPublisher.Published]>([])
      let publisher = ScriptedPublisher { frame, sequence in
        guard isBack.withLock({ $0 }) else { return .unavailable("no server") }
        if frame.stream.hasPrefix("events-0") { return .sealed("closed") }
        stored.withLock { $0.append(frame) }
        return .stored(sequence: sequence, duplicate: false)
      }
      let pipeline = try IngestPipeline(
        IngestParameters(),
        target: IngestTarget(
          generation: IngestGeneration(number: 1, streams: IngestPipelineTests.streams),
          deadLetterStream: "dead-letters", producer: Key128(low: 7, high: 9),
          successor: { $0 == 1 ? IngestGenerationTests.next : nil }), publisher: publisher,
        spool: try openSpool(folder), metrics: .init(), log: RunningCollector.quietLog)
      pipeline.start()
      let outcomes = Outcomes()
      for number in 0..<10 {
        pipeline.submit((0..<5).map { event("\(number)-\($0)", person: "p\(number * 5 + $0)") }) {
          outcomes.add("\(number)", $0)
        }
        await eventually { outcomes["\(number)"] == ["spooled"] }
      }
      isBack.withLock { $0 = true }
      await eventually { pipeline.spoolState?.frames == 0 }
      #expect(pipeline.generation == 2)
      let frames = stored.withLock { $0 }.filter { $0.stream.hasPrefix("events-g2") }
      var ids: [String] = []
      for frame in frames where try frame.header().kind == .events {
        let header = try frame.header()
        #expect("events-g2-0\(header.partition)" == frame.stream && header.generation == 2)
        ids += try frame.ids()
      }
      #expect(ids.count == 50 && Set(ids).count == 50)
      #expect(Set(frames.map(\.messageID)).count == frames.count)
      await pipeline.stop(withinMs: 1000)
    }
  }

  @Test(
    "Whatever the log does and whenever the collector dies, what was acknowledged is stored once")
  func random() async throws {
    for seed in UInt64(1)...5 {
      try await withFolder { folder in try await Self.history(seed, folder) }
    }
  }

  private static func ids(of frame: ScriptedPublisher.Published) -> [String] {
    do {
      return try frame.ids()
    } catch {
      Issue.record("what was published is no frame: \(error)")
      return []
    }
  }

  private static func history(_ seed: UInt64, _ folder: String) async throws {
    let state = Mutex((random: seed, stored: [String: [String]]()))
    let mood = Mutex(0)
    let decide: @Sendable (ScriptedPublisher.Published, UInt64) -> PublishOutcome = {
      frame, sequence in
      state.withLock { state in
        state.random = state.random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let roll = state.random >> 60
        if mood.withLock({ $0 }) == 1, roll < 12 {
          // Stored, and the acknowledgement lost, or not stored.
          if roll < 4 { state.stored[frame.messageID] = Self.ids(of: frame) }
          return .unavailable("away")
        }
        let isDuplicate = state.stored[frame.messageID] != nil
        if !isDuplicate { state.stored[frame.messageID] = Self.ids(of: frame) }
        return .stored(sequence: sequence, duplicate: isDuplicate)
      }
    }
    let outcomes = Outcomes()
    for life in 0..<4 {
      mood.withLock { $0 = life == 3 ? 0 : 1 }
      let pipeline = try IngestPipelineTests.pipeline(
        ScriptedPublisher(automatic: decide), producer: UInt64(life + 1),
        spool: try openSpool(folder))
      pipeline.start()
      for number in 0..<40 {
        let name = "\(life)-\(number)"
        pipeline.submit([event(name, person: "p\(number)")]) { outcomes.add(name, $0) }
        await eventually { !outcomes[name].isEmpty }
      }
      if life == 3 { await eventually { pipeline.spoolState?.frames == 0 } }
      await pipeline.stop(withinMs: 0)
    }
    #expect(outcomes.all.count == 160)
    #expect(outcomes.all.values.allSatisfy { $0.count == 1 && !$0[0].hasPrefix("unavailable") })
    let ids = state.withLock { $0.stored.values.flatMap { $0 } }
    #expect(ids.count == Set(ids).count, "seed \(seed)")
    #expect(Set(ids) == Set(outcomes.all.keys), "seed \(seed)")
  }
}
