/// The arm with the highest upper bound: without chance, for comparison and for small horizons.
///
/// UCB1 (Auer, Cesa-Bianchi and Fischer 2002) bounds by √(2 ln t / n), which for rates of a few per cent explores
/// far too long; KL-UCB (Garivier and Cappé 2011) by the rate that n trials can't tell from the mean at ln t,
/// and is optimal for clicks. KL-UCB takes 40 bisections an arm. Both never forget, and give no
/// propensities but 0 and 1: what they log can't be evaluated off-policy without a floor.
public struct UpperConfidence: BanditPolicy, Equatable {
  public enum Bound: Sendable, Equatable { case hoeffding, kullbackLeibler }

  private let bound: Bound
  private var sums: ArmSums
  private var count = 0.0

  public init(arms: Int, bound: Bound) {
    self.bound = bound
    sums = ArmSums(arms: arms)
  }

  public var armCount: Int { sums.trials.count }

  public mutating func choose(_ draws: inout Draws) -> Int { sums.untried ?? highest }

  private var highest: Int {
    let time = Elementary.log(max(2, count))
    return ArmSums.best(of: armCount) { arm in
      let (mean, trials) = (sums.mean(arm), sums.trials[arm])
      return switch bound {
      case .hoeffding: mean + (2 * time / trials).squareRoot()
      case .kullbackLeibler: Self.upper(mean, information: time / trials)
      }
    }
  }

  public mutating func learn(arm: Int, reward: Double) {
    sums.add(arm: arm, reward: reward)
    count += 1
  }

  public mutating func learn(_ batch: RewardBatch) {
    sums.add(batch)
    count += batch.trialCount
  }

  /// Arms that were never tried share all of it; else the highest has it.
  public func chances() -> [Double] {
    let untried = (0..<armCount).filter { sums.trials[$0] == 0 }
    guard !untried.isEmpty else { return ArmSums.only(highest, of: armCount) }
    return (0..<armCount).map { untried.contains($0) ? 1 / Double(untried.count) : 0 }
  }

  /// The greatest rate q with KL(mean, q) ≤ information.
  static func upper(_ mean: Double, information: Double) -> Double {
    var (low, high) = (mean, 1.0)
    for _ in 0..<40 {
      let middle = (low + high) / 2
      if divergence(mean, middle) > information { high = middle } else { low = middle }
    }
    return high
  }

  private static func divergence(_ p: Double, _ q: Double) -> Double {
    func part(_ p: Double, _ q: Double) -> Double { p > 0 ? p * Elementary.log(p / q) : 0 }
    guard q < 1 else { return p < 1 ? .infinity : 0 }
    return part(p, q) + part(1 - p, 1 - q)
  }
}
