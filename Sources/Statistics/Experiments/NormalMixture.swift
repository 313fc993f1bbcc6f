/// Robbins' normal mixture: a bound of a sub-Gaussian sum that holds at all times.
///
/// Howard, Ramdas, McAuliffe, Sekhon 2021, propositions 5 and 6, as in confseq: with the intrinsic time v the
/// sum stays below the bound for ever with a chance of 1 − α. Two-sided in closed form, one-sided by
/// bisection. Narrowest near the time that it is tuned to; sums with heavy tails need
/// ``GammaExponentialMixture``.
public struct NormalMixture: Sendable, Equatable {
  let rho: Double
  let side: Effect.Side

  /// - Parameters:
  ///   - bestAt: The intrinsic time at which the bound is to be narrowest.
  ///   - alpha: The level that it is tuned for.
  public init(bestAt: Double, alpha: Double = 0.05, side: Effect.Side) throws(ExperimentError) {
    try Self.check(bestAt: bestAt, alpha: alpha)
    rho = Self.bestRho(bestAt, side == .both ? alpha : 2 * alpha)
    self.side = side
  }

  /// For what every mixture is tuned to.
  static func check(bestAt: Double, alpha: Double) throws(ExperimentError) {
    try ExperimentError.check("alpha", alpha, alpha > 0 && alpha < 0.5, "between 0 and 0.5")
    try ExperimentError.check("bestAt", bestAt, bestAt > 0 && bestAt.isFinite, "above 0")
  }

  static func bestRho(_ v: Double, _ alpha: Double) -> Double {
    let log = -2 * Elementary.log(alpha)
    return v / (log + Elementary.log1p(log))
  }

  /// ln of the mixture of exponential martingales where the sum is s at the time v.
  public func logValue(_ s: Double, at v: Double) -> Double {
    let sum = v + rho
    switch side {
    case .both: return 0.5 * Elementary.log(rho / sum) + s * s / (2 * sum)
    case .greater:
      return 0.5 * Elementary.log(4 * rho / sum) + s * s / (2 * sum)
        + Elementary.log(Normal.lower(s / sum.squareRoot()))
    }
  }

  public func bound(at v: Double, alpha: Double) -> Double {
    let threshold = -Elementary.log(alpha)
    switch side {
    case .both: return ((v + rho) * (Elementary.log1p(v / rho) + 2 * threshold)).squareRoot()
    case .greater: return MixtureBound.find(threshold, at: v) { logValue($0, at: v) }
    }
  }
}

/// Where a mixture that rises with the sum reaches its threshold.
enum MixtureBound {
  static func find(
    _ threshold: Double, at v: Double, most: Double = .infinity, _ logValue: (Double) -> Double
  ) -> Double {
    var high = min(most, max(v, 1e-12))
    while high < most, logValue(high) <= threshold, high < 1e300 { high = min(most, high * 2) }
    guard logValue(high) >= threshold else { return high }
    return Roots.rising(from: 0, to: high) { logValue($0) - threshold }
  }
}
