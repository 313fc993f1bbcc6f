import Statistics

extension DecisionPolicy {
  /// The chance of each arm, from what the arms earned: a function of the sums and their time, so that what is taken back
  /// from the sums is taken back from the policy.
  ///
  /// Cost: of some hundred bins and ten arms below a millisecond.
  func chances(_ plan: DecisionPlan, _ sums: RewardBins) -> [Double] {
    let arms = plan.arms.count
    switch self {
    case .uniform: return [Double](repeating: 1 / Double(arms), count: arms)
    case .fixed: return (0..<arms).map { $0 == plan.defaultArm ? 1 : 0 }
    case .adaptiveThompson:
      return Self.learned(AdaptiveThompson(arms: arms), RewardEvidence(sums).batches)
    case .bernoulliThompson:
      return Self.learned(BernoulliThompson(arms: arms), [RewardEvidence(sums).totals])
    case .discountedThompson(let memory):
      return Self.learned(
        BernoulliThompson(arms: arms), [RewardEvidence(sums, fading: memory).totals])
    case .slidingThompson(let window):
      return Self.learned(
        BernoulliThompson(arms: arms), [RewardEvidence(sums, window: window).totals])
    case .gaussianThompson:
      return Self.learned(GaussianThompson(arms: arms), [RewardEvidence(sums).totals])
    case .topTwoThompson(let share):
      return Self.learned(
        TopTwoThompson(arms: arms, share: share), [RewardEvidence(sums).totals])
    case .ucb1:
      return Self.learned(
        UpperConfidence(arms: arms, bound: .hoeffding), [RewardEvidence(sums).totals])
    case .klUCB:
      return Self.learned(
        UpperConfidence(arms: arms, bound: .kullbackLeibler), [RewardEvidence(sums).totals])
    // By the context of each decision: ``ContextualModel``.
    case .kernelGap, .squareCB, .linUCB, .linearThompson, .logisticThompson, .contextualGreedy:
      return [Double](repeating: 1 / Double(arms), count: arms)
    case .given(let table): return table.chances(.none, arms: arms)
    case .epsilonGreedy(let epsilon):
      return Self.learned(
        EpsilonGreedy(arms: arms, epsilon: epsilon), [RewardEvidence(sums).totals])
    }
  }

  private static func learned(
    _ policy: some BanditPolicy, _ batches: [RewardBatch]
  ) -> [Double] {
    var policy = policy
    for batch in batches { policy.learn(batch) }
    return policy.chances()
  }
}
