/// Which arm to show next, learned from what the arms earned.
///
/// A policy is a pure function of its rewards in order and of the draws that it is given, so that a decision
/// can be made again from the log. Rewards are between 0 and 1.
public protocol BanditPolicy: Sendable {
  var armCount: Int { get }

  /// - Returns: an arm, from 0.
  mutating func choose(_ draws: inout Draws) -> Int

  /// - Parameter reward: 0 to 1; others count as the nearer of the two.
  mutating func learn(arm: Int, reward: Double)
}

extension BanditPolicy {
  /// The chance of each arm to be shown next, by repeated choice: exact to some 1/√`rounds`. The policy itself
  /// does not change.
  ///
  /// - Parameter floor: the least chance of an arm; at most 1 over their number.
  public func probabilities(
    _ draws: inout Draws, rounds: Int = 256, floor: Double = 0
  ) -> [Double] {
    var copy = self
    var counts = [Double](repeating: 0, count: armCount)
    for _ in 0..<max(1, rounds) { counts[copy.choose(&draws)] += 1 }
    let floor = min(max(0, floor), 1 / Double(armCount))
    let rest = 1 - floor * Double(armCount)
    return counts.map { floor + rest * $0 / Double(max(1, rounds)) }
  }
}

/// What arms earned: sums, added up in order.
struct ArmSums: Sendable, Equatable {
  private(set) var rewards: [Double]
  private(set) var trials: [Double]

  init(arms: Int) {
    precondition(arms >= 1, "a policy has arms")
    rewards = [Double](repeating: 0, count: arms)
    trials = rewards
  }

  mutating func add(arm: Int, reward: Double) {
    rewards[arm] += min(max(reward, 0), 1)
    trials[arm] += 1
  }

  mutating func fade(by factor: Double) {
    for arm in rewards.indices {
      rewards[arm] *= factor
      trials[arm] *= factor
    }
  }

  /// The first arm of which nothing is known.
  var untried: Int? { trials.firstIndex(of: 0) }

  func mean(_ arm: Int) -> Double { trials[arm] > 0 ? rewards[arm] / trials[arm] : 0 }

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
