import Events
import Statistics
import Testing

@testable import Learning

/// Estimates from decisions of which each is known, beside what is worked out from them by the formulas of the papers.
@Suite struct PolicyEvaluationTests {
  private static func outcome(
    _ number: UInt64, arm: Int, _ propensity: Double, _ chances: [Double], reward: Int64,
    flags: DecisionToken.Flags = []
  ) -> ReplayedOutcome {
    ReplayedOutcome(
      PlanLedger.Outcome(
        id: DecisionID(Key128(low: number, high: 0)),
        facts: DecisionEntry.Facts(
          arm: arm, time: ten + Int64(number), propensity: propensity, flags: flags, version: 1),
        features: .none, reward: reward), chances: chances)
  }

  @Test("Each estimator is what its formula gives, and hold-outs and repeated arms are left out")
  func formulas() {
    // Arm 0 shown with 1/2 twice, arm 1 with 1/4; the policy under evaluation shows arm 0 with 3/4.
    let chances = [0.75, 0.25, 0]
    let outcomes = [
      Self.outcome(1, arm: 0, 0.5, chances, reward: 65_536),
      Self.outcome(2, arm: 0, 0.5, chances, reward: 0),
      Self.outcome(3, arm: 1, 0.25, chances, reward: 32_768),
      Self.outcome(4, arm: 2, 0.25, chances, reward: 65_536, flags: .holdout),
      Self.outcome(5, arm: 0, 1, chances, reward: 65_536, flags: .repeated),
    ]
    let evaluation = PolicyEvaluation(DecisionStory.plan, outcomes)
    #expect(evaluation.decisions == 3)
    #expect(evaluation.logged.value == 0.5)
    let weights = [1.5, 1.5, 1.0]
    let rewards = [1, 0, 0.5]
    // 20 decisions of the mean, 0.5, beside those of the arm: (1 + 10) / 22 and (0.5 + 10) / 21.
    let table = [0.5, 0.5]
    let expected = 0.75 * table[0] + 0.25 * table[1]
    let errors = zip(rewards, [table[0], table[0], table[1]]).map { $0 - $1 }
    let weighted = zip(weights, rewards).map { $0 * $1 }.reduce(0, +)
    let weightedErrors = zip(weights, errors).map { $0 * $1 }.reduce(0, +)
    let truths: [String: Double] = [
      "ips": weighted / 3, "snips": weighted / 4, "direct": expected,
      "dr": expected + weightedErrors / 3, "sndr": expected + weightedErrors / 4,
      "switch_dr": expected + weightedErrors / 3,
      "dr_os": expected
        + zip(weights, errors).map { $0 * 10 / ($0 * $0 + 10) * $1 }.reduce(0, +) / 3,
    ]
    #expect(Set(evaluation.estimates.map(\.name)) == Set(truths.keys))
    for estimate in evaluation.estimates {
      let truth = truths[estimate.name] ?? -1
      #expect((estimate.value - truth).magnitude < 1e-12, "\(estimate) \(truth)")
    }
  }

  @Test("The order in which decisions come makes no difference, and of none at all nothing is said")
  func order() {
    let outcomes = (0..<200).map { number in
      Self.outcome(
        UInt64(number), arm: number % 3, 1.0 / 3, [0.5, 0.3, 0.2],
        reward: number % 7 == 0 ? 65_536 : 0)
    }
    let (one, other) = (
      PolicyEvaluation(DecisionStory.plan, outcomes),
      PolicyEvaluation(DecisionStory.plan, outcomes.reversed())
    )
    #expect(one.estimates == other.estimates && one.logged == other.logged)
    #expect(one.anytime == other.anytime && one.anytime.decisions == 200)
    let terms = outcomes.map { outcome in
      outcome.reward == 0 ? 0 : outcome.chances[outcome.facts.arm] * 3
    }
    let mean = terms.reduce(0, +) / 200
    let squares = terms.map { ($0 - mean) * ($0 - mean) }.reduce(0, +)
    let width = 1.959_964 * (squares / 199 / 200).squareRoot()
    #expect((one.estimates[0].value - mean).magnitude < 1e-12)
    #expect((one.estimates[0].upper - mean - width).magnitude < 1e-6)
    #expect((one.estimates[0].lower - mean + width).magnitude < 1e-6)
    let none = PolicyEvaluation(DecisionStory.plan, [])
    #expect(none.decisions == 0 && none.logged.lower == 0 && none.logged.upper == 1)
    for estimate in none.estimates {
      #expect(estimate.value == 0 && estimate.lower == 0 && estimate.upper == 1)
    }
  }
}
