import Collector
import Events
import Foundation
import Logging
import Metrics
import Ports
import Synchronization
import Testing

/// Waits until `condition` holds, for at most ten seconds.
func eventually(
  _ condition: () -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async {
  let deadline = ContinuousClock.now + .seconds(10)
  while !condition() {
    if ContinuousClock.now > deadline {
      Issue.record("the condition did not come true", sourceLocation: sourceLocation)
      return
    }
    await Task.yield()
  }
}

func event(_ id: String, person: String = "p", payloadBytes: Int = 100) -> IncomingEvent {
  IncomingEvent(
    kind: .impression,
    key: EventIdentity.dedupeKey(site: "s", source: "x", eventID: id),
    person: EventIdentity.personKey(site: "s", id: person), eventTime: testNow,
    receivedAt: testNow, dimensions: DimensionTuple(site: "s").encoded, id: id, name: "n",
    source: "test", payload: [UInt8](repeating: 0x20, count: payloadBytes))
}

/// A person whose events go to the partition.
func person(in partition: Int, of partitions: Int) -> String {
  (0...).lazy.map { "p\($0)" }.first {
    KeyGroup.partition(of: EventIdentity.personKey(site: "s", id: $0), partitions: partitions)
      == partition
  } ?? ""
}

@Suite("Group commit")
struct IngestPipelineTests {
  static let streams = ["events-00", "events-01", "events-02", "events-03"]

  /// Collects outcomes by the name of their request.
  final class Outcomes: Sendable {
    private let state = Mutex<[String: [String]]>([:])
    func add(_ name: String, _ outcome: IngestOutcome) {
      let text =
        switch outcome {
        case .stored(let position): "stored \(position)"
        case .spooled: "spooled"
        case .overloaded(let overload): "overloaded: \(overload)"
        case .unavailable(let reason): "unavailable: \(reason)"
        }
      state.withLock { $0[name, default: []].append(text) }
    }
    var all: [String: [String]] { state.withLock { $0 } }
    subscript(name: String) -> [String] { all[name] ?? [] }
  }

  static func pipeline(
    _ publisher: ScriptedPublisher, streams: [String] = streams,
    clock: CollectorClock = .system, producer: UInt64 = 7, spool: Spool? = nil,
    configure: (inout IngestParameters) -> Void = { _ in }
  ) throws -> IngestPipeline {
    var parameters = IngestParameters()
    parameters.frameBytesMax = 64 * 1024
    parameters.longFrameBytes = 16 * 1024
    configure(&parameters)
    var log = Logger(label: "test")
    log.logLevel = .critical
    return try IngestPipeline(
      parameters,
      target: IngestTarget(
        generation: IngestGeneration(number: 1, streams: streams), deadLetterStream: "dead-letters",
        producer: Key128(low: producer, high: 9)), publisher: publisher, spool: spool,
      metrics: MetricRegistry(),
      clock: clock, log: log)
  }

  @Test("A request is answered only after its frame is acknowledged, with its position")
  func lateAck() async throws {
    let publisher = ScriptedPublisher()
    let pipeline = try Self.pipeline(publisher)
    pipeline.start()
    let outcomes = Outcomes()
    let person = person(in: 2, of: 4)
    pipeline.submit([event("e1", person: person)]) { outcomes.add("r", $0) }
    await eventually { publisher.unsettledCount == 1 }
    #expect(outcomes.all.isEmpty)
    let frame = try #require(publisher.frames.first)
    #expect(frame.stream == "events-02")
    #expect(try frame.ids() == ["e1"])
    let header = try frame.header()
    #expect(header.partition == 2)
    #expect(header.kind == .events)
    #expect(header.messageID == frame.messageID)
    publisher.store()
    await eventually { outcomes["r"] == ["stored 1~2.1"] }
    await pipeline.stop(withinMs: 1000)
  }

  @Test("While a frame is on its way later requests gather in one frame")
  func gathering() async throws {
    let publisher = ScriptedPublisher()
    let pipeline = try Self.pipeline(publisher, streams: ["events-00"])
    pipeline.start()
    let outcomes = Outcomes()
    pipeline.submit([event("e0")]) { outcomes.add("0", $0) }
    await eventually { publisher.unsettledCount == 1 }
    for number in 1..<50 {
      pipeline.submit([event("e\(number)")]) { outcomes.add("\(number)", $0) }
    }
    publisher.store()
    await eventually { publisher.frames.count == 2 && publisher.unsettledCount == 1 }
    #expect(try publisher.frames[1].ids() == (1..<50).map { "e\($0)" })
    publisher.store()
    await eventually { outcomes.all.count == 50 }
    #expect(outcomes["0"] == ["stored 1~0.1"])
    #expect(outcomes["49"] == ["stored 1~0.2"])
    #expect(publisher.mostInFlight("events-00") == 1)
    #expect(Set(publisher.frames.map(\.messageID)).count == 2)
    await pipeline.stop(withinMs: 1000)
  }

  @Test("A long frame does not wait for the one before it, but for the one before that")
  func longFrames() async throws {
    let publisher = ScriptedPublisher()
    let pipeline = try Self.pipeline(publisher, streams: ["events-00"])
    pipeline.start()
    let outcomes = Outcomes()
    for number in 0..<2 {
      pipeline.submit([event("e\(number)", payloadBytes: 20_000)]) { outcomes.add("r", $0) }
      await eventually { publisher.unsettledCount == number + 1 }
    }
    for number in 2..<5 {
      pipeline.submit([event("e\(number)", payloadBytes: 20_000)]) { outcomes.add("r", $0) }
    }
    publisher.store()
    await eventually { publisher.frames.count == 3 }
    #expect(try publisher.frames[2].ids() == ["e2", "e3", "e4"])
    publisher.store()
    await eventually { outcomes["r"].count == 5 }
    #expect(publisher.mostInFlight("events-00") == 2)
    await pipeline.stop(withinMs: 1000)
  }

  @Test("Short frames keep their interval; the first one after a pause goes at once")
  func interval() async throws {
    let publisher = ScriptedPublisher.storing
    let now = Mutex<Int64>(0)
    let clock = CollectorClock(nowMicros: { testNow }, steadyMicros: { now.withLock { $0 } })
    let pipeline = try Self.pipeline(publisher, streams: ["events-00"], clock: clock)
    pipeline.start()
    let outcomes = Outcomes()
    pipeline.submit([event("e0")]) { outcomes.add("r", $0) }
    await eventually { outcomes["r"].count == 1 }
    now.withLock { $0 = 3999 }
    pipeline.submit([event("e1")]) { outcomes.add("r", $0) }
    pipeline.submit([event("e2")]) { outcomes.add("r", $0) }
    #expect(publisher.frames.count == 1)
    now.withLock { $0 = 4000 }
    await eventually { outcomes["r"].count == 3 }
    #expect(try publisher.frames.map { try $0.ids() } == [["e0"], ["e1", "e2"]])
    await pipeline.stop(withinMs: 1000)
  }

  @Test(
    "Frames with most of what is not answered yet do not wait for the interval, and go together")
  func rounds() async throws {
    let publisher = ScriptedPublisher()
    let clock = CollectorClock(nowMicros: { testNow }, steadyMicros: { 1 })
    let pipeline = try Self.pipeline(publisher, clock: clock)
    pipeline.start()
    let outcomes = Outcomes()
    func submit(_ partition: Int, _ count: Int) {
      let person = person(in: partition, of: 4)
      let events = (0..<count).map { event("p\(partition)-\($0)", person: person) }
      pipeline.submit(events) { outcomes.add("r", $0) }
    }
    for partition in 0..<4 { submit(partition, 1) }
    await eventually { publisher.unsettledCount == 4 }
    publisher.store()
    await eventually { outcomes["r"].count == 4 }
    // The clock stands still, so no interval ends. A few events are worth no frame of their own.
    submit(1, 3)
    submit(0, 60)
    await eventually { publisher.unsettledCount == 2 }
    #expect(publisher.frames.suffix(2).map(\.stream) == ["events-00", "events-01"])
    #expect(try publisher.frames.suffix(2).map { try $0.ids().count } == [60, 3])
    // As much as is on its way to any partition is waited for.
    submit(2, 30)
    submit(3, 20)
    submit(2, 10)
    await eventually { publisher.unsettledCount == 4 }
    #expect(publisher.frames.suffix(2).map(\.stream) == ["events-02", "events-03"])
    #expect(try publisher.frames.suffix(2).map { try $0.ids().count } == [40, 20])
    #expect(outcomes["r"].count == 4)
    await pipeline.stop(withinMs: 0)
  }

  @Test("A frame of a crowd waits for twice as long")
  func crowd() async throws {
    let publisher = ScriptedPublisher()
    let now = Mutex<Int64>(1)
    let clock = CollectorClock(nowMicros: { testNow }, steadyMicros: { now.withLock { $0 } })
    let pipeline = try Self.pipeline(publisher, clock: clock) { $0.crowdedFrameBytes = 6000 }
    pipeline.start()
    let outcomes = Outcomes()
    func submit(_ partition: Int, _ count: Int, payloadBytes: Int = 100) {
      let person = person(in: partition, of: 4)
      let events = (0..<count).map {
        event("p\(partition)-\($0)", person: person, payloadBytes: payloadBytes)
      }
      pipeline.submit(events) { outcomes.add("r", $0) }
    }
    submit(1, 1)
    await eventually { publisher.unsettledCount == 1 }
    publisher.store()
    await eventually { outcomes["r"].count == 1 }
    // So much is on its way elsewhere that nothing here is most of it.
    submit(0, 3, payloadBytes: 20_000)
    await eventually { publisher.unsettledCount == 1 }
    submit(1, 40)
    now.withLock { $0 = 8000 }
    // The lanes are looked at in their order, and this one does not wait.
    submit(2, 1)
    await eventually { publisher.unsettledCount == 2 }
    #expect(publisher.frames.map(\.stream) == ["events-01", "events-00", "events-02"])
    now.withLock { $0 = 8001 }
    await eventually { publisher.unsettledCount == 3 }
    #expect(publisher.frames.map(\.stream).last == "events-01")
    await pipeline.stop(withinMs: 0)
  }

  @Test("A request over several partitions waits for all of them; its position names each")
  func severalPartitions() async throws {
    let publisher = ScriptedPublisher()
    let pipeline = try Self.pipeline(publisher)
    pipeline.start()
    let outcomes = Outcomes()
    let events = (0..<4).map { event("e\($0)", person: person(in: $0, of: 4)) }
    pipeline.submit(events, deadLetters: [event("bad")]) { outcomes.add("r", $0) }
    await eventually { publisher.unsettledCount == 5 }
    #expect(outcomes.all.isEmpty)
    let letters = try #require(publisher.frames.first { $0.stream == "dead-letters" })
    #expect(try letters.header().kind == .deadLetters)
    publisher.store(duplicate: true)
    await eventually { outcomes["r"] == ["stored 1~0.1~1.1~2.1~3.1"] }
    await pipeline.stop(withinMs: 1000)
  }

  @Test("One failed frame fails the whole request, once")
  func partialFailure() async throws {
    let publisher = ScriptedPublisher { frame, sequence in
      frame.stream == "events-03"
        ? .full("no space") : .stored(sequence: sequence, duplicate: false)
    }
    let pipeline = try Self.pipeline(publisher)
    pipeline.start()
    let outcomes = Outcomes()
    let events = (0..<4).map { event("e\($0)", person: person(in: $0, of: 4)) }
    pipeline.submit(events) { outcomes.add("r", $0) }
    await eventually { outcomes["r"] == ["unavailable: the log is full"] }
    await pipeline.stop(withinMs: 1000)
    #expect(outcomes["r"].count == 1)
  }

  @Test("With the log away requests fail and new ones are refused but for one that tries")
  func logAway() async throws {
    let publisher = ScriptedPublisher { _, _ in .unavailable("no server") }
    let pipeline = try Self.pipeline(publisher)
    pipeline.start()
    #expect(pipeline.logIsReachable)
    let outcomes = Outcomes()
    pipeline.submit([event("e1")]) { outcomes.add("1", $0) }
    await eventually { outcomes["1"] == ["unavailable: the log is not reachable"] }
    #expect(!pipeline.logIsReachable)
    #expect(!pipeline.isSaturated, "the next request may try")
    publisher.becomeAutomatic { _, sequence in .stored(sequence: sequence, duplicate: true) }
    pipeline.submit([event("e1")]) { outcomes.add("2", $0) }
    await eventually { outcomes["2"].count == 1 }
    #expect(pipeline.logIsReachable)
    await pipeline.stop(withinMs: 1000)
  }

  @Test("A log that is back is found well again though no request comes")
  func logBack() async throws {
    let publisher = ScriptedPublisher { _, _ in .unavailable("no server") }
    let pipeline = try Self.pipeline(publisher)
    pipeline.start()
    let outcomes = Outcomes()
    pipeline.submit([event("e1")]) { outcomes.add("1", $0) }
    await eventually { outcomes["1"].count == 1 }
    #expect(pipeline.logProblem?.contains("the log is not reachable (no server)") == true)
    publisher.becomeAutomatic { _, sequence in .stored(sequence: sequence, duplicate: false) }
    await eventually { pipeline.logIsReachable }
    #expect(pipeline.logProblem == nil)
    let last = try #require(publisher.frames.last)
    #expect(try last.header().kind == .heartbeat)
    await pipeline.stop(withinMs: 1000)
  }

  @Test("A stream that takes nothing holds nobody up who writes to the others")
  func oneStreamFull() async throws {
    let publisher = ScriptedPublisher { one, sequence in
      one.stream == "events-02"
        ? .full("maximum bytes exceeded") : .stored(sequence: sequence, duplicate: false)
    }
    let pipeline = try Self.pipeline(publisher)
    pipeline.start()
    let outcomes = Outcomes()
    pipeline.submit([event("e1", person: person(in: 2, of: 4))]) { outcomes.add("full", $0) }
    await eventually { outcomes["full"] == ["unavailable: the log is full"] }
    #expect(pipeline.logProblem?.hasPrefix("events-02: the log is full") == true)
    for number in 0..<20 {
      #expect(!pipeline.isSaturated)
      pipeline.submit([event("e\(number)", person: person(in: 1, of: 4))]) {
        outcomes.add("other", $0)
      }
    }
    await eventually { outcomes["other"].count == 20 }
    #expect(outcomes["other"].allSatisfy { $0.hasPrefix("stored") })
    #expect(!pipeline.logIsReachable, "one stream is still full")
    await pipeline.stop(withinMs: 1000)
  }

  @Test("Requests that wait too long fail, and their slots' outcomes are still taken")
  func deadline() async throws {
    let publisher = ScriptedPublisher()
    let now = Mutex<Int64>(0)
    let clock = CollectorClock(nowMicros: { testNow }, steadyMicros: { now.withLock { $0 } })
    let pipeline = try Self.pipeline(publisher, streams: ["events-00"], clock: clock)
    pipeline.start()
    let outcomes = Outcomes()
    for number in 0..<3 {
      pipeline.submit([event("e\(number)")]) { outcomes.add("\(number)", $0) }
      await eventually { publisher.unsettledCount == 1 }
    }
    now.withLock { $0 = 4_999_000 }
    pipeline.submit([event("e3")]) { outcomes.add("3", $0) }
    now.withLock { $0 = 5_001_000 }
    await eventually { outcomes.all.count == 4 }
    #expect(outcomes["0"] == ["unavailable: the log is too slow"])
    #expect(outcomes["2"] == ["unavailable: the log is too slow"])
    publisher.store()
    now.withLock { $0 = 6_000_000 }
    pipeline.submit([event("e4")]) { outcomes.add("4", $0) }
    await eventually { publisher.frames.count == 2 }
    publisher.store()
    await eventually { outcomes["4"] == ["stored 1~0.2"] }
    #expect(outcomes.all.values.allSatisfy { $0.count == 1 })
    await pipeline.stop(withinMs: 1000)
  }

  @Test("Frames hold to their limits; one request may span several")
  func frameLimits() async throws {
    let publisher = ScriptedPublisher()
    let pipeline = try Self.pipeline(publisher, streams: ["events-00"]) {
      $0.frameBytesMax = 4096
      $0.longFrameBytes = 2048
      $0.frameEventsMax = 10
    }
    pipeline.start()
    let outcomes = Outcomes()
    pipeline.submit((0..<25).map { event("a\($0)", payloadBytes: 10) }) { outcomes.add("a", $0) }
    pipeline.submit((0..<5).map { event("b\($0)", payloadBytes: 1500) }) { outcomes.add("b", $0) }
    pipeline.submit([event("c", payloadBytes: 32_768)]) { outcomes.add("c", $0) }
    let settled = Mutex(0)
    await eventually {
      publisher.store()
      settled.withLock { $0 += 1 }
      return outcomes.all.count == 3
    }
    let ids = try publisher.frames.map { try $0.ids() }
    #expect(ids.map(\.count).max() == 10)
    #expect(ids.flatMap { $0 } == (0..<25).map { "a\($0)" } + (0..<5).map { "b\($0)" } + ["c"])
    for frame in publisher.frames.dropLast() { #expect(frame.frame.count < 4096 + 1024) }
    await pipeline.stop(withinMs: 1000)
  }

  @Test("Too many waiting bytes saturate the pipeline until they are published")
  func saturation() async throws {
    let publisher = ScriptedPublisher()
    let pipeline = try Self.pipeline(publisher, streams: ["events-00"]) {
      $0.waitingBytesMax = 65_536
    }
    pipeline.start()
    let outcomes = Outcomes()
    for number in 0..<8 {
      pipeline.submit([event("e\(number)", person: "\(number)", payloadBytes: 30_000)]) {
        outcomes.add("\(number)", $0)
      }
      // Two are on their way, three fill the lane.
      await eventually { publisher.unsettledCount == min(2, number + 1) }
    }
    #expect(pipeline.isSaturated)
    #expect(Set(outcomes.all.keys) == ["5", "6", "7"])
    #expect(outcomes.all.values.allSatisfy { $0 == ["overloaded: log"] })
    await eventually {
      publisher.store()
      return outcomes.all.count == 8
    }
    #expect(!pipeline.isSaturated)
    await pipeline.stop(withinMs: 1000)
  }

  @Test("The publisher's window is never exceeded")
  func window() async throws {
    let publisher = ScriptedPublisher(windowMax: 3)
    let pipeline = try Self.pipeline(publisher)
    pipeline.start()
    let outcomes = Outcomes()
    for number in 0..<40 {
      pipeline.submit([event("e\(number)", person: person(in: number % 4, of: 4))]) {
        outcomes.add("\(number)", $0)
      }
    }
    await eventually {
      #expect(publisher.unsettledCount <= 3)
      publisher.store()
      return outcomes.all.count == 40
    }
    await pipeline.stop(withinMs: 1000)
  }

  @Test("A stop publishes what waits; at its deadline the rest fails")
  func stop() async throws {
    let storing = ScriptedPublisher.storing
    let pipeline = try Self.pipeline(storing)
    let outcomes = Outcomes()
    for number in 0..<10 {
      pipeline.submit([event("e\(number)")]) { outcomes.add("\(number)", $0) }
    }
    pipeline.start()
    await pipeline.stop(withinMs: 10_000)
    #expect(outcomes.all.count == 10)
    let stuck = try Self.pipeline(ScriptedPublisher(), streams: ["events-00"])
    stuck.start()
    for number in 0..<5 {
      stuck.submit([event("e\(number)")]) { outcomes.add("stuck", $0) }
    }
    await stuck.stop(withinMs: 20)
    #expect(
      outcomes["stuck"] == Array(repeating: "unavailable: the collector stops", count: 5))
  }

  @Test("Nothing to store is answered at once")
  func nothing() throws {
    let pipeline = try Self.pipeline(ScriptedPublisher())
    let outcomes = Outcomes()
    pipeline.submit([]) { outcomes.add("r", $0) }
    #expect(outcomes["r"] == ["stored 1"])
  }

  @Test("Requests from many threads are each answered once and stored once")
  func manyThreads() async throws {
    let publisher = ScriptedPublisher.storing
    let pipeline = try Self.pipeline(publisher) {
      $0.frameBytesMax = 4096
      $0.longFrameBytes = 2048
    }
    pipeline.start()
    let outcomes = Outcomes()
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for number in 0..<200 {
            let events = (0..<5).map { event("\(task)-\(number)-\($0)", person: "\(number)\($0)") }
            pipeline.submit(events) { outcomes.add("\(task)-\(number)", $0) }
          }
        }
      }
    }
    await eventually { outcomes.all.count == 1600 }
    await pipeline.stop(withinMs: 1000)
    #expect(outcomes.all.values.allSatisfy { $0.count == 1 && $0[0].hasPrefix("stored") })
    let ids = try publisher.frames.flatMap { try $0.ids() }
    #expect(ids.count == 8000)
    #expect(Set(ids).count == 8000)
  }

  @Test("A parameter outside its range is refused")
  func parameters() {
    #expect(throws: IngestParameterError.self) {
      try Self.pipeline(ScriptedPublisher()) { $0.waitingBytesMax = 1 }
    }
  }
}
