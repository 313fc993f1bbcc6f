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
}
