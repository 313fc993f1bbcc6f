import Events
import Statistics
import Testing

@testable import Learning

/// Decisions that others made, policies that others give, and what both come to so far.
@Suite struct DecisionElsewhereTests {
  private static let table = GivenChances(
    feature: "hour", rows: ["9": [0.5, 0.5, 0], "true": [1, 0, 0], "2.5": [0, 0, 1]])

  @Test("Given chances are those of the feature's value, and equal where the table says nothing")
  func given() {
    func chances(_ value: DecisionFeatures.Value?) -> [Double] {
      Self.table.chances(
        DecisionFeatures(value.map { [DecisionFeatures.Feature("hour", $0)] } ?? []), arms: 3)
    }
    let half = [0.5, 0.5, 0]
    #expect(chances(.number(9)) == half)
    #expect(chances(.text("9")) == half)
    #expect(chances(.flag(true)) == [1, 0, 0])
    #expect(chances(.number(2.5)) == [0, 0, 1])
    let equal = [Double](repeating: 1.0 / 3, count: 3)
    for value in [nil, .number(10), .text("")] as [DecisionFeatures.Value?] {
      #expect(chances(value) == equal)
    }
    let flat = GivenChances(rows: ["": [0.25, 0.75]])
    #expect(flat.chances(.none, arms: 2) == [0.25, 0.75])
    #expect(flat.chances(.none, arms: 3) == equal)
    #expect(Self.table.parameters != flat.parameters)
    // A dictionary has an order of its own in every process; what the version of a plan is made from has not.
    #expect("\(Self.table)".contains(#"["2.5", "9", "true"]"#))
    var plan = DecisionStory.plan
    #expect(!DecisionPolicy.given(Self.table).fits(plan))
    plan.features = ["hour"]
    #expect(DecisionPolicy.given(Self.table).fits(plan))
    #expect(!DecisionPolicy.given(flat).fits(plan) && DecisionPolicy.ucb1.fits(plan))
  }

  @Test("A plan serves given chances by the context of each decision")
  func serves() {
    var plan = DecisionStory.plan
    (plan.features, plan.policy, plan.floor) = (["hour"], .given(Self.table), 0)
    plan.holdout = nil
    plan.shadows = [.init(name: "same", policy: .given(Self.table))]
    let snapshot = ServedChances(plan, RewardBins(arms: 3, memory: hour), logTime: ten)
      .snapshot(at: Position(generation: 1))
    let nine = DecisionFeatures([.init("hour", .number(9))])
    #expect(snapshot.propensities(in: nine) == Propensities([1, 1, 0]))
    #expect(snapshot.shadows(in: nine)[0].chances == [0.5, 0.5, 0])
    #expect(snapshot.propensities == Propensities(uniform: 3))
    let request = DecisionRequest(
      id: DecisionID(Key128(low: 1, high: 1)), person: DecisionStory.key(1), time: ten,
      features: nine)
    let made = snapshot.elsewhere(request, arm: 2, probability: 0.5)
    #expect(made?.token.propensities == Propensities([1, 1, 2]))
    #expect(made?.arm == 2 && made?.token.flags == .elsewhere && made?.shadows.count == 1)
    #expect(snapshot.elsewhere(request, arm: 0, probability: 1e-9) == nil)
    let all = snapshot.elsewhere(request, arm: 0, probability: 1)
    #expect(all?.token.propensities == Propensities(only: 0, of: 3))
  }

  @Test(
    "What shadows would have earned so far follows each reward, and what is taken back leaves no trace"
  )
  func soFar() {
    var plan = DecisionStory.plan
    plan.shadows = [.init(name: "first", policy: .fixed), .init(name: "even", policy: .uniform)]
    var ledger = PlanLedger(plan, entryCountMax: 1_000)
    func id(_ number: Int) -> DecisionID { DecisionID(Key128(low: UInt64(number), high: 1)) }
    func decide(_ number: Int, arm: Int, _ propensity: Double, _ flags: DecisionToken.Flags = []) {
      let facts = DecisionEntry.Facts(
        arm: arm, time: ten + Int64(number), propensity: propensity, flags: flags,
        version: plan.version)
      ledger.decide(
        id(number), facts, person: DecisionStory.key(UInt64(number)), features: .none,
        shadows: [DecisionEntry.unknownChance, arm == 0 ? 1 : 0, 1.0 / 3], logTime: ten)
    }
    decide(1, arm: 0, 0.5)
    decide(2, arm: 1, 0.25, .elsewhere)
    decide(3, arm: 2, 0.25)
    decide(4, arm: 0, 0.5, .holdout)
    let before = ledger.soFar
    #expect(before.count == 3 && before.earned == 0)
    for number in [1, 3] {
      ledger.state(
        id(number), .init(value: RewardBins.one, time: ten, key: Key128(low: 1, high: 1)),
        logTime: ten)
    }
    let (first, even) = (ledger.soFar.report()[0], ledger.soFar.report()[1])
    #expect(first.decisions == 3 && (first.inversePropensity - 2.0 / 3).magnitude < 1e-11)
    #expect(first.selfNormalized == 1 && (ledger.soFar.earned - 2.0 / 3).magnitude < 1e-12)
    // Weights of 2/3, 4/3 and 4/3.
    #expect((even.inversePropensity - 2.0 / 3).magnitude < 1e-11)
    #expect((even.selfNormalized - 2 / (10.0 / 3)).magnitude < 1e-11)
    ledger.retract(id(3))
    let less = ledger.soFar
    #expect(less.count == 2 && less.report()[0].selfNormalized == 1)
    decide(5, arm: 2, 0.25)
    ledger.retract(id(5))
    #expect(ledger.soFar == less)
  }
}
