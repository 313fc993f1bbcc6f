import Events
import Oracles
import Testing

@testable import Learning
@testable import Statistics

@Suite struct DecisionContextTests {
  static let policies = DecisionPolicy.all.filter(\.isContextual)

  static func plan(_ policy: DecisionPolicy) -> DecisionPlan {
    var plan = DecisionStory.plan
    plan.policy = policy
    plan.features = ["device", "hour"]
    plan.shadows = [.init(name: "linear", policy: .squareCB)]
    plan.holdout = nil
    return plan
  }

  static func context(_ device: String, hour: Int = 12) -> DecisionFeatures {
    DecisionFeatures([.init("device", .text(device)), .init("hour", .number(Double(hour)))])
  }

  /// What happens to a ledger.
  enum Step {
    case decision(DecisionID, DecisionEntry.Facts, DecisionFeatures)
    case click(DecisionID, DecisionEntry.Facts)

    func apply(to ledger: inout PlanLedger) {
      switch self {
      case .decision(let id, let facts, let features):
        ledger.decide(
          id, facts, person: id.key, features: features,
          shadows: [DecisionEntry.unknownChance, 0.3],
          logTime: ten)
      case .click(let id, let facts):
        ledger.echo(
          id, facts, person: id.key, at: facts.time + second, value: RewardBins.one, logTime: ten)
      }
    }
  }

  /// Arm a is clicked on phones, arm b on desktops, arm c seldom.
  static func steps(_ count: Int, seed: UInt64) -> [Step] {
    var random = SeededGenerator(seed: seed)
    return (1...count).flatMap { number -> [Step] in
      let isPhone = random.once(in: 2)
      let arm = random.below(3)
      let id = DecisionID(Key128(low: random.next(), high: UInt64(number)))
      let facts = DecisionEntry.Facts(
        arm: arm, time: ten - random.time(upTo: 50 * minute), propensity: 1.0 / 3, flags: [],
        version: 1)
      let rate = [isPhone ? 8 : 1, isPhone ? 1 : 8, 1][arm]
      let decision = Step.decision(
        id, facts, context(isPhone ? "phone" : "desktop", hour: random.below(24)))
      return random.below(10) < rate ? [decision, .click(id, facts)] : [decision]
    }
  }

  static func ledger(_ plan: DecisionPlan, _ steps: [Step]) -> PlanLedger {
    var ledger = PlanLedger(plan, entryCountMax: 100_000)
    for step in steps { step.apply(to: &ledger) }
    ledger.advance(to: ten)
    return ledger
  }

  static func snapshot(_ ledger: PlanLedger) -> PolicySnapshot {
    DecisionLearner.snapshot(ledger, at: Position(generation: 1), ten)
  }

  @Test(
    "A policy with context shows in each context the arm that is best there", arguments: policies)
  func learns(policy: DecisionPolicy) {
    let snapshot = Self.snapshot(Self.ledger(Self.plan(policy), Self.steps(300, seed: 1)))
    let phone = snapshot.propensities(in: Self.context("phone"))
    let desktop = snapshot.propensities(in: Self.context("desktop"))
    #expect(phone[0] > 0.5 && desktop[1] > 0.5, "\(phone) \(desktop)")
    #expect(phone.parts.allSatisfy { $0 >= 655 })
    var request = DecideTests.request(1)
    request.features = Self.context("phone")
    let decision = snapshot.decide(request)
    #expect(decision.token.propensities == phone && decision.shadows[0].name == "linear")
    #expect(decision.shadows[0].chances[0] > 0.4)
    let parts = snapshot.model.contributions(Self.context("phone"), arm: 0)
    #expect((parts == nil) == (policy == .kernelGap || policy == .logisticThompson))
    if let parts { #expect(parts[0].name == "device" && parts[0].value > 0.1, "\(parts)") }
  }

  @Test(
    "What a policy with context has learned does not depend on the order in which it was read",
    arguments: policies)
  func anyOrder(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    let steps = Self.steps(60, seed: 2)
    let expected = Self.snapshot(Self.ledger(plan, steps)).propensities(in: Self.context("phone"))
    var random = SeededGenerator(seed: 9)
    for _ in 0..<3 {
      let ledger = Self.ledger(plan, steps.shuffled(using: &random))
      #expect(Self.snapshot(ledger).propensities(in: Self.context("phone")) == expected)
    }
  }

  @Test("What is taken back of it is as if it had never been", arguments: policies)
  func retracted(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    let (kept, gone) = (Self.steps(50, seed: 3), Self.steps(30, seed: 4))
    var ledger = Self.ledger(plan, kept + gone)
    for case .decision(let id, _, _) in gone { ledger.retract(id) }
    for device in ["phone", "desktop"] {
      let context = Self.context(device)
      #expect(
        Self.snapshot(ledger).propensities(in: context)
          == Self.snapshot(Self.ledger(plan, kept)).propensities(in: context))
    }
  }

