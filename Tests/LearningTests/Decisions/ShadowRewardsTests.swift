import Events
import Oracles
import Statistics
import Testing

@testable import Learning

/// Estimates of shadows with a model of rewards, live, beside a replay of the same decisions.
@Suite struct ShadowRewardsTests {
  private static let plan: DecisionPlan = {
    var plan = DecisionStory.plan
    plan.holdout = nil
    plan.features = ["device"]
    plan.shadows = [.init(name: "one", policy: .uniform), .init(name: "two", policy: .fixed)]
    return plan
  }()
  private static let served = [0.5, 0.25, 0.25]
  private static let shadows = [[0.125, 0.125, 0.75], [1, 0, 0]]

  private struct Made {
    var id: DecisionID
    var arm: Int
    var device: String
    var reward: Int64
  }

  private static func made(_ count: Int, devices: Int, seed: UInt64) -> [Made] {
    var random = SeededGenerator(seed: seed)
    return (0..<count).map { number in
      let arm = [0, 0, 1, 2][random.below(4)]
      return Made(
        id: DecisionID(Key128(low: UInt64(number) &* 0x9e37_79b9_7f4a_7c15, high: 7)), arm: arm,
        device: "d\(random.below(devices))",
        reward: random.below(6) < arm + 1 ? RewardBins.one : 0)
    }
  }

  private static func facts(_ made: Made) -> DecisionEntry.Facts {
    DecisionEntry.Facts(
      arm: made.arm, time: ten, propensity: served[made.arm], flags: [], version: plan.version)
  }

  private static func features(_ made: Made) -> DecisionFeatures {
    DecisionFeatures([.init("device", .text(made.device))])
  }

  private static func parts(_ chances: [Double]) -> [UInt32] {
    chances.map { UInt32(clamping: Int64($0 * 0x1p32)) }
  }

  private static func take(_ all: [Made], into ledger: inout PlanLedger) {
    for made in all {
      ledger.decide(
        made.id, facts(made), person: made.id.key, features: features(made),
        shadows: [DecisionEntry.unknownChance] + shadows.map { $0[made.arm] },
        chances: ShadowChances(served: parts(served), candidates: [[]] + shadows.map(parts)),
        logTime: ten)
      guard made.reward > 0 else { continue }
      ledger.echo(
        made.id, facts(made), person: made.id.key, at: ten + second, value: made.reward,
        logTime: ten)
    }
  }

  private static func ledger(_ all: [Made]) -> PlanLedger {
    var ledger = PlanLedger(plan, entryCountMax: 100_000)
    take(all, into: &ledger)
    return ledger
  }

  @Test("Doubly robust and switch-DR so far are those of a replay of the same decisions")
  func replayed() {
    let all = Self.made(600, devices: 5, seed: 3)
    let report = Self.ledger(all).soFar.report()
    for (shadow, chances) in Self.shadows.enumerated() {
      let outcomes = all.map { made in
        ReplayedOutcome(
          PlanLedger.Outcome(
            id: made.id, facts: Self.facts(made), features: Self.features(made),
            reward: made.reward), chances: chances)
      }
      let evaluation = PolicyEvaluation(Self.plan, outcomes)
      let expected = Dictionary(
        uniqueKeysWithValues: evaluation.estimates.map { ($0.name, $0.value) })
      #expect(report[shadow].modelled == 600 && report[shadow].decisions == 600)
      for (name, value) in [
        ("ips", report[shadow].inversePropensity), ("dr", report[shadow].doublyRobust),
        ("switch_dr", report[shadow].switchDoublyRobust),
      ] {
        let truth = expected[name] ?? -1
        #expect(truth > 0.1 && (value - truth).magnitude < 1e-8, "\(name) \(value) \(truth)")
      }
      #expect((report[shadow].doublyRobust - report[shadow].inversePropensity).magnitude > 1e-4)
    }
  }

