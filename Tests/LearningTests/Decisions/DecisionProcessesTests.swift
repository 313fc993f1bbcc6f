import Events
import Oracles
import Testing

@testable import Learning

/// Several processes that decide: once they have read the same of the log they give the same answer to the same request.
@Suite struct DecisionProcessesTests {
  private final class Box: @unchecked Sendable {
    // Written and read by the test's own thread alone.
    var value: DecisionModels?
  }

  private static func plan(_ policy: DecisionPolicy) -> DecisionPlan {
    var plan = DecisionStory.plan
    plan.isSticky = true
    plan.policy = policy
    plan.features = ["size"]
    return plan
  }

  private static func learner(_ plan: DecisionPlan, _ box: Box) -> DecisionLearner {
    DecisionLearner([plan], isAuthentic: TestMAC.isAuthentic, publish: { box.value = $0 })
  }

  @Test(
    "However they read the streams, and wherever one was restored, they decide the same: arms, chances and who has had which",
    arguments: [.adaptiveThompson, .linUCB, .kernelGap] as [DecisionPolicy])
  func agree(policy: DecisionPolicy) throws {
    let plan = Self.plan(policy)
    var story = DecisionStory.random(11, plan: plan)
    for number in 0..<60 as Range<Int64> {
      let id = story.decide(
        UInt64(1 + number % 40), at: ten - 20 * minute + number * second,
        features: DecisionFeatures([.init("size", .number(Double(number % 5)))]))
      if number % 4 == 0 { story.echo(id, .click, UInt64(1 + number % 40), at: ten - minute) }
    }
    let streams = (0..<3).map { partition in story.events.filter { $0.partition == partition } }
    let boxes = [Box(), Box(), Box()]
    _ = try story.learn(story.events, by: Self.learner(plan, boxes[0]))
    _ = try story.learn(
      streams[2] + streams[0] + streams[1], perFrame: 3, by: Self.learner(plan, boxes[1]))
    let first = Self.learner(plan, Box())
    _ = try story.learn(streams[1], perFrame: 5, by: first)
    let restored = Self.learner(plan, boxes[2])
    try restored.restore(first.freeze()())
    _ = try story.learn(streams[0] + streams[2], perFrame: 11, by: restored)
    let snapshots = try boxes.map { try #require($0.value?.plans["hero"]) }
    var reasons: Set<Decision.Reason> = []
    for number in 1...200 as ClosedRange<UInt64> {
      let request = DecisionRequest(
        id: DecisionID(Key128(low: number &* 0x9e37_79b9_7f4a_7c15, high: number)),
        person: DecisionStory.key(number), time: ten + Int64(number) * second,
        features: DecisionFeatures([.init("size", .number(Double(number % 5)))]))
      let decisions = snapshots.map { $0.decide(request) }
      #expect(decisions[1] == decisions[0] && decisions[2] == decisions[0])
      reasons.insert(decisions[0].reason)
    }
    #expect(reasons == [.policy, .holdout, .repeated])
  }

  @Test(
    "Who stayed away for longer than the plan remembers is forgotten, by those that have read for long too"
  )
  func forgotten() throws {
    var plan = Self.plan(.adaptiveThompson)
    plan.memory = 2 * DecisionPlan.day
    var story = DecisionStory(plan)
    let start = ten - 10 * DecisionPlan.day
    for day in 0...8 as ClosedRange<Int64> {
      // One who comes every day, and one for each day.
      for person in [1, 100 + UInt64(day)] {
        story.decide(person, at: start + day * DecisionPlan.day)
      }
    }
    let (long, short) = (Self.learner(plan, Box()), Self.learner(plan, Box()))
    func isYoung(_ event: DecisionStory.Event) -> Bool {
      event.time >= ten - plan.memory - plan.rewardWindow
    }
    for day in 0...8 as ClosedRange<Int64> {
      let now = start + day * DecisionPlan.day
      let events = story.events.filter { $0.time == now }
      _ = try story.learn(events, until: now, by: long, storedAt: { _ in now })
      guard let first = events.first, isYoung(first) else { continue }
      _ = try story.learn(events, until: now, by: short, storedAt: { _ in now })
    }
    for learner in [long, short] { _ = try story.learn([], until: ten, by: learner) }
    let known = [long, short].map { learner in
      (0...8).map { learner.ledger(0).sticky?[DecisionStory.key(100 + UInt64($0))] != nil }
    }
    #expect(known[0] == [false, false, false, false, false, false, false, false, true])
    #expect(known[1] == known[0])
    let arms = [long, short].map { $0.ledger(0).sticky?[DecisionStory.key(1)] }
    #expect(arms[0] != nil && long.ledger(0).sticky?.count == 2)
    #expect(short.ledger(0).sticky?.count == 2)
  }
}
