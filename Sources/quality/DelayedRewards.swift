import Foundation
import Statistics

/// Bandits whose rewards come late, learned from as the decision service does: from sums by the time of the decision, with
/// the delays that were seen.
///
/// A decision a second, so that the 100,000 of a world take 28 hours; chances are worked out anew every minute. A reward
/// comes after a delay that is log-uniform between a minute and a day: one of three within ten minutes, two of three
/// within three hours, and one of eight would come after the end of a world on average of all its times.
struct DelayedRewards {
  static let delays = 60.0...86_400.0
  private static let decisionsPerUpdate = 60
  private static let second: Int64 = 1_000_000
  /// Aligned, as bins are.
  private static let begin: Int64 = 1_700_000_400 * second
  private static let memory: Int64 = 60 * 86_400 * second

  let environment: BanditEnvironment
  let make: @Sendable (Int) -> any BanditPolicy
  /// Seconds; nil where rewards come at once.
  let delays: ClosedRange<Double>?

  /// What the policy loses beside the best arm of each moment, in rewards.
  func regret(seed: UInt64) -> Double {
    var world = BanditWorld(environment, seed: seed)
    var draws = Draws(seed: seed ^ 0x5eed)
    var lateness = Draws(seed: seed ^ 0xde1a)
    var sums = RewardBins(arms: BanditEnvironment.arms, memory: Self.memory)
    // By the update at which they are seen.
    let updates = BanditEnvironment.horizon / Self.decisionsPerUpdate + 1
    var coming = [[(arm: Int, time: Int64, delay: Int64)]](repeating: [], count: updates + 1)
    var chances: [Double] = []
    var regret = 0.0
    for decision in 0..<BanditEnvironment.horizon {
      world.advance(to: decision)
      let luck = world.luck()
      let time = Self.begin + Int64(decision) * Self.second
      let (update, rest) = decision.quotientAndRemainder(dividingBy: Self.decisionsPerUpdate)
      if rest == 0 {
        for reward in coming[update] {
          sums.add(
            arm: reward.arm, time: reward.time, trials: 0, reward: RewardBins.one,
            delay: reward.delay)
        }
        coming[update] = []
        sums.advance(to: time)
        chances = learned(sums)
      }
      let arm = draws.index(weights: chances)
      sums.add(arm: arm, time: time, reward: 0, delay: nil)
      if luck < world.rates[arm] {
        let delay = delays.map { range in
          Int64(
            range.lowerBound * pow(range.upperBound / range.lowerBound, lateness.unit()) * 1e6)
        }
        let seen =
          (decision + Int((delay ?? 0) / Self.second)) / Self.decisionsPerUpdate + 1
        if seen < coming.count { coming[seen].append((arm, time, delay ?? 0)) }
      }
      regret += world.best - world.rates[arm]
    }
    return regret
  }

  private func learned(_ sums: RewardBins) -> [Double] {
    var policy = make(BanditEnvironment.arms)
    for batch in RewardEvidence(sums).batches { policy.learn(batch) }
    return policy.chances()
  }

  /// Beside the same policy with rewards at once.
  static func measure(worlds: Int) -> QualityTable {
    var table = QualityTable(
      "Regret where rewards come a minute to a day late, \(worlds) worlds; ± the standard error of ours",
      columns: ["ours", "ours, at once", "Thompson", "±"])
    for environment in BanditEnvironment.allCases {
      func regrets(
        _ delays: ClosedRange<Double>?, _ make: @escaping @Sendable (Int) -> any BanditPolicy
      ) -> [Double] {
        let bandit = DelayedRewards(environment: environment, make: make, delays: delays)
        return (0..<worlds).map { bandit.regret(seed: 1_000 + UInt64($0)) }
      }
      let runs = regrets(delays) { AdaptiveThompson(arms: $0) }
      let late = BanditQuality.mean(runs)
      let atOnce = BanditQuality.mean(regrets(nil) { AdaptiveThompson(arms: $0) })
      let plain = BanditQuality.mean(regrets(delays) { BernoulliThompson(arms: $0) })
      table.add(
        "regret_late_\(environment)", environment.rawValue,
        [late, atOnce, plain, BanditQuality.standardError(runs)],
        goal: .atMost(1.2 * atOnce, late))
    }
    return table
  }
}
