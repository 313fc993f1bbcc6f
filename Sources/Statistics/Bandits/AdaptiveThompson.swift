/// Thompson sampling that forgets as fast as rates are seen to change, and not at all where they stay: the default.
///
/// Four models of the arms side by side: one that keeps everything (uniform prior, as in ``BernoulliThompson``), and
/// three whose memory is 3,000, 10,000 and 30,000 decisions. Each reward is first predicted by all four, and
/// their weights follow the likelihood (Bayes' rule over forgetting rates, with the fixed share of Herbster and
/// Warmuth 1998, so that none is ever out). The arm is drawn from the model that keeps everything while its
/// weight is above a fifth, else from one drawn by its weight.
///
///     reward ─▶ predicted by  ∞ │ 30,000 │ 10,000 │ 3,000   ─▶ weights ─▶ which model draws
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
    shareWeights()
    for model in fading.indices {
      fading[model].fade(by: kept[model])
      fading[model].add(arm: arm, reward: reward)
    }
    whole.add(arm: arm, reward: reward)
    recent.rewards = recent.rewards * Self.recentKept + reward
    recent.trials = recent.trials * Self.recentKept + 1
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
  private mutating func shareWeights() {
    let total = Elementary.logSumExp(logWeights)
    var weights = logWeights.map { Elementary.exp($0 - total) }
    let last = fading.count
    let left = weights[last] * Self.leaves
    var others = 0.0
    for model in 0..<last { others += weights[model] }
    let back = others * Self.returns
    for model in 0..<last {
      weights[model] =
        weights[model] * (1 - 2 * Self.returns) + (left + back) / Double(last)
    }
    weights[last] += back - left
    logWeights = weights.map { Elementary.log($0) }
  }

  private static let memories = [3_000.0, 10_000, 30_000]
  /// In the beginning, of the model that keeps everything.
  private static let trust = 0.999
  private static let stabilityMin = 0.2
  /// The chance with each reward that rates begin to change, and that they are stable from now on.
  private static let leaves = 1e-6
  private static let returns = 1e-4
  private static let priorTrials = 30.0
  private static let recentKept = 0.999_95
}
