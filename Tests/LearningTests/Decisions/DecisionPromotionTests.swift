import Events
import Oracles
import Statistics
import Testing

@testable import Learning

/// Who decides: never for want of evidence, by an event of the log, and the same wherever that is read.
@Suite struct DecisionPromotionTests {
  private static let plan: DecisionPlan = {
    var plan = DecisionStory.plan
    plan.policy = .uniform
    plan.shadows = [
      .init(name: "learned", policy: .bernoulliThompson), .init(name: "first", policy: .fixed),
    ]
    plan.floor = 0.1
    return plan
  }()

  @Test("A promotion's payload is read as it was written, and keeps its form")
  func payload() throws {
    let promotion = DecisionPromotion(
      plan: "hero", version: 7, policy: "forgetful", since: ten, cause: .lowerBound, note: "",
      evidence: .init(decisions: 4_000, lower: 0.25, upper: 0.5))
    let text =
      #"{"promotion_of":"hero","version":7,"policy":"forgetful","since":1763978400000000,"#
      + #""by":"lower_bound","note":"","decisions":4000,"advantage":[0.25,0.5]}"#
    #expect(String(decoding: promotion.payload, as: UTF8.self) == text)
    var plain = promotion
    (plain.evidence, plain.cause, plain.note) = (nil, .person, "a sale")
    for promotion in [promotion, plain] {
      #expect(
        try promotion.payload.withUnsafeBytes { try DecisionPromotion(payload: $0) } == promotion)
    }
    for text in [#"{"reward_of":"x","value":1}"#, #"{"promotion_of":"hero","version":-1}"#] {
      #expect(
        try Array(text.utf8).withUnsafeBytes { try DecisionPromotion(payload: $0) } == nil)
    }
  }

  @Test("A plan without promotions has the version that it had before there were any")
  func versions() {
    var plan = DecisionStory.plan
    let version = plan.version
    plan.promotion = .lowerBound
    #expect(plan.version != version)
    plan.promotion = .byPerson
    #expect(plan.version == version)
    let promoted = plan.promoting(1, since: ten)
    #expect(promoted.policy == .fixed && promoted.shadows.map(\.name) == ["declared"])
    let back = plan.promoting(0, since: ten + 1)
    #expect(back.policy == plan.policy && back.shadows == plan.shadows)
    #expect(Set([plan.version, promoted.version, back.version]).count == 3)
    #expect(promoted.fingerprint == plan.fingerprint)
  }

  @Test(
    "Promotions take effect where they are read, and decisions of several processes are made again to the bit",
    arguments: [false, true])
  func replayed(isSticky: Bool) throws {
    var plan = Self.plan
    plan.isSticky = isSticky
    let (log, decisions) = try ReplayedDecisionsTests.run(
      plan, seed: 11, servers: 3, rates: [0.1, 0.6, 0.3],
      promotions: [50: "learned", 100: "declared", 120: "learned"])
    let found = try ReplayedDecisionsTests.replay(plan, log, decisions)
    #expect(found.tally.same == decisions.count && found.tally.otherVersion == 0, "\(found.tally)")
    #expect(Set(decisions.map(\.event.token.version)).count == 4)
    #expect(Set(decisions.map(\.event.policy)) == ["uniform", "bernoulli_thompson"])
    // The declared policy is estimated also of what others decided.
    let uniform = try ReplayedDecisionsTests.replay(plan, log, decisions, policy: .uniform)
    let evaluation = PolicyEvaluation(plan, uniform.outcomes)
    let ips = try #require(evaluation.estimates.first { $0.name == "snips" })
    #expect((ips.value - 1.0 / 3).magnitude < 0.15, "\(ips)")
  }

  @Test(
    "What is read in another order comes to the same, copies and renewed promotions change nothing")
  func order() {
    var ledgers = (0..<2).map { _ in PlanLedger(Self.plan, entryCountMax: 100) }
    func promotion(_ policy: String, _ since: Int64) -> DecisionPromotion {
      DecisionPromotion(
        plan: "hero", version: Self.plan.version, policy: policy, since: since, cause: .person)
    }
    let (one, two) = (promotion("first", ten), promotion("learned", ten + 1))
    for event in [one, two, one] { ledgers[0].promote(event, at: event.since) }
    for event in [two, one] { ledgers[1].promote(event, at: event.since) }
    for ledger in ledgers {
      #expect(ledger.promotion == two && ledger.plan.policy == .bernoulliThompson)
      #expect(ledger.plan.shadows.map(\.name) == ["declared", "first"])
      #expect(ledger.promotionSaidAt == ten + 1)
    }
    let scores = ledgers[0].shadows
    ledgers[0].promote(two, at: ten + hour)
    #expect(ledgers[0].promotionSaidAt == ten + hour && ledgers[0].shadows == scores)
    for stranger in [
      promotion("nobody", ten + 2),
      DecisionPromotion(
        plan: "hero", version: 1, policy: "first", since: ten + 3, cause: .person),
    ] {
      ledgers[0].promote(stranger, at: ten + 2)
      #expect(ledgers[0].promotion == two)
    }
  }

  /// What is due after so many settled decisions with these rates of the three arms.
  private static func due(
    _ plan: DecisionPlan, rates: [Int], decisions: Int
  ) -> (learning: PlanLearning, at: Int64) {
    var ledger = PlanLedger(plan, entryCountMax: 1_000_000)
    var random = SeededGenerator(seed: 5)
    var time = ten
    for number in 0..<decisions {
      time += second
      let arm = random.below(3)
      let facts = DecisionEntry.Facts(
        arm: arm, time: time, propensity: 1.0 / 3, flags: [], version: ledger.plan.version)
      let id = DecisionID(Key128(low: UInt64(number), high: 1))
      // The first shadow mostly shows the second arm.
      ledger.decide(
        id, facts, person: DecisionStory.key(UInt64(number)), features: .none,
        shadows: [
          DecisionEntry.unknownChance, [0.1, 0.8, 0.1][arm], [1, 0, 0][arm],
        ], logTime: time)
      if random.below(10) < rates[arm] {
        ledger.echo(
          id, facts, person: DecisionStory.key(UInt64(number)), at: time, value: RewardBins.one,
          logTime: time)
      }
      ledger.advance(to: time)
    }
    time += 2 * hour
    ledger.advance(to: time)
    let snapshot = DecisionLearner.snapshot(ledger, at: Position(generation: 1), time)
    return (PlanLearning(ledger, snapshot, at: time), time)
  }

  @Test(
    "A shadow that is better for certain is due, where the plan says so and it decides by itself")
  func due() {
    var plan = Self.plan
    plan.promotion = .lowerBound
    let (learning, time) = Self.due(plan, rates: [1, 6, 2], decisions: 6_000)
    let due = learning.due
    #expect(due?.policy == "learned" && due?.cause == .lowerBound && due?.since == time)
    #expect(due?.version == plan.version && due?.evidence?.decisions == 6_000)
    #expect((due?.evidence?.lower ?? 0) > 0)
    #expect(Self.due(plan, rates: [3, 3, 3], decisions: 6_000).learning.due == nil)
    #expect(Self.due(plan, rates: [1, 6, 2], decisions: 60).learning.due == nil)
    #expect(Self.due(Self.plan, rates: [1, 6, 2], decisions: 6_000).learning.due == nil)
    plan.ramp = .init(from: 0.1, begin: ten, end: ten + 1_000 * hour)
    #expect(Self.due(plan, rates: [1, 6, 2], decisions: 6_000).learning.due == nil)
  }

  @Test("A promotion is said anew before it is forgotten")
  func renewed() {
    var ledger = PlanLedger(Self.plan, entryCountMax: 100)
    let promotion = DecisionPromotion(
      plan: "hero", version: Self.plan.version, policy: "first", since: ten, cause: .person)
    ledger.promote(promotion, at: ten)
    func due(_ time: Int64) -> DecisionPromotion? {
      let snapshot = DecisionLearner.snapshot(ledger, at: Position(generation: 1), time)
      return PlanLearning(ledger, snapshot, at: time).due
    }
    #expect(due(ten + Self.plan.memory / 2) == nil)
    let later = ten + Self.plan.memory / 2 + second
    #expect(due(later) == promotion)
    ledger.promote(promotion, at: later)
    #expect(due(later) == nil)
  }

  @Test("Of equal policies at most one in twenty is ever promoted, looked at after every decision")
  func equal() {
    var plan = Self.plan
    plan.shadows.append(.init(name: "third", policy: .uniform))
    var random = SeededGenerator(seed: 9)
    let chances = [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.05, 0.05, 0.9]]
    var promoted = 0
    for _ in 0..<1_000 {
      var scores = ShadowScores(plan)
      var isPromoted = false
      for number in 0..<500 {
        let arm = random.below(3)
        scores.add(
          DecisionEntry.Facts(
            arm: arm, time: ten + Int64(number), propensity: 1.0 / 3, flags: [], version: 1),
          reward: random.below(10) < 4 ? RewardBins.one : 0, chances: chances.map { $0[arm] })
        isPromoted = isPromoted || scores.report().contains(where: \.isBetter)
      }
      promoted += isPromoted ? 1 : 0
    }
    #expect(promoted <= 50, "\(promoted)")
  }
}
