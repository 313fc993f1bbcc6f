/// Thompson sampling for rewards that are amounts, such as money as a share of the most that is thought possible: each
/// arm's mean by a normal posterior.
///
/// With the variance that was seen of the arm; the prior is the mean and variance of all arms with the weight of two
/// trials, so that an arm of which little is known is neither out nor in (Honda and Takemura 2014 discuss priors for
/// unknown variances). Before any reward each arm has the same chance. Where most decisions earn nothing and few
/// much, it takes hundreds of trials until the normal distribution is right.
public struct GaussianThompson: BanditPolicy, Equatable {
  private var sums: ArmSums
  private var squares: [Double]

  public init(arms: Int) {
    sums = ArmSums(arms: arms)
    squares = [Double](repeating: 0, count: arms)
  }

  public var armCount: Int { squares.count }

  public mutating func choose(_ draws: inout Draws) -> Int {
    let beliefs = beliefs
    var best = (arm: 0, value: -Double.infinity)
    for (arm, belief) in beliefs.enumerated() {
      let value = belief.mean + belief.deviation * draws.normal()
      if value > best.value { best = (arm, value) }
    }
    return best.arm
  }

  public mutating func learn(arm: Int, reward: Double) {
    let reward = min(max(reward, 0), 1)
    sums.add(arm: arm, reward: reward)
    squares[arm] += reward * reward
  }

  public mutating func learn(_ batch: RewardBatch) {
    sums.add(batch)
    for arm in squares.indices { squares[arm] += batch.squares[arm] }
  }

  public func chances() -> [Double] {
    let beliefs = beliefs
    return NormalContest.chances(
      means: beliefs.map(\.mean), deviations: beliefs.map(\.deviation))
  }

  private var beliefs: [(mean: Double, deviation: Double)] {
    var (trials, rewards, square) = (0.0, 0.0, 0.0)
    for arm in squares.indices {
      trials += sums.trials[arm]
      rewards += sums.rewards[arm]
      square += squares[arm]
    }
    // As if two trials more had been seen, one with and one without a reward of 1.
    let mean = (rewards + 1) / (trials + 2)
    let variance = max(1e-9, (square + 1) / (trials + 2) - mean * mean)
    return squares.indices.map { arm in
      let weight = sums.trials[arm] + Self.priorTrials
      let own = (sums.rewards[arm] + Self.priorTrials * mean) / weight
      let spread =
        (squares[arm] + Self.priorTrials * (variance + mean * mean)) / weight - own * own
      return (own, (max(1e-9, spread) / weight).squareRoot())
    }
  }

  private static let priorTrials = 2.0
}
