import Events
import Metrics
import Ports
import Synchronization
import Testing

@testable import Collector

/// Nobody is refused, or made to wait for long, because of somebody else.
@Suite("Fairness of lanes")
struct LaneFairnessTests {
  typealias Outcomes = IngestPipelineTests.Outcomes

  /// Holds frames back, so that what is submitted waits.
  private static func stuck(
    streams: [String] = ["events-00"], _ configure: (inout IngestParameters) -> Void = { _ in }
  ) async throws -> (ScriptedPublisher, IngestPipeline, Outcomes) {
    let publisher = ScriptedPublisher()
    let pipeline = try IngestPipelineTests.pipeline(publisher, streams: streams) {
      $0.waitingBytesMax = 1 << 20
      configure(&$0)
    }
    pipeline.start()
    let outcomes = Outcomes()
    for partition in streams.indices {
      for number in 1...2 {
        let first = event(
          "first", person: person(in: partition, of: streams.count), payloadBytes: 20_000)
        pipeline.submit([first]) { outcomes.add("first", $0) }
        await eventually { publisher.unsettledCount == partition * 2 + number }
      }
    }
    return (publisher, pipeline, outcomes)
  }

  private static func submit(
    _ pipeline: IngestPipeline, _ outcomes: Outcomes, _ name: String, key: Int = 0,
    _ events: [IncomingEvent]
  ) {
    pipeline.submit(EventBatch(events), deadLetters: EventBatch([]), key: key) { settlement, _ in
      outcomes.add(name, settlement.outcome)
    }
  }

  /// Old by a day.
  private static func old(_ id: String, payloadBytes: Int = 100) -> IncomingEvent {
    var event = event(id, person: id, payloadBytes: payloadBytes)
    event.eventTime -= 86_400_000_000
    return event
  }

  private static func drain(
    _ publisher: ScriptedPublisher, _ pipeline: IngestPipeline, until isDone: () -> Bool
  ) async {
    await eventually {
      publisher.store()
      return isDone()
    }
    await pipeline.stop(withinMs: 1000)
  }

  @Test("A full partition refuses those that need it, and nobody else")
  func fullPartition() async throws {
    let streams = ["events-00", "events-01"]
    let (publisher, pipeline, outcomes) = try await Self.stuck(streams: streams)
    let people = (0...).lazy.map { "q\($0)" }.filter { name in
      KeyGroup.partition(of: EventIdentity.personKey(site: "s", id: name), partitions: 2) == 0
    }
    for (number, person) in people.prefix(60).enumerated() {
      Self.submit(
        pipeline, outcomes, "a\(number)",
        [event("a\(number)", person: person, payloadBytes: 30_000)])
    }
    #expect(outcomes["a59"] == ["overloaded: log"])
    #expect(!pipeline.isSaturated)
    Self.submit(pipeline, outcomes, "b", [event("b", person: person(in: 1, of: 2))])
    Self.submit(
      pipeline, outcomes, "both",
      [event("c", person: person(in: 1, of: 2)), event("d", person: person(in: 0, of: 2))])
    #expect(outcomes["b"].isEmpty)
    #expect(outcomes["both"] == ["overloaded: log"])
    await Self.drain(publisher, pipeline) { !outcomes["b"].isEmpty && !outcomes["a0"].isEmpty }
    #expect(outcomes["b"].first?.hasPrefix("stored") == true)
  }

  @Test("One write key fills half of a partition, and the others still find room")
  func noisyKey() async throws {
    let (publisher, pipeline, outcomes) = try await Self.stuck()
    var taken = 0
    for number in 0..<60 {
      Self.submit(
        pipeline, outcomes, "noisy\(number)", key: 5,
        [event("n\(number)", person: "n\(number)", payloadBytes: 30_000)])
      if outcomes["noisy\(number)"].isEmpty { taken += 1 }
    }
    #expect((16...19).contains(taken))
    #expect(outcomes["noisy59"] == ["overloaded: key"])
    Self.submit(pipeline, outcomes, "quiet", key: 6, [event("q", person: "quiet")])
    #expect(outcomes["quiet"].isEmpty)
    await Self.drain(publisher, pipeline) { !outcomes["quiet"].isEmpty }
    #expect(outcomes["quiet"].first?.hasPrefix("stored") == true)
    // Two events to a frame, and half a partition before it.
    let place = try publisher.frames.firstIndex { try $0.ids().contains("q") }
    #expect((place ?? .max) <= 12)
  }

