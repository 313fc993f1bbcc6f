import Events
import Oracles
import States
import Statistics
import Testing

@testable import Learning

/// What is stored of decisions and read again: nobody can tell it from what was stored.
@Suite struct DecisionSnapshotTests {
  private static func plan(_ policy: DecisionPolicy) -> DecisionPlan {
    var plan = DecisionStory.plan
    plan.policy = policy
    plan.isSticky = true
    plan.features = ["size", "kind"]
    plan.shadows = [.init(name: "first", policy: .fixed), .init(name: "sums", policy: .linUCB)]
    return plan
  }

  private static func story(_ plan: DecisionPlan, seed: UInt64) -> DecisionStory {
    var story = DecisionStory.random(seed, plan: plan)
    var random = SeededGenerator(seed: seed)
    let snapshot = PolicySnapshot(
      plan: plan, position: Position(generation: 1), logTime: ten,
      propensities: Propensities([5, 3, 2]), arms: story.snapshot.arms,
      shadows: [
        .init(name: "first", chances: [1, 0, 0]), .init(name: "sums", chances: [0.2, 0.3, 0.5]),
      ], isApprentice: false)
    for number in 0..<60 {
      let person = UInt64(1 + random.below(25))
      let id = story.decide(
        person, at: ten - 50 * minute + random.time(upTo: 40 * minute), by: snapshot,
        features: DecisionFeatures([
          .init("size", .number(Double(number % 7))), .init("kind", .text("k\(number % 3)")),
          .init("new", .flag(true)),
        ]))
      if number % 3 == 0 { story.echo(id, .click, person, at: ten - 5 * minute) }
      if number % 20 == 0 { story.retract(.decision(id), at: ten - minute) }
    }
    return story
  }

  private static func learner(_ plan: DecisionPlan, settled: Int = 30) -> DecisionLearner {
    DecisionLearner(
      [plan], settledCountMax: settled, isAuthentic: TestMAC.isAuthentic, publish: { _ in })
  }

  private static func restored(
    _ learner: DecisionLearner, _ plan: DecisionPlan, settled: Int = 30
  ) throws -> DecisionLearner {
    let next = Self.learner(plan, settled: settled)
    #expect(next.snapshotKey == learner.snapshotKey)
    try next.restore(learner.freeze()())
    return next
  }

  /// Everything that answers are made of, and that later events change. How many young decisions have a say is decided
  /// when models are made, which a learner that was restored does sooner: here for both as of the ledger's time.
  private static func known(_ given: PlanLedger) -> [String] {
    var ledger = given
    ledger.weigh()
    let entries = ledger.entries.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    let timelines = ledger.timelines.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    let sticky = (1...150).map { ledger.sticky?[DecisionStory.key($0)] }
    return [
      "\(ledger.sums)", "\(ledger.contextualModels())", "\(ledger.shadows)", "\(ledger.soFar)",
      "\(ledger.heldOut)", "\(ledger.counts)", "\(ledger.promotion as Any)", "\(ledger.plan)",
      "\(ledger.owed.count) \(ledger.owed.decisions.sorted())", "\(ledger.isRerunning)",
      "\(ledger.rerunCount)", "\(sticky)", "\(ledger.chanceCount) \(ledger.young.count)",
    ] + entries + timelines
  }

  @Test(
    "A learner that was restored anywhere goes on to what it would have come to, whatever the policy",
    arguments: DecisionPolicy.all)
  func law(policy: DecisionPolicy) throws {
    let plan = Self.plan(policy)
    var story = Self.story(plan, seed: 7)
    story.promote("sums", at: ten - 3 * minute)
    var later = story
    later.events = []
    // Some of these are settled by then, for good or among the latest.
    let ids = story.events.compactMap { $0.kind == .decision ? $0.decision : nil }
    for id in ids.prefix(90) where id.key.low % 3 == 0 {
      later.retract(.decision(id), at: ten + 2 * hour)
    }
    let whole = Self.learner(plan)
    var parts = Self.learner(plan)
    for (number, start) in stride(from: 0, to: story.events.count, by: 40).enumerated() {
      let some = Array(story.events[start..<min(start + 40, story.events.count)])
      for learner in [whole, parts] { _ = try story.learn(some, by: learner) }
      parts = try Self.restored(parts, plan)
      #expect(Self.known(parts.ledger(0)) == Self.known(whole.ledger(0)), "part \(number)")
    }
    // Rewards have had their time, retractions come, and those that depend on the order learn again.
    for time in [ten + hour, ten + 2 * hour] {
      for learner in [whole, parts] { _ = try story.learn([], until: time, by: learner) }
      parts = try Self.restored(parts, plan)
      #expect(Self.known(parts.ledger(0)) == Self.known(whole.ledger(0)))
    }
    for learner in [whole, parts] {
      _ = try story.learn(later.events, until: ten + 2 * hour, by: learner)
    }
    for step in 1...7 as ClosedRange<Int64> {
      parts = try Self.restored(parts, plan)
      for learner in [whole, parts] {
        _ = try story.learn([], until: ten + 2 * hour + 2 * step * second, by: learner)
      }
      #expect(Self.known(parts.ledger(0)) == Self.known(whole.ledger(0)), "step \(step)")
    }
    #expect(whole.ledger(0).counts.retracted > 0 && whole.ledger(0).owed.count > 0)
    #expect(whole.ledger(0).promotion?.policy == "sums")
  }

  @Test("What was frozen stays as it was while its learner goes on")
  func frozen() throws {
    let plan = Self.plan(.logisticThompson)
    let story = Self.story(plan, seed: 3)
    let learner = Self.learner(plan)
    let half = story.events.count / 2
    _ = try story.learn(Array(story.events[..<half]), by: learner)
    let known = Self.known(learner.ledger(0))
    let frozen = learner.freeze()
    _ = try story.learn(Array(story.events[half...]), by: learner)
    #expect(Self.known(learner.ledger(0)) != known)
    let next = Self.learner(plan)
    try next.restore(frozen())
    #expect(Self.known(next.ledger(0)) == known)
  }

  @Test("Bytes that are cut short, too long or altered are refused or another state, never a trap")
  func damaged() throws {
    let plan = Self.plan(.kernelGap)
    let story = Self.story(plan, seed: 5)
    let learner = Self.learner(plan)
    _ = try story.learn(story.events, by: learner)
    let bytes = learner.freeze()()
    let next = Self.learner(plan)
    let empty = Self.known(next.ledger(0))
    for count in [0, 1, 7, bytes.count / 2, bytes.count - 1] {
      #expect(throws: StateError.self) { try next.restore(Array(bytes.prefix(count))) }
    }
    #expect(throws: StateError.leftOver(1)) { try next.restore(bytes + [0]) }
    var random = SeededGenerator(seed: 9)
    var refused = 0
    for _ in 0..<200 {
      var damaged = bytes
      damaged[random.below(min(bytes.count, 4_096))] ^= UInt8(1 + random.below(255))
      do throws(StateError) {
        try Self.learner(plan).restore(damaged)
      } catch {
        refused += 1
      }
    }
    #expect(refused > 0)
    // What threw has changed nothing.
    #expect(Self.known(next.ledger(0)) == empty)
  }

  @Test("Other plans have another key, and a state of another plan is refused")
  func other() throws {
    let (plan, other) = (Self.plan(.ucb1), Self.plan(.klUCB))
    let learner = Self.learner(plan)
    #expect(learner.snapshotKey != Self.learner(other).snapshotKey)
    #expect(throws: StateError.self) { try Self.learner(other).restore(learner.freeze()()) }
  }
}
