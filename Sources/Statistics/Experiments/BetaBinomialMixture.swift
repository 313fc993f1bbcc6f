/// A bound of a sum of bounded steps, and the confidence sequence of a rate that follows.
///
/// Howard, Ramdas, McAuliffe, Sekhon 2021, propositions 7 and 8, as in confseq: steps between −g and h, a beta
/// prior of the tilt. For a rate it is exact at all times and never leaves [0, 1]. Some 20 µs an
/// interval.
public struct BetaBinomialMixture: Sendable, Equatable {
  private let r: Double
  private let g: Double
  private let h: Double
  private let side: Effect.Side
  private let normaliser: Double

  public init(
    bestAt: Double, below g: Double, above h: Double, alpha: Double = 0.05, side: Effect.Side
  ) throws(ExperimentError) {
    try NormalMixture.check(bestAt: bestAt, alpha: alpha)
    try ExperimentError.check("below", g, g > 0 && g.isFinite, "above 0")
    try ExperimentError.check("above", h, h > 0 && h.isFinite, "above 0")
    self.init(unchecked: bestAt, g, h, alpha, side)
  }

  private init(
    unchecked bestAt: Double, _ g: Double, _ h: Double, _ alpha: Double, _ side: Effect.Side
  ) {
    let rho = NormalMixture.bestRho(bestAt, side == .both ? alpha : 2 * alpha)
    r = max(rho - g * h, 1e-3 * g * h)
    self.g = g
    self.h = h
    self.side = side
    normaliser = Self.logShare(r / (g * (g + h)), r / (h * (g + h)), g, h, side)
  }

  public func logValue(_ s: Double, at v: Double) -> Double {
    let sum = g + h
    return v / (g * h) * Elementary.log(sum)
      - (v + h * s) / (h * sum) * Elementary.log(g) - (v - g * s) / (g * sum) * Elementary.log(h)
      + Self.logShare(
        (r + v - g * s) / (g * sum), (r + v + h * s) / (h * sum), g, h, side) - normaliser
  }

  public func bound(at v: Double, alpha: Double) -> Double {
    MixtureBound.find(-Elementary.log(alpha), at: v, most: v / g) { logValue($0, at: v) }
  }

  /// Rates that so many conversions don't exclude, at all times together.
  ///
  /// - Parameter bestAt: Visitors at which it is to be narrowest.
  public static func rates(
    _ counts: ArmCounts, alpha: Double, bestAt: Double
  ) throws(ExperimentError) -> (lower: Double, upper: Double) {
    try counts.check("arm")
    try NormalMixture.check(bestAt: bestAt, alpha: alpha)
    let n = Double(counts.visitors)
    guard n > 0 else { return (0, 1) }
    let rate = counts.rate
    let threshold = -Elementary.log(alpha)
    func excess(_ p: Double) -> Double {
      let variance = p * (1 - p)
      let mixture = BetaBinomialMixture(unchecked: variance * bestAt, p, 1 - p, alpha, .both)
      return mixture.logValue((rate - p) * n, at: variance * n) - threshold
    }
    let lower = rate > 0 ? Roots.rising(from: 0, to: rate) { $0 > 0 ? -excess($0) : -1 } : 0
    let upper = rate < 1 ? Roots.rising(from: rate, to: 1) { $0 < 1 ? excess($0) : 1 } : 1
    return (lower, upper)
  }

  private static func logShare(
    _ a: Double, _ b: Double, _ g: Double, _ h: Double, _ side: Effect.Side
  ) -> Double {
    let all = GammaFunction.logBeta(a, b)
    guard side == .greater else { return all }
    return Elementary.log(BetaFunction.lower(a, b, h / (g + h))) + all
  }
}