  @Test("A key whose share is exceeded is paused for a moment, and no other")
  func pause() {
    let meters = KeyMeters(MetricRegistry())
    let keys = ["a", "b"].map {
      WriteKey(key: $0, site: "s", mapping: CompiledMapping(standardMapping))
    }
    let noisy = meters.meter(of: keys[0])
    #expect(!meters.isAnyPaused { 0 })
    meters.pause(noisy, untilMicros: 100)
    for (now, isPaused) in [(Int64(99), true), (100, false)] {
      #expect(meters.isAnyPaused { now } == isPaused)
      #expect(meters.isPaused(keys[0], nowMicros: now) == isPaused)
      #expect(!meters.isPaused(keys[1], nowMicros: now))
    }
  }

  @Test("One person fills a quarter of a partition, and the others still find room")
  func hotPerson() async throws {
    let (publisher, pipeline, outcomes) = try await Self.stuck()
    var taken = 0
    for number in 0..<60 {
      Self.submit(
        pipeline, outcomes, "hot\(number)",
        [event("h\(number)", person: "hot", payloadBytes: 30_000)])
      if outcomes["hot\(number)"].isEmpty { taken += 1 }
    }
    #expect((8...10).contains(taken))
    #expect(outcomes["hot59"] == ["overloaded: log"])
    Self.submit(pipeline, outcomes, "other", [event("o", person: "another")])
    #expect(outcomes["other"].isEmpty)
    await Self.drain(publisher, pipeline) { !outcomes["other"].isEmpty }
    #expect(outcomes["other"].first?.hasPrefix("stored") == true)
  }

  @Test("Too much in all is refused before it is parsed")
  func total() async throws {
    let streams = ["events-00", "events-01"]
    let (publisher, pipeline, outcomes) = try await Self.stuck(streams: streams) {
      $0.waitingBytesTotalMax = 1 << 20
    }
    for number in 0..<50 {
      Self.submit(
        pipeline, outcomes, "\(number)",
        [event("\(number)", person: "\(number)", payloadBytes: 30_000)])
    }
    #expect(pipeline.isSaturated)
    await Self.drain(publisher, pipeline) { (0..<50).allSatisfy { !outcomes["\($0)"].isEmpty } }
    #expect(!pipeline.isSaturated)
  }

  @Test("Old events wait until no live ones do, but one frame of ten is theirs")
  func oldEvents() async throws {
    let (publisher, pipeline, outcomes) = try await Self.stuck()
    for number in 0..<4 {
      Self.submit(
        pipeline, outcomes, "old\(number)", [Self.old("old\(number)", payloadBytes: 40_000)])
    }
    for number in 0..<24 {
      Self.submit(
        pipeline, outcomes, "live\(number)",
        [event("live\(number)", person: "\(number)", payloadBytes: 40_000)])
    }
    await Self.drain(publisher, pipeline) { outcomes.all.count == 29 }
    #expect(outcomes.all.values.joined().allSatisfy { $0.hasPrefix("stored") })
    // The two that were on their way counted as live ones.
    let ids = try publisher.frames.dropFirst(2).flatMap { try $0.ids() }
    let places = (0..<4).compactMap { number in ids.firstIndex(of: "old\(number)") }
    #expect(places == [7, 17, 26, 27])
    #expect(ids.filter { $0.hasPrefix("live") } == (0..<24).map { "live\($0)" })
  }

  @Test("Old events fill half of what live ones may, and never hinder them")
  func oldEventsFull() async throws {
    let (publisher, pipeline, outcomes) = try await Self.stuck()
    var taken = 0
    for number in 0..<40 {
      Self.submit(
        pipeline, outcomes, "old\(number)", [Self.old("old\(number)", payloadBytes: 30_000)])
      if outcomes["old\(number)"].isEmpty { taken += 1 }
    }
    #expect((16...19).contains(taken))
    #expect(!pipeline.isSaturated)
    Self.submit(pipeline, outcomes, "live", [event("live", person: "live")])
    #expect(outcomes["live"].isEmpty)
    await Self.drain(publisher, pipeline) { !outcomes["live"].isEmpty }
    #expect(outcomes["live"].first?.hasPrefix("stored") == true)
  }

