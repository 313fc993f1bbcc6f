/// Thompson sampling that forgets as fast as rates are seen to change, and not at all where they stay: the default.
///
/// Three models of the arms side by side: one that keeps everything (uniform prior, as in ``BernoulliThompson``), and
/// two whose memory is 3,000 and 10,000 decisions. Each reward is first predicted by all three, and
/// their weights follow the likelihood (Bayes' rule over forgetting rates, with the fixed share of Herbster and
/// Warmuth 1998, so that none is ever out). The arm is drawn from the model that keeps everything while its
/// weight is above a fifth, else from one drawn by its weight.
///
///     reward ─▶ predicted by  ∞ │ 10,000 │ 3,000   ─▶ weights ─▶ which model draws
///
/// What a forgetting model has no trials of any more, it takes to be as it was on the whole, with the weight of
/// 30 trials: arms that were poor are tried again, but seldom.
///
/// Cost: three multiplications of each sum a reward, one beta draw an arm and decision. Fails to notice that an
/// arm which it does not show has become the best, until the shown one gets worse or chance shows the other.
public struct AdaptiveThompson: BanditPolicy, Equatable {
  private var whole: ArmSums
  private var fading: [ArmSums]
  private let kept: [Double]
  /// ln of each model's weight; the last one keeps everything.
  private var logWeights: [Double]
  /// Rewards and trials of all arms of late.
  private var recent = (rewards: 0.0, trials: 0.0)

  public init(arms: Int) {
    whole = ArmSums(arms: arms)
    fading = Self.memories.map { _ in ArmSums(arms: arms) }
    kept = Self.memories.map { Elementary.exp(-1 / $0) }
    let others = Elementary.log((1 - Self.trust) / Double(Self.memories.count))
    logWeights =
      [Double](repeating: others, count: Self.memories.count) + [Elementary.log(Self.trust)]
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.whole == right.whole && left.fading == right.fading && left.logWeights == right.logWeights
      && left.recent == right.recent
  }

  public var armCount: Int { whole.trials.count }

  /// How much the model that never forgets is believed, 0 to 1.
  public var stability: Double { Elementary.exp(logWeights[fading.count]) }

  public mutating func choose(_ draws: inout Draws) -> Int {
    let model: Int
    if stability > Self.stabilityMin {
      model = fading.count
    } else {
      model = draws.index(weights: logWeights.map { Elementary.exp($0) })
    }
    var best = (arm: 0, value: -1.0)
    for arm in 0..<armCount {
      let (a, b) = posterior(arm, model)
      let value = draws.beta(a, b)
      if value > best.value { best = (arm, value) }
    }
    return best.arm
  }

  public mutating func learn(arm: Int, reward: Double) {
    let reward = min(max(reward, 0), 1)
    for model in logWeights.indices {
      let (a, b) = posterior(arm, model)
      let mean = a / (a + b)
      logWeights[model] +=
        reward * Elementary.log(mean) + (1 - reward) * Elementary.log(1 - mean)
    }
    shareWeights(1)
    for model in fading.indices {
      fading[model].fade(by: kept[model])
      fading[model].add(arm: arm, reward: reward)
    }
    whole.add(arm: arm, reward: reward)
    recent.rewards = recent.rewards * Self.recentKept + reward
    recent.trials = recent.trials * Self.recentKept + 1
  }

  /// Each arm's trials and rewards of the batch are predicted by each model from what it knew before: by the beta-binomial
  /// distribution, as if the batch had come one by one in any order.
  public mutating func learn(_ batch: RewardBatch) {
    let count = batch.trialCount
    guard count > 0 else { return }
    for model in logWeights.indices {
      for arm in 0..<armCount where batch.trials[arm] > 0 {
        let (a, b) = posterior(arm, model)
        let (rewards, trials) = (batch.rewards[arm], batch.trials[arm])
        logWeights[model] +=
          GammaFunction.logBeta(a + rewards, b + max(0, trials - rewards))
          - GammaFunction.logBeta(a, b)
      }
    }
    shareWeights(count)
    for model in fading.indices {
      let fade = BatchFade(kept: kept[model], count: count)
      fading[model].fade(by: fade.before)
      fading[model].add(batch, weight: fade.within)
    }
    whole.add(batch)
    let fade = BatchFade(kept: Self.recentKept, count: count)
    recent.rewards = recent.rewards * fade.before + batch.rewards.reduce(0, +) * fade.within
    recent.trials = recent.trials * fade.before + count * fade.within
  }

  public func chances() -> [Double] {
    func chances(_ model: Int) -> [Double] {
      BestArmChances.rates((0..<armCount).map { posterior($0, model) })
    }
    guard stability <= Self.stabilityMin else { return chances(fading.count) }
    var mixed = [Double](repeating: 0, count: armCount)
    for model in logWeights.indices {
      let weight = Elementary.exp(logWeights[model])
      guard weight > 1e-4 else { continue }
      for (arm, chance) in chances(model).enumerated() { mixed[arm] += weight * chance }
    }
    let total = mixed.reduce(0, +)
    return mixed.map { $0 / total }
  }

  private func posterior(_ arm: Int, _ model: Int) -> (a: Double, b: Double) {
    let all = (rewards: whole.rewards[arm], trials: whole.trials[arm])
    guard model < fading.count else { return (1 + all.rewards, 1 + all.trials - all.rewards) }
    let overall = min(max((recent.rewards + 0.5) / (recent.trials + 10), 1e-4), 0.9)
    let mean = (all.rewards + 2 * overall) / (all.trials + 2)
    let strength = min(Self.priorTrials, all.trials + 2)
    let rewards = fading[model].rewards[arm]
    return (
      rewards + mean * strength,
      max(0, fading[model].trials[arm] - rewards) + (1 - mean) * strength
    )
  }

  /// Weights add up to 1 again, and each gives a little to the others.
  ///
  /// - Parameter count: of trials since they last did.
  private mutating func shareWeights(_ count: Double) {
    let leaves = 1 - Elementary.exp(count * Elementary.log1p(-Self.leaves))
    let returns = 1 - Elementary.exp(count * Elementary.log1p(-Self.returns))
    let total = Elementary.logSumExp(logWeights)
    var weights = logWeights.map { Elementary.exp($0 - total) }
    let last = fading.count
    let left = weights[last] * leaves
    var others = 0.0
    for model in 0..<last { others += weights[model] }
    let back = others * returns
    for model in 0..<last {
      weights[model] =
        (1 - returns) * ((1 - returns) * weights[model] + returns * others / Double(last))
        + left / Double(last)
    }
    weights[last] += back - left
    logWeights = weights.map { Elementary.log($0) }
  }

  private static let memories = [3_000.0, 10_000]
  /// In the beginning, of the model that keeps everything.
  private static let trust = 0.999
  private static let stabilityMin = 0.2
  /// The chance with each reward that rates begin to change, and that they are stable from now on.
  private static let leaves = 1e-6
  private static let returns = 1e-4
  private static let priorTrials = 30.0
  private static let recentKept = 0.999_95
}
