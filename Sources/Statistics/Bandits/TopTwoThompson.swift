/// Finds the best arm soonest, rather than to earn most on the way: for tests with an end.
///
/// Top-two Thompson sampling (Russo 2016): the winner of a draw with the chance `share`, else the first other winner
/// of further draws. Its regret is higher than Thompson's, its choice at the end more certain.
public struct TopTwoThompson: BanditPolicy, Equatable {
  private var inner: BernoulliThompson
  private let share: Double

  /// - Parameter share: Of decisions that go to the winner, 0 to 1.
  public init(arms: Int, share: Double = 0.5) {
    inner = BernoulliThompson(arms: arms)
    self.share = min(max(share, 0), 1)
  }

  public var armCount: Int { inner.armCount }

  public mutating func choose(_ draws: inout Draws) -> Int {
    let first = inner.choose(&draws)
    guard armCount > 1, draws.unit() >= share else { return first }
    // Where one arm is all but certain, another winner may take for ever.
    for _ in 0..<Self.roundsMax {
      let second = inner.choose(&draws)
      if second != first { return second }
    }
    return (first + 1 + Int(draws.next() % UInt64(armCount - 1))) % armCount
  }

  public mutating func learn(arm: Int, reward: Double) { inner.learn(arm: arm, reward: reward) }

  public mutating func learn(_ batch: RewardBatch) { inner.learn(batch) }

  /// Of a winner with the chance p, each other one is the next with its chance over 1 − p.
  public func chances() -> [Double] {
    let winners = inner.chances()
    guard armCount > 1 else { return winners }
    var chances = winners.map { share * $0 }
    for (winner, chance) in winners.enumerated() where chance > 0 {
      let rest = winners.enumerated().reduce(0) { $0 + ($1.offset == winner ? 0 : $1.element) }
      for other in winners.indices where other != winner {
        // Where all others are out, each of them is as good as any.
        let next = rest > 1e-12 ? winners[other] / rest : 1 / Double(armCount - 1)
        chances[other] += (1 - share) * chance * next
      }
    }
    return chances
  }

  private static let roundsMax = 100
}
