/// Thompson sampling for clicks and other rewards between 0 and 1: each arm with its chance to be the best.
///
/// Thompson 1933, with a uniform beta prior; a reward between 0 and 1 counts as so much of a success (Agrawal and
/// Goyal 2012 toss a coin instead, which has the same mean and more variance). `memory` makes it forget
/// (discounted Thompson sampling, Raj and Kalyani 2017): each reward of an arm fades with every decision. One
/// beta draw an arm and decision. Right where rates stay as they are; where they drift and nobody knows how fast,
/// take ``AdaptiveThompson``.
public struct BernoulliThompson: BanditPolicy, Equatable {
  private var sums: ArmSums
  private let kept: Double

  /// - Parameter memory: Decisions after which a reward counts 1/e; without it rewards count for ever.
  public init(arms: Int, memory: Double? = nil) {
    sums = ArmSums(arms: arms)
    kept = memory.map { Elementary.exp(-1 / max(1, $0)) } ?? 1
  }

  public var armCount: Int { sums.trials.count }

  public mutating func choose(_ draws: inout Draws) -> Int {
    var best = (arm: 0, value: -1.0)
    for arm in 0..<armCount {
      let rewards = sums.rewards[arm]
      let value = draws.beta(1 + rewards, 1 + max(0, sums.trials[arm] - rewards))
      if value > best.value { best = (arm, value) }
    }
    return best.arm
  }

  public mutating func learn(arm: Int, reward: Double) {
    if kept < 1 { sums.fade(by: kept) }
    sums.add(arm: arm, reward: reward)
  }

  public mutating func learn(_ batch: RewardBatch) {
    guard kept < 1 else { return sums.add(batch) }
    let fade = BatchFade(kept: kept, count: batch.trialCount)
    sums.fade(by: fade.before)
    sums.add(batch, weight: fade.within)
  }

  public func chances() -> [Double] {
    BestArmChances.rates(
      (0..<armCount).map { arm in
        (1 + sums.rewards[arm], 1 + max(0, sums.trials[arm] - sums.rewards[arm]))
      })
  }
}

/// What is left of rewards of before, and of those of a batch on average, where each of its trials fades all others.
struct BatchFade {
  let before: Double
  let within: Double

  init(kept: Double, count: Double) {
    before = Elementary.exp(count * Elementary.log(kept))
    within = count > 0 ? (1 - before) / (count * (1 - kept)) : 1
  }
}
