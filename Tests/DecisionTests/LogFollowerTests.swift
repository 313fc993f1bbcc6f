import Dataflow
import Events
import Learning
import LogFollowing
import Logging
import MemoryPorts
import Metrics
import Ports
import Synchronization
import Testing

/// Learners on a log in memory: what they are led past, in which order, and what happens when the log is away.
@Suite struct LogFollowerTests {
  private static let start: Int64 = 1_793_491_200_000_000
  private static let minute: Int64 = 60_000_000
  private static let day = 1_440 * minute

  /// A log, the generations that it is known to have, and what a learner has seen of it.
  private final class Desk: Sendable {
    let log = MemoryEventLog()
    let generations: Mutex<[LogGeneration]?>
    let record = LearnerRecord()
    let registry = MetricRegistry()
    /// By whose rules events are to be judged; nil: those of the beginning.
    let rules = Mutex<PipelineSpec?>(nil)

    init(_ generations: [LogGeneration]) { self.generations = Mutex(generations) }

    func follower(memory: Int64 = minute * 60) -> LogFollower {
      follower { [record] in RecordingLearner(record, memory: memory) }
    }

    func follower(_ learner: @escaping @Sendable () -> any Learner) -> LogFollower {
      var rhythm = LogFollower.Rhythm()
      rhythm.generationsMs = 20
      return LogFollower(
        FollowedLog(
          spec: PipelineSpec(name: "default"),
          generations: { self.generations.withLock { $0 } }, log: log),
        rhythm: rhythm, rules: { self.rules.withLock { $0 } }, registry: registry,
        clock: { start + day },
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        learners: { [learner()] })
    }

    func metric(_ name: String) -> String? {
      String(decoding: registry.exposition(.prometheusText), as: UTF8.self).split(separator: "\n")
        .first { $0.hasPrefix(name + " ") || (!name.contains("{") && $0.hasPrefix(name + "{")) }
        .map(String.init)
    }
  }

  private static let two = LogGeneration(number: 1, streams: ["events-00", "events-01"])

  /// - Parameter minutes: since the start: when it happened and was stored.
  private static func event(
    _ id: String, at minutes: Int64, _ kind: EventKind = .impression, of person: String = "ann",
    receivedAt: Int64? = nil
  ) -> IncomingEvent {
    let time = start + (receivedAt ?? minutes) * minute
    return IncomingEvent(
      kind: kind,
      key: EventIdentity.dedupeKey(site: "default", source: "test", eventID: id),
      person: EventIdentity.personKey(site: "default", id: person), eventTime: time,
      receivedAt: time, dimensions: DimensionTuple(site: "default").encoded, id: id, name: "Seen",
      source: "test", payload: Array("{}".utf8))
  }

