import Events
import Oracles
import States
import Statistics
import Testing

@testable import Learning

/// Retractions of what was settled so long ago that it is not taken back at once: a successor reads the log again and comes to
/// what would have been learned.
@Suite struct DecisionRelearningTests {
  private static let plan: DecisionPlan = {
    var plan = DecisionStory.plan
    plan.holdout = nil
    plan.policy = .logisticThompson
    plan.features = ["size"]
    plan.shadows = [.init(name: "first", policy: .fixed), .init(name: "sums", policy: .linUCB)]
    return plan
  }()

  private static func story() -> DecisionStory {
    var story = DecisionStory(plan)
    for number in 0..<200 as Range<Int64> {
      let person = UInt64(1 + number % 40)
      let time = ten - 50 * minute + number * 9 * second
      let id = story.decide(
        person, at: time, features: DecisionFeatures([.init("size", .number(Double(number % 7)))]))
      story.echo(id, .impression, person, at: time + second)
      if number % 3 == 0 { story.echo(id, .click, person, at: time + 2 * second) }
    }
    return story
  }

  private static func learner(settled: Int) -> DecisionLearner {
    DecisionLearner(
      [plan], settledCountMax: settled, isAuthentic: TestMAC.isAuthentic, publish: { _ in })
  }

  private static func tell(_ learner: DecisionLearner, _ time: Int64) {
    learner.publish(
      LearningProgress(position: Position(generation: 1), logTime: time, isCaughtUp: true))
  }

  private static let end = ten + 3 * hour

  /// Everything that is made of what was learned.
  private static func known(_ ledger: PlanLedger) -> [String] {
    [
      "\(ledger.sums)", "\(ledger.contextualModels())", "\(ledger.shadows)", "\(ledger.soFar)",
    ]
  }

  @Test("A successor that is told what came too late comes to what would have been learned")
  func successor() throws {
    let story = Self.story()
    let (short, long) = (Self.learner(settled: 8), Self.learner(settled: 20_000))
    for learner in [short, long] { _ = try story.learn(story.events, until: Self.end, by: learner) }
    #expect(short.successor() == nil)
    let gone = story.events.prefix(30).compactMap { $0.kind == .decision ? $0.decision : nil }
    var later = story
    later.events = []
    for id in gone { later.retract(.decision(id), at: Self.end) }
    later.retract(.person(DecisionStory.key(27)), at: Self.end)
    for learner in [short, long] { _ = try story.learn(later.events, until: Self.end, by: learner) }
    #expect(gone.count > 9 && short.ledger(0).pendingRetractions == gone.count + 1)
    #expect(short.ledger(0).counts.retracted == 0)
    #expect(long.ledger(0).counts.retracted == UInt64(gone.count + 5))
    #expect(long.ledger(0).counts.retractedTooLate == 0)
    Self.tell(short, Self.end + 6 * second)
    #expect(long.successor() == nil)
    let next = try #require(short.successor() as? DecisionLearner)
    #expect(next.successor() == nil)
    _ = try story.learn(story.events + later.events, until: Self.end, by: next)
    for step in 1...3 as ClosedRange<Int64> {
      for learner in [next, long] { Self.tell(learner, Self.end + step * 10 * second) }
    }
    #expect(next.ledger(0).pendingRetractions == 0 && next.successor() == nil)
    #expect(Self.known(next.ledger(0)) == Self.known(long.ledger(0)))
    #expect(Self.known(next.ledger(0)) != Self.known(short.ledger(0)))
  }

  @Test(
    "It comes to the same from a snapshot in which what came too late was not settled yet, and refuses others"
  )
  func fromSnapshot() throws {
    let story = Self.story()
    let half = story.events.count / 2
    let (short, long) = (Self.learner(settled: 8), Self.learner(settled: 20_000))
    _ = try story.learn(Array(story.events[..<half]), by: short)
    let early = short.freeze()()
    _ = try story.learn(Array(story.events[half...]), until: Self.end, by: short)
    _ = try story.learn(story.events, until: Self.end, by: long)
    let late = short.freeze()()
    var later = story
    later.events = []
    let gone = story.events.prefix(30).compactMap { $0.kind == .decision ? $0.decision : nil }
    for id in gone { later.retract(.decision(id), at: Self.end) }
    later.retract(.person(DecisionStory.key(27)), at: Self.end)
    for learner in [short, long] { _ = try story.learn(later.events, until: Self.end, by: learner) }
    Self.tell(short, Self.end + 6 * second)
    let next = try #require(short.successor() as? DecisionLearner)
    #expect(throws: StateError.self) { try next.restoreSuccessor(late) }
    try next.restoreSuccessor(early)
    _ = try story.learn(
      Array(story.events[half...]) + later.events, until: Self.end, by: next)
    for step in 1...3 as ClosedRange<Int64> {
      for learner in [next, long] { Self.tell(learner, Self.end + step * 10 * second) }
    }
    #expect(next.ledger(0).pendingRetractions == 0 && next.successor() == nil)
    #expect(Self.known(next.ledger(0)) == Self.known(long.ledger(0)))
  }

  @Test("It says nothing before it has caught up, and is told all of before when it is followed")
  func followed() throws {
    let story = Self.story()
    let said = Said()
    let first = DecisionLearner(
      [Self.plan], settledCountMax: 8, isAuthentic: TestMAC.isAuthentic,
      publish: { said.pending.append($0.learning["hero"]?.pendingRetractions ?? -1) })
    _ = try story.learn(story.events, until: Self.end, by: first)
    let ids = story.events.compactMap { $0.kind == .decision ? $0.decision : nil }
    first.retract(ids[0])
    Self.tell(first, Self.end + 10 * second)
    #expect(said.pending.last == 1)
    let next = try #require(first.successor() as? DecisionLearner)
    let count = said.pending.count
    next.publish(
      LearningProgress(position: Position(generation: 1), logTime: ten, isCaughtUp: false))
    #expect(said.pending.count == count)
    _ = try story.learn(story.events, until: Self.end, by: next)
    #expect(said.pending.count == count + 1 && said.pending.last == 0)
    // What it was told is no news; something else is.
    #expect(!next.retract(ids[0]))
    #expect(next.ledger(0).pendingRetractions == 0)
    next.retract(ids[1])
    Self.tell(next, Self.end + 30 * second)
    let third = try #require(next.successor() as? DecisionLearner)
    #expect(third.ledger(0).told.decisions == Set(ids.prefix(2)))
  }

  /// What was published.
  private final class Said: @unchecked Sendable {
    // Written and read by the test's own thread alone.
    var pending: [Int] = []
  }
}