  @Test(
    "They do not depend on the order, and what is taken back leaves no trace",
    arguments: [3, 3_000])
  func sums(devices: Int) {
    // More devices than there is room for share one row, the same ones in any order.
    let all = Self.made(3_000, devices: devices, seed: 5)
    var random = SeededGenerator(seed: 11)
    var ledger = Self.ledger(all.shuffled(using: &random))
    #expect(ledger.soFar == Self.ledger(all).soFar)
    guard devices == 3 else { return }
    let gone = all.filter { $0.id.key.low % 3 == 0 }
    #expect(gone.count > 500)
    for made in gone { ledger.retract(made.id) }
    #expect(ledger.soFar == Self.ledger(all.filter { $0.id.key.low % 3 != 0 }).soFar)
  }

  @Test(
    "Settled decisions are scored with a model of those before, and so are those that are learned again"
  )
  func settled() {
    let all = Self.made(4_000, devices: 3, seed: 7)
    var ledger = Self.ledger(all)
    ledger.advance(to: ten + 3 * hour)
    for (shadow, report) in ledger.shadows.report().enumerated() {
      let truth = ledger.soFar.report()[shadow].doublyRobust
      #expect(report.modelled == 4_000 && (report.doublyRobust - truth).magnitude < 0.02)
      #expect(report.robustLower < truth && truth < report.robustUpper)
      #expect(report.robustUpper - report.robustLower < 0.4, "\(report)")
      #expect(report.lower < truth && truth < report.upper)
    }
    // Nothing is taken for a model's word where chances of all arms are not kept.
    var plain = PlanLedger(Self.plan, entryCountMax: 100_000)
    for made in all {
      plain.decide(
        made.id, Self.facts(made), person: made.id.key, features: Self.features(made),
        shadows: [DecisionEntry.unknownChance] + Self.shadows.map { $0[made.arm] }, logTime: ten)
    }
    plain.advance(to: ten + 3 * hour)
    let report = plain.shadows.report()[0]
    #expect(report.decisions == 4_000 && report.modelled == 0)
    #expect(report.robustLower == 0 && report.robustUpper == 1)
    #expect(plain.soFar.report()[0].modelled == 0)

    let gone = all.filter { $0.id.key.low % 5 == 0 }
    for made in gone { ledger.retract(made.id) }
    for step in 1...4 { ledger.advance(to: ten + 3 * hour + Int64(step) * 10 * second) }
    var without = Self.ledger(all.filter { $0.id.key.low % 5 != 0 })
    without.advance(to: ten + 3 * hour)
    #expect(ledger.shadows == without.shadows && ledger.pendingRetractions == 0)
  }

  @Test(
    "Of an event as many chances are kept as there is room for, and no others are taken for them")
  func kept() throws {
    var story = DecisionStory(DecisionStory.plan)
    story.decide(1, at: ten - minute)
    let event = try #require(story.events.first)
    let logged = try event.payload.withUnsafeBytes {
      try LoggedDecisionEvent(payload: $0, isAuthentic: TestMAC.isAuthentic)
    }
    let names = ["declared", "first"]
    let chances = ShadowChances(logged, candidates: names, arms: 3)
    #expect(chances.candidates == [[], [.max, 0, 0]] && chances.count == 6)
    #expect(
      ShadowChances.chances(chances.served).enumerated().allSatisfy {
        ($0.element - logged.token.propensities[$0.offset]).magnitude < 1e-9
      })
    #expect(ShadowChances(logged, candidates: names, arms: 4).isEmpty)
  }

  @Test("Among some of the arms a shadow's chances are those among them, as the served ones are")
  func restricted() {
    let shadow = LoggedDecisionEvent.Shadow(name: "a", chances: [0.5, 0.25, 0.25])
    #expect(shadow.restricted(to: [1, 2]).chances == [0, 0.5, 0.5])
    #expect(shadow.restricted(to: [0, 1, 2]) == shadow && shadow.restricted(to: [9]) == shadow)
    let first = LoggedDecisionEvent.Shadow(name: "b", chances: [1, 0, 0])
    #expect(first.restricted(to: [1, 2]).chances == [0, 0.5, 0.5])
    let decision = DecisionStory(DecisionStory.plan).snapshot.decide(
      DecisionRequest(id: DecisionID(.zero), person: .zero, time: ten, candidates: [0, 2]))
    #expect(decision.shadows.map(\.chances) == [[1, 0, 0]])
  }
}
