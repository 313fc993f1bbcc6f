import Dataflow
import Events
import Learning
import LogFollowing
import Logging
import MemoryPorts
import Synchronization
import Testing

@testable import DecisionAPI

/// A plan that promotes by itself, on a log in memory that gets what is said of it.
@Suite struct PromotionTests {
  private static let stream = "events-00"
  private static let second: Int64 = 1_000_000

  private static let plan: DecisionPlan = {
    var plan = DecisionFixture.plan
    plan.shadows = [.init(name: "even", policy: .uniform), .init(name: "first", policy: .fixed)]
    plan.floor = 0.1
    plan.rewardWindow = 60 * second
    plan.promotion = .lowerBound
    return plan
  }()

  /// A decision that was served b mostly, and a click where it was not.
  private static func events(_ number: Int, _ fixture: DecisionFixture) throws -> [IncomingEvent] {
    let time = Span.begin + Int64(number) * second / 10
    let arm = number % 10 < 8 ? 1 : number % 20 < 10 ? 0 : 2
    guard let served = Propensities(parts: [6_554, 52_428, 6_554]) else {
      throw DecisionFixture.Malformed()
    }
    let token = DecisionToken(
      id: DecisionID(Key128(low: UInt64(number), high: 1)), plan: plan.fingerprint,
      timeMs: time / 1_000, chosen: arm, propensities: served, version: plan.version, features: 0,
      flags: [])
    let text = fixture.signer.text(of: token)
    let logged = LoggedDecisionEvent(
      token: token, tokenText: text, plan: plan.id, policy: plan.policy.name,
      model: Position(generation: 1), at: time, arms: plan.arms, features: .none,
      shadows: [
        .init(name: "even", chances: [1.0 / 3, 1.0 / 3, 1.0 / 3]),
        .init(name: "first", chances: [0, 1, 0]),
      ], server: "s1")
    func event(_ kind: EventKind, _ id: String, _ name: String, _ payload: [UInt8]) -> IncomingEvent
    {
      IncomingEvent(
        kind: kind,
        key: EventIdentity.dedupeKey(site: plan.site, source: "test", eventID: id),
        person: EventIdentity.personKey(site: plan.site, id: "p\(number)"), eventTime: time,
        receivedAt: time, dimensions: DimensionTuple(site: plan.site).encoded, id: id, name: name,
        source: "test", payload: payload)
    }
    let decided = event(
      .decision, "d\(number)", LoggedDecisionEvent.eventName, logged.payload)
    guard arm != 1 else { return [decided] }
    return [
      decided, event(.click, "c\(number)", "Click", Array(#"{"decision":"\#(text)"}"#.utf8)),
    ]
  }

  private enum Span {
    static let begin = DecisionFixture.start
    static let count = 3_000
    /// An hour after all of them.
    static let end = begin + Int64(count / 10 + 3_600) * second
  }

  @Test(
    "Once a shadow is better for certain, the learner says so in the log, once, and then it decides"
  )
  func asks() async throws {
    let fixture = try DecisionFixture()
    let log = MemoryEventLog()
    var events: [IncomingEvent] = []
    for number in 0..<Span.count { events += try Self.events(number, fixture) }
    for start in stride(from: 0, to: events.count, by: 100) {
      let some = Array(events[start..<min(start + 100, events.count)])
      log.append(some, to: Self.stream, storedAt: some.last?.eventTime ?? 0)
    }
    PolicyMetrics.register(fixture.registry) { [fixture] in fixture.board.current }
    let desk = PromotionDesk(
      store: { [fixture] events, completion in
        fixture.stored.withLock { $0 += events }
        log.append(events, to: Self.stream, storedAt: Span.end + Self.second)
        completion(.stored(nil))
      }, cleaned: { $0 }, clock: { Span.end + Self.second })
    let follower = LogFollower(
      FollowedLog(
        spec: PipelineSpec(name: "default"),
        generations: { [LogGeneration(number: 1, streams: [Self.stream])] }, log: log),
      registry: fixture.registry, clock: { Span.end },
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      learners: { [fixture] in
        [
          DecisionLearner([Self.plan], isAuthentic: { fixture.signer.isAuthentic($0, $1) }) {
            fixture.board.publish($0)
            desk.take($0)
          }
        ]
      })
    follower.start()
    defer { follower.stop() }
    try await eventually { fixture.board.current?.progress.isCaughtUp ?? false }
    #expect(fixture.events.isEmpty)
    // Time goes by, until every reward window is over.
    log.append([], to: Self.stream, storedAt: Span.end)
    try await eventually { fixture.board.current?.learning["hero"]?.promotion != nil }
    let models = try #require(fixture.board.current)
    let promotion = try #require(models.learning["hero"]?.promotion)
    #expect(promotion.policy == "even" && promotion.cause == .lowerBound)
    #expect(promotion.evidence?.decisions == Span.count && promotion.since == Span.end)
    #expect(fixture.events.map(\.id) == ["hero.\(Self.plan.version).even"])
    let snapshot = try #require(models.plans["hero"])
    #expect(snapshot.plan.policy == .uniform)
    #expect(snapshot.plan.shadows.map(\.name) == ["declared", "first"])
    #expect(
      fixture.metric(#"smartcontent_decision_policy_deciding{plan="hero",policy="even"}"#) == "1.0")
    // What was said of the shadows was in comparison with the policy that decided until now.
    #expect(fixture.metric(#"smartcontent_decision_policy_scored{plan="hero"}"#) == "0.0")
  }
}
