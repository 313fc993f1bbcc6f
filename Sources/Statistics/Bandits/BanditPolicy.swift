/// Which arm to show next, learned from what the arms earned.
///
/// A policy is a pure function of its rewards in order and of the draws that it is given, so that a decision
/// can be made again from the log. Rewards are between 0 and 1. It may learn reward by reward, or from batches, in
/// which the order is not known (``RewardEvidence``); and it may choose, or tell with which chance it would.
public protocol BanditPolicy: Sendable {
  var armCount: Int { get }

  /// - Returns: an arm, from 0.
  mutating func choose(_ draws: inout Draws) -> Int

  /// - Parameter reward: 0 to 1; others count as the nearer of the two.
  mutating func learn(arm: Int, reward: Double)

  /// Learns from a stretch of time at once.
  mutating func learn(_ batch: RewardBatch)

  /// The chance of each arm to be chosen next; they add up to 1.
  func chances() -> [Double]
}

/// What arms earned: sums, added up in order.
struct ArmSums: Sendable, Equatable {
  private(set) var rewards: [Double]
  private(set) var trials: [Double]
  /// Trials whose rewards are on the way.
  private(set) var pending: [Double]

  init(arms: Int) {
    precondition(arms >= 1, "a policy has arms")
    rewards = [Double](repeating: 0, count: arms)
    trials = rewards
    pending = rewards
  }

  mutating func add(arm: Int, reward: Double) {
    rewards[arm] += min(max(reward, 0), 1)
    trials[arm] += 1
  }

  mutating func add(_ batch: RewardBatch, weight: Double = 1) {
    for arm in rewards.indices {
      rewards[arm] += weight * batch.rewards[arm]
      trials[arm] += weight * batch.trials[arm]
      pending[arm] += weight * batch.pending[arm]
    }
  }

  mutating func fade(by factor: Double) {
    for arm in rewards.indices {
      rewards[arm] *= factor
      trials[arm] *= factor
      pending[arm] *= factor
    }
  }

  /// The first arm of which nothing is known.
  var untried: Int? { trials.firstIndex(of: 0) }

  func mean(_ arm: Int) -> Double { trials[arm] > 0 ? rewards[arm] / trials[arm] : 0 }

  /// All of the chance to one arm.
  static func only(_ arm: Int, of arms: Int) -> [Double] {
    (0..<arms).map { $0 == arm ? 1 : 0 }
  }

  /// The first arm with the greatest value.
  static func best(of arms: Int, _ value: (Int) -> Double) -> Int {
    var best = (arm: 0, value: -Double.infinity)
    for arm in 0..<arms {
      let value = value(arm)
      if value > best.value { best = (arm, value) }
    }
    return best.arm
  }
}
