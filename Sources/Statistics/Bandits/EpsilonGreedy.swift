/// The best arm so far, and with a small chance any: the simplest there is, with a known floor of propensities.
///
/// Its regret grows for ever, by `epsilon` of the arms' mean distance from the best.
public struct EpsilonGreedy: BanditPolicy, Equatable {
  private var sums: ArmSums
  private let epsilon: Double

  public init(arms: Int, epsilon: Double = 0.1) {
    sums = ArmSums(arms: arms)
    self.epsilon = min(max(epsilon, 0), 1)
  }

  public var armCount: Int { sums.trials.count }

  public mutating func choose(_ draws: inout Draws) -> Int {
    if let untried = sums.untried { return untried }
    if draws.unit() < epsilon { return Int(draws.next() % UInt64(armCount)) }
    return ArmSums.best(of: armCount) { sums.mean($0) }
  }

  public mutating func learn(arm: Int, reward: Double) { sums.add(arm: arm, reward: reward) }

  public mutating func learn(_ batch: RewardBatch) { sums.add(batch) }

  public func chances() -> [Double] {
    let untried = (0..<armCount).filter { sums.trials[$0] == 0 }
    guard untried.isEmpty else {
      return (0..<armCount).map { untried.contains($0) ? 1 / Double(untried.count) : 0 }
    }
    let best = ArmSums.best(of: armCount) { sums.mean($0) }
    return (0..<armCount).map { epsilon / Double(armCount) + ($0 == best ? 1 - epsilon : 0) }
  }
}
