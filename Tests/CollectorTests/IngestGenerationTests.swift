import Events
import Logging
import Metrics
import Ports
import Synchronization
import Testing

@testable import Collector

/// Frames that a stream of an ended generation refuses go to the next generation.
@Suite("Generations of streams")
struct IngestGenerationTests {
  static let next = IngestGeneration(number: 2, streams: (0..<8).map { "events-g2-0\($0)" })

  private static func pipeline(
    _ publisher: ScriptedPublisher,
    successor: @escaping @Sendable (UInt32) -> IngestGeneration?
  ) throws -> IngestPipeline {
    var log = Logger(label: "test")
    log.logLevel = .critical
    return try IngestPipeline(
      IngestParameters(),
      target: IngestTarget(
        generation: IngestGeneration(number: 1, streams: IngestPipelineTests.streams),
        deadLetterStream: "dead-letters", producer: Key128(low: 7, high: 9),
        successor: successor),
      publisher: publisher, metrics: MetricRegistry(), log: log)
  }

  /// Everybody in partition 0 of 4: half of them are in partition 0 of 8, half in partition 1.
  private static let people: [String] = Array(
    (0...).lazy.map { "p\($0)" }.filter { name in
      let person = EventIdentity.personKey(site: "s", id: name)
      return KeyGroup.partition(of: person, partitions: 4) == 0
    }.prefix(20))

  @Test("The events of a refused frame are divided anew, and the request waits for all of them")
  func refused() async throws {
    let publisher = ScriptedPublisher()
    let pipeline = try Self.pipeline(publisher) { $0 == 1 ? Self.next : nil }
    pipeline.start()
    let outcomes = IngestPipelineTests.Outcomes()
    pipeline.submit(Self.people.map { event("e-\($0)", person: $0) }) { outcomes.add("a", $0) }
    await eventually { publisher.unsettledCount == 1 }
    publisher.settle { _ in .sealed("closed") }
    await eventually { publisher.frames.count == 3 }
    #expect(outcomes["a"] == [])
    #expect(pipeline.generation == 2)
    let frames = Array(publisher.frames.dropFirst())
    #expect(Set(frames.map(\.stream)) == ["events-g2-00", "events-g2-01"])
    var ids: [String] = []
    for frame in frames {
      let header = try frame.header()
      #expect(header.generation == 2 && "events-g2-0\(header.partition)" == frame.stream)
      #expect(header.producerSequence == 1)
      ids += try frame.ids()
      try frame.frame.withUnsafeBytes { bytes in
        let view = try FrameView(bytes)
        for index in 0..<view.count {
          #expect(
            KeyGroup.partition(of: view.person(index), partitions: 8) == Int(header.partition))
        }
      }
    }
    #expect(Set(ids) == Set(Self.people.map { "e-\($0)" }) && ids.count == 20)
    publisher.store()
    await eventually { outcomes["a"].count == 1 }
    #expect(outcomes["a"] == ["stored 2~0.1~1.1"])
    await pipeline.stop(withinMs: 1000)
  }

  @Test("Where a request is in both generations its position is of the newer one")
  func bothGenerations() async throws {
    let publisher = ScriptedPublisher { frame, sequence in
      frame.stream == "events-00" ? .sealed("") : .stored(sequence: sequence, duplicate: false)
    }
    let pipeline = try Self.pipeline(publisher) { _ in Self.next }
    pipeline.start()
    let outcomes = IngestPipelineTests.Outcomes()
    let events = [
      event("a", person: Self.people[0]), event("b", person: person(in: 3, of: 4)),
    ]
    pipeline.submit(events) { outcomes.add("a", $0) }
    await eventually { outcomes["a"].count == 1 }
    let partition = KeyGroup.partition(of: events[0].person, partitions: 8)
    let later = outcomes["a"].first ?? ""
    #expect(later.contains("stored 2~") && later.contains("\(partition).1"))
    pipeline.submit([event("c", person: person(in: 3, of: 4))]) { outcomes.add("c", $0) }
    await eventually { outcomes["c"].count == 1 }
    #expect(outcomes["c"].first?.hasPrefix("stored 2~") == true)
    await pipeline.stop(withinMs: 1000)
  }

  @Test("Without a known successor requests are told to come again, until there is one")
  func noSuccessor() async throws {
    let isKnown = Mutex(false)
    let publisher = ScriptedPublisher { frame, sequence in
      frame.stream.hasPrefix("events-0")
        ? .sealed("closed") : .stored(sequence: sequence, duplicate: false)
    }
    let pipeline = try Self.pipeline(publisher) { _ in isKnown.withLock { $0 } ? Self.next : nil }
    pipeline.start()
    let outcomes = IngestPipelineTests.Outcomes()
    pipeline.submit([event("a")]) { outcomes.add("a", $0) }
    await eventually { outcomes["a"].count == 1 }
    #expect(outcomes["a"].first?.hasPrefix("unavailable") == true)
    isKnown.withLock { $0 = true }
    var attempt = 0
    await eventually {
      // As clients do: again and again, with the same id.
      if outcomes["b\(attempt)"].first?.hasPrefix("stored") == false { attempt += 1 }
      if outcomes["b\(attempt)"].isEmpty && publisher.inFlight == 0 {
        let name = "b\(attempt)"
        pipeline.submit([event("a")]) { outcomes.add(name, $0) }
      }
      return outcomes["b\(attempt)"].first?.hasPrefix("stored 2~") == true
    }
    await pipeline.stop(withinMs: 1000)
  }

  @Test(
    "Whatever is refused when, each event is stored in one generation", arguments: UInt64(1)...10)
  func random(seed: UInt64) async throws {
    let refuseFrom = Mutex(SplitMix(seed: seed))
    let closed = Mutex<Set<String>>([])
    let stored = Mutex<[ScriptedPublisher.Published]>([])
    let publisher = ScriptedPublisher { frame, sequence in
      let isClosed = closed.withLock { closed in
        if frame.stream.hasPrefix("events-0"), refuseFrom.withLock({ $0.next() % 4 == 0 }) {
          closed.insert(frame.stream)
        }
        return closed.contains(frame.stream)
      }
      if isClosed { return .sealed("") }
      stored.withLock { $0.append(frame) }
      return .stored(sequence: sequence, duplicate: false)
    }
    let pipeline = try Self.pipeline(publisher) { _ in Self.next }
    pipeline.start()
    let outcomes = IngestPipelineTests.Outcomes()
    for request in 0..<100 {
      let events = (0..<5).map { event("\(request)-\($0)", person: "p\(request * 7 + $0)") }
      pipeline.submit(events) { outcomes.add("\(request)", $0) }
    }
    await eventually { outcomes.all.count == 100 }
    await pipeline.stop(withinMs: 1000)
    #expect(outcomes.all.values.allSatisfy { $0.count == 1 && $0[0].hasPrefix("stored") })
    let ids = try stored.withLock { $0 }.flatMap { try $0.ids() }
    #expect(ids.count == 500 && Set(ids).count == 500)
  }
}

/// Numbers from a seed.
struct SplitMix {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 33
  }
}