  @Test("What is in the log is taken in order of stored time over all streams, copies once")
  func order() async throws {
    let desk = Desk([Self.two])
    for (id, minutes, stream) in [
      ("a", 1, 0), ("c", 5, 0), ("a", 6, 0), ("e", 9, 0), ("b", 2, 1), ("d", 7, 1), ("f", 20, 1),
    ] as [(String, Int64, Int)] {
      desk.log.append(Self.event(id, at: minutes), to: "events-0\(stream)")
    }
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    #expect(desk.record.ids == ["a", "b", "c", "d", "e", "f"])
    let progress = try #require(desk.record.published.last)
    #expect(progress.position == Position(generation: 1, sequences: [0: 4, 1: 3]))
    #expect(progress.logTime == Self.start + 20 * Self.minute)
    #expect(follower.state.problem == nil)
    #expect(
      desk.metric("smartcontent_learning_frames_total") == "smartcontent_learning_frames_total 7.0")
    #expect(desk.metric("smartcontent_learning_caught_up") == "smartcontent_learning_caught_up 1.0")
  }

  @Test("What was stored in a time is told by stream, and nothing of streams that have none of it")
  func spans() async throws {
    let desk = Desk([Self.two])
    for minutes in [1, 2, 3, 5, 8] as [Int64] {
      desk.log.append(Self.event("a\(minutes)", at: minutes), to: "events-00")
    }
    desk.log.append(Self.event("b", at: 9), to: "events-01")
    let search = EventSearch(
      FollowedLog(
        spec: PipelineSpec(name: "default"),
        generations: { desk.generations.withLock { $0 } }, log: desk.log))
    func spans(_ from: Int64, _ until: Int64) async -> [LogSpan]? {
      await search.spans(
        from: Self.start + from * Self.minute, until: Self.start + until * Self.minute)
    }
    #expect(await spans(2, 8) == [LogSpan(stream: "events-00", first: 2, last: 4)])
    #expect(
      await spans(0, 99) == [
        LogSpan(stream: "events-00", first: 1, last: 5),
        LogSpan(stream: "events-01", first: 1, last: 1),
      ])
    #expect(await spans(6, 7) == [])
    #expect(await spans(9, 9) == [])
    desk.log.isAway = true
    #expect(await spans(2, 8) == nil)
  }

  @Test(
    "What comes later is published within a tenth of a second, and an empty log is caught up at once"
  )
  func later() async throws {
    let desk = Desk([Self.two])
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    let begin = ContinuousClock.now
    desk.log.append(Self.event("a", at: 1), to: "events-01")
    try await eventually {
      desk.record.published.last?.position.sequences == [1: 1]
    }
    // Twice the rhythm, for a machine that does much else.
    #expect(begin.duration(to: .now) < .milliseconds(500))
    #expect(desk.record.ids == ["a"])
  }

  @Test(
    "A learner hears of what its memory holds; copies of older events count all the same as copies")
  func memory() async throws {
    let desk = Desk([Self.two])
    desk.log.append(Self.event("old", at: 0), to: "events-00")
    desk.log.append(Self.event("old", at: 5 * 60), to: "events-00")
    desk.log.append(Self.event("young", at: 6 * 60), to: "events-00")
    let follower = desk.follower(memory: 120 * Self.minute)
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    #expect(desk.record.ids == ["young"])
  }

  @Test("A generation is read once the one before is sealed and read, and copies are known across")
  func generations() async throws {
    // The ids of a person are handed on by the stream that is the person's.
    let home = KeyGroup.partition(
      of: EventIdentity.personKey(site: "default", id: "ann"), partitions: 2)
    let other = 1 - home
    let desk = Desk([Self.two])
    desk.log.append(Self.event("a", at: 1), to: "events-0\(home)")
    desk.log.append(Self.event("b", at: 2), to: "events-0\(other)")
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    desk.log.append(Self.event("a", at: 3), to: "events-g2-00")
    desk.log.append(Self.event("c", at: 4), to: "events-g2-00")
    let next = LogGeneration(number: 2, streams: ["events-g2-00"])
    desk.generations.withLock {
      let ends: [UInt64?] = home == 0 ? [1, nil] : [nil, 1]
      $0 = [LogGeneration(number: 1, streams: Self.two.streams, ends: ends), next]
    }
    desk.log.append(Self.event("d", at: 5), to: "events-0\(other)")
    try await eventually { desk.record.ids == ["a", "b", "d"] }
    desk.generations.withLock {
      let ends: [UInt64?] = home == 0 ? [1, 2] : [2, 1]
      $0 = [LogGeneration(number: 1, streams: Self.two.streams, ends: ends), next]
    }
    try await eventually { desk.record.ids == ["a", "b", "d", "c"] }
    #expect(
      desk.record.seen.last == LearnerRecord.Seen(id: "c", generation: 2, partition: 0))
    try await eventually {
      desk.record.published.last?.position == Position(generation: 2, sequences: [0: 2])
    }
  }

  @Test("Several generations that are there at the beginning are all part of catching up")
  func repartitioned() async throws {
    let desk = Desk([
      LogGeneration(number: 1, streams: Self.two.streams, ends: [1, 0]),
      LogGeneration(number: 2, streams: ["events-g2-00"]),
    ])
    desk.log.append(Self.event("a", at: 1), to: "events-00")
    desk.log.append(Self.event("b", at: 2), to: "events-g2-00")
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    #expect(desk.record.ids == ["a", "b"])
    #expect(desk.record.published.allSatisfy { !$0.isCaughtUp || $0.position.generation == 2 })
  }

  @Test("While the log is away learning waits and says so, and goes on where it was")
  func away() async throws {
    let desk = Desk([Self.two])
    desk.log.append(Self.event("a", at: 1), to: "events-00")
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    desk.log.isAway = true
    try await eventually { follower.state.away != nil }
    #expect(follower.state.problem?.contains("goes on answering") == true)
    #expect(desk.metric("smartcontent_learning_log_away") == "smartcontent_learning_log_away 1.0")
    desk.log.isAway = false
    desk.log.append(Self.event("b", at: 2), to: "events-00")
    try await eventually { desk.record.ids == ["a", "b"] && follower.state.problem == nil }
  }

  @Test("A log that is away at the beginning is waited for")
  func awayAtFirst() async throws {
    let desk = Desk([Self.two])
    desk.log.append(Self.event("a", at: 1), to: "events-00")
    desk.log.isAway = true
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { follower.state.away != nil }
    #expect(desk.record.published.isEmpty)
    desk.log.isAway = false
    try await eventually { desk.record.ids == ["a"] && desk.record.isCaughtUp }
  }

  @Test("A log that went back halts learning, with what to do about it")
  func wentBack() async throws {
    let desk = Desk([Self.two])
    for index in 1...3 { desk.log.append(Self.event("\(index)", at: 1), to: "events-00") }
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    desk.log.goBack("events-00", to: 1)
    try await eventually { if case .halted = follower.state.phase { true } else { false } }
    #expect(
      follower.state.problem
        == "stream events-00 ends at 1, though 3 was read: the log went back; restart this process, which"
        + " learns anew from what the log has")
    #expect(desk.metric("smartcontent_learning_halted") == "smartcontent_learning_halted 1.0")
  }

  @Test(
    "Who is told something too late is followed by one that reads the log again, while the log grows and is divided anew"
  )
  func relearned() async throws {
    let home = KeyGroup.partition(
      of: EventIdentity.personKey(site: "default", id: "ann"), partitions: 2)
    let desk = Desk([Self.two])
    let record = RestlessLearner.Record()
    for (id, minutes) in [("a", 1), ("b", 2), ("c", 3)] as [(String, Int64)] {
      desk.log.append(Self.event(id, at: minutes), to: "events-0\(home)")
      desk.log.append(Self.event(id + "2", at: minutes, of: "bob"), to: "events-0\(1 - home)")
    }
    let follower = desk.follower { RestlessLearner(record) }
    follower.start()
    defer { follower.stop() }
    let first: Set<String> = ["a", "b", "c", "a2", "b2", "c2"]
    try await eventually { record.learned == first }
    desk.log.append(Self.event("back-b", at: 4), to: "events-0\(home)")
    try await eventually { record.learned == first.subtracting(["b"]) }
    #expect(record.number == 2)
    #expect(
      desk.metric("smartcontent_learning_relearnings_total{outcome=\"done\"}")
        == "smartcontent_learning_relearnings_total{outcome=\"done\"} 1.0")
    desk.log.append(Self.event("d", at: 5), to: "events-0\(home)")
    try await eventually { record.learned == first.subtracting(["b"]).union(["d"]) }

    // Another generation follows; copies are known across.
    let counts: [UInt64?] = home == 0 ? [5, 3] : [3, 5]
    desk.log.append(Self.event("a", at: 6), to: "events-g2-00")
    desk.log.append(Self.event("e", at: 6), to: "events-g2-00")
    desk.generations.withLock {
      $0 = [
        LogGeneration(number: 1, streams: Self.two.streams, ends: counts),
        LogGeneration(number: 2, streams: ["events-g2-00"]),
      ]
    }
    try await eventually { record.learned == first.subtracting(["b"]).union(["d", "e"]) }
    desk.log.append(Self.event("back-c2", at: 7), to: "events-g2-00")
    try await eventually { record.learned == first.subtracting(["b", "c2"]).union(["d", "e"]) }
    #expect(record.number == 3 && record.ids.count == 6, "\(record.ids)")
    desk.log.append(Self.event("f", at: 8), to: "events-g2-00")
    try await eventually { record.learned.contains("f") }
    #expect(follower.state.problem == nil)
  }

  @Test(
    "Where events are judged by other rules, what was learned is what those come to, and so it goes on"
  )
  func rejudged() async throws {
    let desk = Desk([Self.two])
    let record = RestlessLearner.Record()
    func late(_ id: String, at minutes: Int64) {
      var event = Self.event(id, at: minutes)
      event.eventTime -= 30 * Self.minute
      desk.log.append(event, to: "events-00")
    }
    desk.log.append(Self.event("a", at: 60), to: "events-00")
    late("late", at: 61)
    desk.log.append(Self.event("b", at: 62, of: "bob"), to: "events-01")
    let follower = desk.follower { RestlessLearner(record) }
    follower.start()
    defer { follower.stop() }
    try await eventually { record.learned == ["a", "late", "b"] }
    desk.rules.withLock {
      $0 = PipelineSpec(name: "default", version: 2, allowedLateness: Self.minute)
    }
    try await eventually { record.learned == ["a", "b"] }
    #expect(record.number == 2)
    // Copies are known as before.
    for id in ["late", "a", "c"] { desk.log.append(Self.event(id, at: 63), to: "events-00") }
    late("late2", at: 64)
    desk.log.append(Self.event("d", at: 65), to: "events-00")
    try await eventually { record.learned == ["a", "b", "c", "d"] }
    #expect(record.ids.count == 4 && record.number == 2 && follower.state.problem == nil)
    // By the rules of before once more.
    desk.rules.withLock { $0 = PipelineSpec(name: "default") }
    try await eventually {
      record.learned == ["a", "b", "c", "d", "late", "late2"]
    }
  }

  @Test("Who is erased is forgotten at once; what was received before does not come any more")
  func erasure() async throws {
    let desk = Desk([Self.two])
    desk.log.append(Self.event("a", at: 1), to: "events-00")
    desk.log.append(Self.event("b", at: 2, of: "bob"), to: "events-00")
    let follower = desk.follower()
    follower.start()
    defer { follower.stop() }
    try await eventually { desk.record.isCaughtUp }
    #expect(desk.record.ids == ["a", "b"] && desk.record.forgotten.isEmpty)
    desk.log.append(Self.event("gone", at: 5, .erasure), to: "events-00")
    try await eventually {
      desk.record.forgotten == [EventIdentity.personKey(site: "default", id: "ann")]
    }
    // Of another stream that is behind, out of a spool, and of the next day.
    desk.log.append(Self.event("c", at: 4), to: "events-01")
    desk.log.append(Self.event("d", at: 6, receivedAt: 3), to: "events-01")
    desk.log.append(Self.event("e", at: 7), to: "events-01")
    desk.log.append(Self.event("f", at: 8, of: "bob"), to: "events-00")
    try await eventually { desk.record.ids.suffix(1) == ["f"] || desk.record.ids.count >= 5 }
    #expect(Set(desk.record.ids) == ["a", "b", "gone", "e", "f"])
  }
}
