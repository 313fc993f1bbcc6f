import Events
import Statistics

/// What is served of a plan, from what its arms earned: the policy's chances, then the guardrails, the apprenticeship, the
/// ramp and the floor, in this order.
///
///     policy ─▶ without stopped arms, floor ─▶ or what an apprentice shows ─▶ ramp ─▶ 65,536ths
///
/// (``ChanceRules``; with context they are applied to each decision.)
/// A function of the plan, the sums and the time, so that it can be made again from the log.
struct ServedChances {
  let plan: DecisionPlan
  let sums: RewardBins
  let logTime: Int64
  private let totals: RewardBatch

  /// - Parameter sums: told the log time.
  init(_ plan: DecisionPlan, _ sums: RewardBins, logTime: Int64) {
    self.plan = plan
    self.sums = sums
    self.logTime = logTime
    totals = RewardEvidence(sums).totals
  }

  /// - Parameters:
  ///   - contextual: the model of each policy with context, the plan's first and then those of its shadows; nil for
  ///     the others.
  func snapshot(
    at position: Position, sticky: StickyArms? = nil, contextual: [(any ContextualPolicy)?] = []
  ) -> PolicySnapshot {
    let stopped = plan.arms.indices.map(isStopped)
    var rules = ChanceRules(plan, allowed: stopped.map { !$0 }, rampShare: rampShare)
    func model(_ place: Int, _ policy: DecisionPolicy) -> ContextualModel {
      let learned = place < contextual.count ? contextual[place] : nil
      return ContextualModel(
        policy: policy, learned: learned, chances: policy.chances(plan, sums),
        features: plan.features)
    }
    let main = model(0, plan.policy)
    let isApprentice =
      plan.apprenticeship.map { !hasLearned($0, rules.own(main.chances(.none), main.policy)) }
      ?? false
    rules.isApprentice = isApprentice
    return PolicySnapshot(
      plan: plan, position: position, logTime: logTime, rules: rules, model: main,
      arms: plan.arms.indices.map { arm($0, isStopped: stopped[$0]) },
      shadows: plan.shadows.enumerated().map { model($0.offset + 1, $0.element.policy) },
      sticky: sticky)
  }

  private var rampShare: Double { plan.ramp?.share(at: logTime) ?? 1 }

  // MARK: What is believed of an arm

  private func belief(_ arm: Int) -> BetaDistribution {
    let (trials, rewards) = (totals.trials[arm], totals.rewards[arm])
    return BetaDistribution(rewards + 0.5, max(0, trials - rewards) + 0.5)
  }

  private func arm(_ arm: Int, isStopped: Bool) -> PolicySnapshot.Arm {
    let belief = belief(arm)
    let interval = belief.interval(0.95)
    let cell = sums.totals[arm]
    return PolicySnapshot.Arm(
      trials: cell.trials, effectiveTrials: totals.trials[arm], rewards: totals.rewards[arm],
      mean: belief.mean, lower: interval.lower, upper: interval.upper, isStopped: isStopped)
  }

  /// Whether a guardrail's share of the default arm's rate is above the arm's, by the normal approximation of the
  /// difference; its prior is that of ``belief(_:)``.
  private func isStopped(_ arm: Int) -> Bool {
    guard arm != plan.defaultArm else { return false }
    let (own, other) = (belief(arm), belief(plan.defaultArm))
    return plan.guardrails.contains { guardrail in
      guard totals.trials[arm] >= Double(guardrail.trialsMin) else { return false }
      let difference = guardrail.share * other.mean - own.mean
      let deviation =
        (guardrail.share * guardrail.share * other.variance + own.variance).squareRoot()
      return Normal.lower(difference / deviation) >= guardrail.certainty
    }
  }

  /// Whether what the policy would earn is at least what the default arm does, as far as is believed of both.
  private func hasLearned(
    _ apprenticeship: DecisionPlan.Apprenticeship, _ policy: Propensities
  ) -> Bool {
    guard totals.trialCount >= Double(apprenticeship.trialsMin) else { return false }
    var mean = 0.0
    for arm in plan.arms.indices { mean += policy[arm] * belief(arm).mean }
    return mean >= belief(plan.defaultArm).mean
  }
}

extension DecisionPlan.Ramp {
  /// Of decisions that are the policy's, 0 to 1.
  func share(at time: Int64) -> Double {
    guard time > begin else { return min(1, max(0, from)) }
    guard time < end else { return 1 }
    return min(1, from + (1 - from) * Double(time - begin) / Double(end - begin))
  }
}
