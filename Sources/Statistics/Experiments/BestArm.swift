/// Which of several arms is the best, as far as is believed of each.
///
/// The chance that an arm is the best is the mean, over what it may be, of the chance that all others are
/// below; the expected loss of choosing it is what the best of all has more on average. Rates by their beta
/// posteriors, on the grid of ``BayesianRates``; means by normal ones, by the trapezium rule over eight
/// standard deviations either way. Cost: some 0.4 ms × the square of the number of arms for rates. It is belief:
/// looked at all the time, one of two equal arms has a chance above 95 % often.
public struct BestArm: Sendable, Equatable {
  public enum Belief: Sendable, Equatable {
    case rate(BetaDistribution)
    case mean(Double, deviation: Double)

    /// Jeffreys' posterior of a rate.
    public static func of(_ counts: ArmCounts) -> Belief {
      .rate(
        BetaDistribution(
          Double(counts.conversions) + 0.5, Double(counts.visitors - counts.conversions) + 0.5))
    }

    /// The normal posterior of a mean with a prior that knows nothing.
    public static func of(_ arm: ArmSummary) -> Belief {
      .mean(
        arm.mean,
        deviation: arm.visitors > 0 ? (arm.variance / arm.visitors).squareRoot() : .infinity)
    }

    var mean: Double {
      switch self {
      case .rate(let beta): beta.mean
      case .mean(let mean, _): mean
      }
    }

    func lower(_ x: Double) -> Double {
      switch self {
      case .rate(let beta): beta.lower(x)
      case .mean(let mean, let deviation):
        deviation > 0 ? Normal.lower((x - mean) / deviation) : x >= mean ? 1 : 0
      }
    }

    func expectation(_ function: (Double) -> Double) -> Double {
      switch self {
      case .rate(let beta): return BayesianRates.expectation(over: beta, function)
      case .mean(let mean, let deviation):
        guard deviation > 0 else { return function(mean) }
        var sum = 0.0
        for index in -200...200 {
          let z = Double(index) * 0.04
          sum += Normal.density(z) * function(mean + z * deviation)
        }
        return sum * 0.04
      }
    }
  }

  /// The chance that an arm is above another one; nil where nothing is known of either. One sum over what the arm may be.
  public static func chance(_ arm: Belief, above other: Belief) -> Double? {
    for case .mean(_, let deviation) in [arm, other] where !deviation.isFinite { return nil }
    return min(1, arm.expectation(other.lower))
  }

  /// Of each arm.
  public let chances: [Double]
  public let losses: [Double]

  /// - Returns: nil where nothing is known of an arm.
  public init?(_ arms: [Belief]) {
    for case .mean(_, let deviation) in arms where !deviation.isFinite { return nil }
    var chances: [Double] = []
    var highest = 0.0
    for (index, arm) in arms.enumerated() {
      let others = arms.indices.filter { $0 != index }.map { arms[$0] }
      func above(_ x: Double) -> Double { others.reduce(1) { $0 * $1.lower(x) } }
      // The grid's weights come to 1 but for rounding.
      chances.append(min(1, arm.expectation(above)))
      highest += arm.expectation { $0 * above($0) }
    }
    self.chances = chances
    losses = arms.map { max(0, highest - $0.mean) }
  }
}
