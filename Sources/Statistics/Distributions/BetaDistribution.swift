/// The beta distribution of a rate, as a posterior has it.
///
/// Moments in closed form; quantiles by bisection of the incomplete beta function, absolute error below
/// 1e-14 and some 40 µs. Both parameters must be positive.
public struct BetaDistribution: Sendable, Equatable {
  public let a: Double
  public let b: Double

  public init(_ a: Double, _ b: Double) {
    self.a = a
    self.b = b
  }

  public var mean: Double { a / (a + b) }
  public var variance: Double { a * b / ((a + b) * (a + b) * (a + b + 1)) }

  public func lower(_ x: Double) -> Double { BetaFunction.lower(a, b, x) }
  public func upper(_ x: Double) -> Double { BetaFunction.upper(a, b, x) }

  public func logDensity(_ x: Double) -> Double {
    guard x > 0, x < 1 else { return -.infinity }
    return (a - 1) * Elementary.log(x) + (b - 1) * Elementary.log1p(-x)
      - GammaFunction.logBeta(a, b)
  }

  public func quantile(_ p: Double) -> Double {
    guard p > 0, p < 1 else { return p == 0 ? 0 : p == 1 ? 1 : .nan }
    // The smaller tail has the digits.
    return p <= 0.5
      ? Roots.rising(from: 0, to: 1) { lower($0) - p }
      : Roots.rising(from: 0, to: 1) { (1 - p) - upper($0) }
  }

  /// The middle of the distribution with this mass: a credible interval.
  public func interval(_ mass: Double) -> (lower: Double, upper: Double) {
    (quantile((1 - mass) / 2), quantile((1 + mass) / 2))
  }
}