  @Test(
    "What is taken back after it was settled is as if it had never been, with every policy",
    arguments: policies)
  func retractedLate(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    let (kept, gone) = (Self.steps(50, seed: 3), Self.steps(30, seed: 4))
    var (ledger, expected) = (Self.ledger(plan, kept + gone), Self.ledger(plan, kept))
    for time in [ten + 3 * hour, ten + 4 * hour] {
      ledger.advance(to: time)
      expected.advance(to: time)
    }
    #expect(ledger.entryCount == 0)
    for case .decision(let id, _, _) in gone {
      let isKnown = ledger.retract(id)
      #expect(isKnown)
    }
    #expect(ledger.counts.retracted == 30 && ledger.pendingRetractions == 30)
    ledger.advance(to: ten + 4 * hour)
    ledger.looked()
    #expect(ledger.pendingRetractions == 0 && ledger.sums == expected.sums)
    for device in ["phone", "desktop"] {
      let context = Self.context(device)
      #expect(
        Self.snapshot(ledger).propensities(in: context)
          == Self.snapshot(expected).propensities(in: context))
    }
    // Once more it is not known any more.
    for case .decision(let id, _, _) in gone {
      let isKnown = ledger.retract(id)
      #expect(!isKnown)
    }
  }

  @Test(
    "Of settled decisions as many can be taken back as there is room for; what is older stays learned"
  )
  func room() {
    var settled = SettledDecisions(countMax: 16)
    var gone: [DecisionID] = []
    let ids = (0..<40).map { DecisionID(Key128(low: UInt64($0), high: 1)) }
    for id in ids {
      gone += settled.add(
        SettledDecisions.Settled(
          id: id, persons: [id.key],
          part: .init(arm: 0, time: ten, reward: 0, delay: nil, isHeldOut: false), score: nil,
          example: nil)
      ).map(\.id)
    }
    #expect(
      gone == Array(ids.prefix(gone.count)) && settled.all.map(\.id) == ids.suffix(40 - gone.count))
    #expect(settled.all.count >= 16 && settled.all.count <= 18)
    let (first, last) = (settled.take(ids[0]), settled.take(ids[39]))
    #expect(first?.id == nil && last?.id == ids[39])
    let again = settled.take(ids[39])
    #expect(settled.decisions(of: ids[38].key, until: .max) == [ids[38]] && again?.id == nil)
  }

  @Test(
    "Decisions that are settled are still known, and those whose own event was lost are not learned from"
  )
  func settled() {
    let plan = Self.plan(.logisticThompson)
    let steps = Self.steps(80, seed: 5)
    var ledger = Self.ledger(plan, steps)
    let before = Self.snapshot(ledger).propensities(in: Self.context("phone"))
    ledger.advance(to: ten + 3 * hour)
    #expect(ledger.entryCount == 0)
    #expect(Self.snapshot(ledger).propensities(in: Self.context("phone")) == before)
    let clicks = steps.filter { if case .click = $0 { true } else { false } }
    let lost = Self.snapshot(Self.ledger(plan, clicks))
    let parts = lost.propensities(in: Self.context("phone")).parts
    #expect(parts.allSatisfy { (21_844...21_847).contains($0) }, "\(parts)")
    #expect(lost.arms.map(\.trials).reduce(0, +) == Int64(clicks.count))
  }
}
