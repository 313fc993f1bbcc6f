/// Thompson sampling that forgets as fast as rates are seen to change, and not at all where they stay: the default.
///
/// Four models of the arms side by side: one that keeps everything, and three whose memory is 30,000, 10,000 and 3,000
/// decisions. Each reward is first predicted by all of them, and their weights follow the likelihood (Bayes' rule over
/// forgetting rates, with the fixed share of Herbster and Warmuth 1998, so that none is ever out). A model is drawn by
/// its weight, and an arm from what it believes.
///
///     reward ─▶ predicted by  ∞ │ 30,000 │ 10,000 │ 3,000   ─▶ weights ─▶ which model draws
///
/// An arm of which nothing is known, or nothing any more, is taken to be one like the others (empirical Bayes): with the
/// mean of all arms' rates, and the weight of one success. A uniform prior instead takes each of them for one that
/// earns in half of all cases, and shows it some hundred times before it is believed to be one of clicks.
///
/// Draws are from beliefs that are half as wide as they are, in variance. Thompson's own width is right for
/// no end of time; with an end it explores too much (Jin et al. 2023, "Thompson sampling with less exploration is fast
/// and optimal"), the more where what is learned will be out of date. Trials whose rewards are on the way make beliefs
/// as much narrower as they will when they have come, at the mean of today (Desautels, Krause, Burdick 2014):
/// what will be known by itself is not to be tried again in the meantime.
///
/// Cost: four multiplications of each sum a reward, one beta draw an arm and decision. Fails to notice soon that an
/// arm which it does not show has become the best, until the shown one gets worse or chance shows the other.
public struct AdaptiveThompson: BanditPolicy, Equatable {
  private var whole: ArmSums
  private var fading: [ArmSums]
  private let kept: [Double]
  /// Of each model, adding up to 1; the last one keeps everything.
  private var weights: [Double]

  public init(arms: Int) {
    whole = ArmSums(arms: arms)
    fading = Self.memories.map { _ in ArmSums(arms: arms) }
    kept = Self.memories.map { Elementary.exp(-1 / $0) }
    weights = Self.priorWeights
  }

  public var armCount: Int { whole.trials.count }

  /// How much the model that never forgets is believed, 0 to 1.
  public var stability: Double { weights[fading.count] }

  public mutating func choose(_ draws: inout Draws) -> Int {
    let model = draws.index(weights: weights)
    let prior = prior
    var best = (arm: 0, value: -1.0)
    for arm in 0..<armCount {
      let (a, b) = expected(arm, model, prior)
      let value = draws.beta(a, b)
      if value > best.value { best = (arm, value) }
    }
    return best.arm
  }

  public mutating func learn(arm: Int, reward: Double) {
    let reward = min(max(reward, 0), 1)
    let prior = prior
    weights = weighed(trials: 1) { model in
      let (a, b) = belief(arm, model, prior)
      return reward * Elementary.log(a) + (1 - reward) * Elementary.log(b) - Elementary.log(a + b)
    }
    for model in fading.indices {
      fading[model].fade(by: kept[model])
      fading[model].add(arm: arm, reward: reward)
    }
    whole.add(arm: arm, reward: reward)
  }

  /// Each arm's trials and rewards of the batch are predicted by each model from what it knew before: by the beta-binomial
  /// distribution, as if the batch had come one by one in any order.
  public mutating func learn(_ batch: RewardBatch) {
    let count = batch.trialCount
    let prior = prior
    weights = weighed(trials: count) { model in
      var sum = 0.0
      for arm in 0..<armCount where batch.trials[arm] > 0 {
        let (a, b) = belief(arm, model, prior)
        let (rewards, trials) = (batch.rewards[arm], batch.trials[arm])
        sum +=
          GammaFunction.logBeta(a + rewards, b + max(0, trials - rewards))
          - GammaFunction.logBeta(a, b)
      }
      return sum
    }
    for model in fading.indices {
      let fade = BatchFade(kept: kept[model], count: count)
      fading[model].fade(by: fade.before)
      fading[model].add(batch, weight: fade.within)
    }
    whole.add(batch)
  }

  public func chances() -> [Double] {
    let prior = prior
    var mixed = [Double](repeating: 0, count: armCount)
    for (model, weight) in weights.enumerated() where weight > Self.weightMin {
      let beliefs = (0..<armCount).map { expected($0, model, prior) }
      for (arm, chance) in BestArmChances.rates(beliefs).enumerated() {
        mixed[arm] += weight * chance
      }
    }
    let total = mixed.reduce(0, +)
    return mixed.map { $0 / total }
  }

  // MARK: What is believed

  /// Of an arm like the others: successes and failures, of which the rarer counts one.
  private var prior: (a: Double, b: Double) {
    func weak(_ mean: Double) -> (a: Double, b: Double) {
      mean <= 0.5 ? (1, (1 - mean) / mean) : (mean / (1 - mean), 1)
    }
    var (rewards, trials) = (1.0, 2.0)
    for arm in 0..<armCount {
      rewards += whole.rewards[arm]
      trials += whole.trials[arm]
    }
    // Those that are shown most earn more than others, so each arm counts once.
    let (a, b) = weak(min(rewards / trials, Self.meanMax))
    var mean = 0.0
    for arm in 0..<armCount {
      mean += (whole.rewards[arm] + a) / (whole.trials[arm] + a + b)
    }
    return weak(mean / Double(armCount))
  }

  private func belief(
    _ arm: Int, _ model: Int, _ prior: (a: Double, b: Double)
  ) -> (a: Double, b: Double) {
    let sums = sums(model)
    let rewards = sums.rewards[arm]
    return (prior.a + rewards, prior.b + max(0, sums.trials[arm] - rewards))
  }

  /// What draws are from.
  private func expected(
    _ arm: Int, _ model: Int, _ prior: (a: Double, b: Double)
  ) -> (a: Double, b: Double) {
    let (a, b) = belief(arm, model, prior)
    let factor = Self.sharpness * (1 + sums(model).pending[arm] / (a + b))
    return (factor * a, factor * b)
  }

  private func sums(_ model: Int) -> ArmSums { model < fading.count ? fading[model] : whole }

  /// - Parameters:
  ///   - trials: that were predicted.
  ///   - logLikelihood: of what they earned, by model.
  /// - Returns: the weights after it.
  private func weighed(trials: Double, _ logLikelihood: (_ model: Int) -> Double) -> [Double] {
    var logs = weights.map { Elementary.log($0) }
    for model in logs.indices { logs[model] += logLikelihood(model) }
    let total = Elementary.logSumExp(logs)
    let changes = 1 - Elementary.exp(trials * Elementary.log1p(-Self.changes))
    return logs.indices.map { model in
      (1 - changes) * Elementary.exp(logs[model] - total) + changes * Self.priorWeights[model]
    }
  }

  private static let memories = [3_000.0, 10_000, 30_000]
  /// In the beginning, and after a change of what changes.
  private static let priorWeights = [0.03, 0.03, 0.04, 0.9]
  /// The chance with each trial that rates begin or cease to change.
  private static let changes = 1e-5
  private static let sharpness = 2.0
  /// Models with less do not matter.
  private static let weightMin = 1e-4
  private static let meanMax = 0.999
}