  @Test("A request of live and old events waits for both")
  func mixed() async throws {
    let (publisher, pipeline, outcomes) = try await Self.stuck()
    Self.submit(pipeline, outcomes, "r", [event("live", person: "live"), Self.old("old")])
    await Self.drain(publisher, pipeline) { !outcomes["r"].isEmpty }
    #expect(outcomes["r"].first?.hasPrefix("stored 1~0.") == true)
    #expect(try publisher.frames.dropFirst(2).map { try $0.ids() } == [["live"], ["old"]])
  }

  @Test("While a partition takes nothing one request after the other tries")
  func stuckPartition() async throws {
    let publisher = ScriptedPublisher { _, _ in .unavailable("no server") }
    let pipeline = try IngestPipelineTests.pipeline(publisher, streams: ["events-00"])
    pipeline.start()
    let outcomes = Outcomes()
    Self.submit(pipeline, outcomes, "1", [event("e1")])
    await eventually { outcomes["1"] == ["unavailable: the log is not reachable"] }
    Self.submit(pipeline, outcomes, "2", [event("e2")])
    await eventually { outcomes["2"].count == 1 }
    #expect(outcomes["2"].first?.hasPrefix("unavailable") == true)
    await pipeline.stop(withinMs: 1000)
  }

  @Test(
    "A frame that has all there is goes at once, unless it is long and event loops have more to read"
  )
  func behind() {
    var parameters = IngestParameters()
    parameters.crowdedFrameBytes = 1000
    parameters.frameIntervalMicros = 4000
    func delay(payloadBytes: Int, loopsAreBehind: Bool) -> Int64? {
      let round = CommitRound()
      let lane = Lane(
        stream: "events-00", generation: 1, partition: 0, round: round, parameters: parameters)
      let request = PendingRequest(generation: 1, key: 0) { _, _ in }
      _ = lane.append(EventBatch([event("a")]), CollectionOfOne(0), of: request, nowMicros: 8100)
      _ = lane.takeFrame(nowMicros: 8100)
      let more = event("b", payloadBytes: payloadBytes)
      _ = lane.append(EventBatch([more]), CollectionOfOne(0), of: request, nowMicros: 8200)
      return lane.delayMicros(
        nowMicros: 8200, isRound: round.isDue, loopsAreBehind: loopsAreBehind)
    }
    #expect(delay(payloadBytes: 3000, loopsAreBehind: false) == 0)
    #expect(delay(payloadBytes: 3000, loopsAreBehind: true) == 7900)
    parameters.crowdedFrameBytes = 10_000
    #expect(delay(payloadBytes: 3000, loopsAreBehind: true) == 0)
    // A few events are no round.
    #expect(delay(payloadBytes: 100, loopsAreBehind: false) == 3900)
  }

  @Test(
    "A round is most of what was on its way lately, of all lanes; clients that went are forgotten")
  func round() {
    let round = CommitRound()
    #expect(!round.wait(2000))
    #expect(round.wait(100), "so much is worth a sync")
    #expect(!round.wait(100), "which is said once")
    #expect(!round.wait(7800))
    round.taken(10_000)
    round.published(10_000)
    round.began(lanes: 4)
    #expect(!round.isDue)
    #expect(round.laneBytes == 2187)
    // While those are on their way others come: 20,000 in all.
    #expect(round.wait(10_000), "as much as was known of")
    round.settled(10_000)
    #expect(!round.isDue)
    #expect(!round.wait(7000))
    #expect(round.wait(500))
    round.taken(17_500)
    var rounds = 0
    var isDue = false
    while !isDue, rounds < 30 {
      round.published(3000)
      round.began(lanes: 4)
      round.settled(3000)
      rounds += 1
      _ = round.wait(3000)
      isDue = round.isDue
      round.taken(3000)
    }
    #expect((10...20).contains(rounds))
  }
}
