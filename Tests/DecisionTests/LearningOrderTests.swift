import Dataflow
import Events
import Learning
import LogFollowing
import Logging
import MemoryPorts
import Metrics
import Ports
import Statistics
import Testing

@testable import DecisionAPI

/// Processes that have read the log to the same position have learned the same, whenever they read it and however late a
/// stream was; and who was erased has no say in it.
@Suite struct LearningOrderTests {
  private static let start: Int64 = 1_793_491_200_000_000
  private static let second: Int64 = 1_000_000
  private static let streams = ["events-00", "events-01", "events-02"]

  private static func event(
    _ id: String, of person: String, _ kind: EventKind, content: String = "", topic: String = "",
    at time: Int64
  ) -> IncomingEvent {
    IncomingEvent(
      kind: kind, key: EventIdentity.dedupeKey(site: "default", source: "test", eventID: id),
      person: EventIdentity.personKey(site: "default", id: person), eventTime: time,
      receivedAt: time, dimensions: DimensionTuple(site: "default", content: content).encoded,
      id: id, name: "Seen", source: "test",
      payload: Array(#"{"properties":{"topic":"\#(topic)"}}"#.utf8))
  }

  private static func follower(
    _ log: any EventLog, registry: MetricRegistry = MetricRegistry(),
    _ learner: @escaping @Sendable () -> any Learner
  ) -> LogFollower {
    LogFollower(
      FollowedLog(
        spec: PipelineSpec(name: "default"),
        generations: { [LogGeneration(number: 1, streams: streams)] }, log: log),
      registry: registry, clock: { start },
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      learners: { [learner()] })
  }

  @Test("A frame waits for an older one that another stream is known to have, and not for ever")
  func waits() async throws {
    let log = HeldEventLog()
    let record = LearnerRecord()
    let registry = MetricRegistry()
    let follower = Self.follower(log, registry: registry) { RecordingLearner(record) }
    follower.start()
    defer { follower.stop() }
    try await eventually { record.isCaughtUp }
    log.hold("events-01")
    func append(_ id: String, _ stream: Int, _ second: Int64) {
      log.log.append(
        Self.event(id, of: "ann", .click, at: Self.start + second * Self.second),
        to: Self.streams[stream])
    }
    append("older", 1, 1)
    append("younger", 0, 2)
    let asked = log.asked("events-01")
    try await eventually { log.asked("events-01") > asked + 2 }
    #expect(record.ids == [])
    log.release("events-01")
    try await eventually { record.ids == ["older", "younger"] }
    func unsure() -> Bool {
      String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
        .contains("smartcontent_learning_unsure_frames_total 1.0")
    }
    #expect(!unsure())

    // One that never comes is given up.
    log.hold("events-01")
    append("late", 1, 3)
    append("punctual", 0, 4)
    try await eventually { record.ids.last == "punctual" }
    #expect(unsure())
    log.release("events-01")
    try await eventually { record.ids == ["older", "younger", "punctual", "late"] }
  }

  // MARK: Recommendations

  /// Visits of twelve persons to forty contents, each person's in one stream.
  private static func visits(without erased: String? = nil) -> [(event: IncomingEvent, stream: Int)]
  {
    var random = Draws(seed: 7)
    return (0..<600).compactMap { number in
      let person = "p\(random.next() % 12)"
      let content = random.next() % 40
      guard person != erased else { return nil }
      let event = event(
        "e\(number)", of: person, content % 7 == 0 ? .impression : .click, content: "c\(content)",
        topic: content % 2 == 0 ? "food" : "money", at: start + Int64(number) * second)
      return (event, KeyGroup.partition(of: event.person, partitions: streams.count))
    }
  }

  private struct Learned: Equatable {
    var lists: [[String]]
    var scores: [[Double]]
    var weights: [Double]

    init(_ learner: RecommendationLearner) throws {
      let subjects: [RecommendationQuestion.Subject] =
        [.newcomer, .item("c4"), .session(["c1", "c2"])]
        + (0..<12).map { .person(EventIdentity.personKey(site: "default", id: "p\($0)")) }
      let answers = try subjects.map { subject in
        var question = RecommendationQuestion(
          site: "default", subject: subject, now: start + 700 * second)
        question.exploration = 0.5
        return try #require(try learner.answer { _ in question }).answer
      }
      lists = answers.map { $0.entries.map(\.content) }
      scores = answers.map { $0.entries.map(\.score) }
      weights = try #require(learner.summaries()?.summaries.first).weights.map(\.weight)
    }
  }

  @Test(
    "Two processes at the same position give the same lists, though one of them read while streams were late",
    arguments: [1, 2, 3] as [UInt64])
  func sameLists(seed: UInt64) async throws {
    let log = HeldEventLog()
    let live = RecommendationLearner(registry: MetricRegistry())
    let follower = Self.follower(log) { live.begun() }
    follower.start()
    defer { follower.stop() }
    try await eventually { follower.state.isCaughtUp }
    var random = Draws(seed: seed)
    for (number, (event, stream)) in Self.visits().enumerated() {
      if number % 20 == 0 {
        for stream in Self.streams { log.release(stream) }
        log.hold(Self.streams[Int(random.next() % 3)])
      }
      log.log.append(event, to: Self.streams[stream])
      if number % 40 == 39 { await Task.yield() }
    }
    for stream in Self.streams { log.release(stream) }
    let ends = try Self.streams.map { try log.bounds(stream: $0).last }
    let position = Position(
      generation: 1, sequences: Dictionary(uniqueKeysWithValues: ends.enumerated().map { ($0, $1) })
    )
    try await eventually { live.summaries()?.progress.position == position }

    let later = RecommendationLearner(registry: MetricRegistry())
    let second = Self.follower(log) { later.begun() }
    second.start()
    defer { second.stop() }
    try await eventually { later.summaries()?.progress.position == position }
    #expect(try Learned(live) == Learned(later))
  }

  @Test("After an erasure the lists and weights are those of a log that never had the person")
  func erased() async throws {
    let log = MemoryEventLog()
    for (event, stream) in Self.visits() { log.append(event, to: Self.streams[stream]) }
    let learner = RecommendationLearner(registry: MetricRegistry())
    let follower = Self.follower(log) { learner.begun() }
    follower.start()
    defer { follower.stop() }
    try await eventually { follower.state.isCaughtUp }
    let before = try Learned(learner)
    let erasure = Self.event("gone", of: "p3", .erasure, at: Self.start + 610 * Self.second)
    log.append(
      erasure, to: Self.streams[KeyGroup.partition(of: erasure.person, partitions: 3)])
    try await eventually { learner.summaries()?.pendingErasures == 1 }
    // Five seconds of the log's time later it is read again.
    let tick = Self.event("tick", of: "nobody", .identify, at: Self.start + 616 * Self.second)
    log.append(tick, to: Self.streams[KeyGroup.partition(of: tick.person, partitions: 3)])
    try await eventually { learner.summaries()?.pendingErasures == 0 }

    let other = MemoryEventLog()
    for (event, stream) in Self.visits(without: "p3") {
      other.append(event, to: Self.streams[stream])
    }
    let innocent = RecommendationLearner(registry: MetricRegistry())
    let second = Self.follower(other) { innocent.begun() }
    second.start()
    defer { second.stop() }
    try await eventually { second.state.isCaughtUp }
    let (after, expected) = (try Learned(learner), try Learned(innocent))
    #expect(after == expected)
    #expect(before.weights != after.weights)

    // It goes on learning.
    let next = Self.event(
      "next", of: "p5", .click, content: "new", at: Self.start + 620 * Self.second)
    log.append(next, to: Self.streams[KeyGroup.partition(of: next.person, partitions: 3)])
    try await eventually {
      let question = RecommendationQuestion(
        site: "default", subject: .newcomer, now: Self.start + 700 * Self.second)
      return try learner.answer { _ in question }?.answer.entries.contains { $0.content == "new" }
        ?? false
    }
  }
}
