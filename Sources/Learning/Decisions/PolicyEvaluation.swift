import Statistics

/// What a policy would have earned per decision of a stretch of the past, beside what was earned.
///
/// Estimators as in ``OffPolicyEstimates``. The model of rewards that some of them need is a table: of each arm in each
/// context (the same features) the rewards, drawn to the mean of all as by twenty decisions. The intervals of single
/// estimators are normal approximations of 95 %, to be looked at once; the anytime intervals hold however often the same
/// log is looked at (``ShadowScores``), with inverse propensities alone. Decisions that were not drawn from the policy's
/// chances are left out: hold-outs and repeated arms.
public struct PolicyEvaluation: Sendable {
  /// An estimate of what is earned per decision.
  public struct Estimate: Sendable, Equatable {
    /// As reports have it, such as `ips`.
    public var name: String
    public var value: Double
    /// The ends of an interval of 95 %.
    public var lower: Double
    public var upper: Double
  }

  /// Decisions that the estimates are from.
  public let decisions: Int
  /// What they earned per decision; the interval may be looked at any time.
  public let logged: Estimate
  public let estimates: [Estimate]
  /// By inverse propensities in intervals that may be looked at any time.
  public let anytime: ShadowReport

  /// Of the normal distribution, for 95 %.
  private static let deviations = 1.959963984540054

  private struct Place: Hashable {
    var arm: Int
    var features: UInt32
  }

  private struct Earned {
    var trials = 0.0
    var rewards = 0.0
  }

  public init(_ plan: DecisionPlan, _ outcomes: [ReplayedOutcome]) {
    let drawn = outcomes.filter { $0.facts.flags.isDrawn && $0.facts.propensity > 0 }
      .sorted { ($0.facts.time, $0.id) < ($1.facts.time, $1.id) }
    var scores = ShadowScores(plan, count: 1)
    for outcome in drawn {
      scores.add(
        outcome.facts, reward: outcome.reward, chances: [outcome.chances[outcome.facts.arm]])
    }
    decisions = drawn.count
    anytime = scores.report()[0]
    let rewards = drawn.reduce(0.0) { $0 + Self.reward($1) }
    logged = Estimate(
      name: "logged", value: drawn.isEmpty ? 0 : rewards / Double(drawn.count),
      lower: scores.servedInterval.lower, upper: scores.servedInterval.upper)
    estimates = Self.estimates(drawn)
  }

  private static func reward(_ outcome: ReplayedOutcome) -> Double {
    Double(outcome.reward) / Double(RewardBins.one)
  }

  private static func estimates(_ drawn: [ReplayedOutcome]) -> [Estimate] {
    let decisions = modelled(drawn)
    let sums: OffPolicyEstimates
    do throws(OffPolicyError) {
      var all = try OffPolicyEstimates()
      for decision in decisions { try all.add(decision) }
      sums = all
    } catch {
      preconditionFailure("chances and rewards are within their ranges: \(error)")
    }
    let meanWeight = sums.meanWeight > 0 ? sums.meanWeight : 1
    func estimate(
      _ name: String, _ value: Double, _ term: (LoggedDecision) -> Double
    ) -> Estimate {
      guard decisions.count > 1 else {
        return Estimate(name: name, value: value, lower: 0, upper: 1)
      }
      var (mean, squares) = (0.0, 0.0)
      for (index, decision) in decisions.enumerated() {
        let x = term(decision)
        let difference = x - mean
        mean += difference / Double(index + 1)
        squares += difference * (x - mean)
      }
      let count = Double(decisions.count)
      let width = deviations * (squares / (count - 1) / count).squareRoot()
      return Estimate(
        name: name, value: value, lower: max(0, value - width), upper: min(1, value + width))
    }
    let (ratio, tau, lambda) = (
      sums.selfNormalized, sums.switchThreshold, sums.shrinkage
    )
    return [
      estimate("ips", sums.inversePropensity) { $0.weight * $0.reward },
      estimate("snips", sums.selfNormalized) { $0.weight * ($0.reward - ratio) / meanWeight },
      estimate("direct", sums.direct) { $0.expected },
      estimate("dr", sums.doublyRobust) { $0.expected + $0.weight * $0.error },
      estimate("sndr", sums.selfNormalizedDoublyRobust) {
        $0.expected + $0.weight * $0.error / meanWeight
      },
      estimate("switch_dr", sums.switchDoublyRobust) {
        $0.expected + ($0.weight <= tau ? $0.weight * $0.error : 0)
      },
      estimate("dr_os", sums.optimisticDoublyRobust) {
        $0.expected + $0.weight * lambda / ($0.weight * $0.weight + lambda) * $0.error
      },
    ]
  }

  /// The decisions with what the table of rewards expects of them.
  private static func modelled(_ drawn: [ReplayedOutcome]) -> [LoggedDecision] {
    var table: [Place: Earned] = [:]
    var all = Earned()
    for outcome in drawn {
      let place = Place(arm: outcome.facts.arm, features: outcome.features)
      table[place, default: Earned()].trials += 1
      table[place, default: Earned()].rewards += reward(outcome)
      all.trials += 1
      all.rewards += reward(outcome)
    }
    let mean = all.rewards / max(1, all.trials)
    func expected(_ arm: Int, _ features: UInt32) -> Double {
      let earned = table[Place(arm: arm, features: features)] ?? Earned()
      return (earned.rewards + RewardTable.prior * mean) / (earned.trials + RewardTable.prior)
    }
    return drawn.map { outcome in
      var value = 0.0
      for (arm, chance) in outcome.chances.enumerated() where chance > 0 {
        value += chance * expected(arm, outcome.features)
      }
      return LoggedDecision(
        reward: reward(outcome),
        propensity: outcome.facts.propensity,
        probability: outcome.chances[outcome.facts.arm],
        predicted: expected(outcome.facts.arm, outcome.features), expected: value)
    }
  }
}

extension LoggedDecision {
  fileprivate var error: Double { reward - predicted }
}
