/// A bound of a sum by the law of the iterated logarithm, that holds at all times.
///
/// Howard, Ramdas, McAuliffe, Sekhon 2021, theorem 1: bounds of epochs that grow by η, stitched together.
/// Wider than ``NormalMixture`` near the time that one is tuned to and narrower for ever after; for
/// monitors that never end. Closed form, some 40 ns.
public struct PolynomialStitching: Sendable, Equatable {
  private let least: Double
  private let scale: Double
  private let s: Double
  private let eta: Double
  private let constant: Double

  /// - Parameters:
  ///   - least: The intrinsic time from which on it is narrow.
  ///   - scale: Of sub-gamma tails; 0 for Gaussian ones.
  ///   - s: Above 1: how the error is shared out among epochs.
  ///   - eta: Above 1: how epochs grow.
  public init(
    from least: Double, scale: Double = 0, s: Double = 1.4, eta: Double = 2
  ) throws(ExperimentError) {
    try ExperimentError.check("least", least, least > 0 && least.isFinite, "above 0")
    try ExperimentError.check("scale", scale, scale >= 0 && scale.isFinite, "at least 0")
    try ExperimentError.check("s", s, s > 1 && s < 100, "above 1 and below 100")
    try ExperimentError.check("eta", eta, eta > 1 && eta.isFinite, "above 1")
    self.least = least
    self.scale = scale
    self.s = s
    self.eta = eta
    constant =
      Elementary.log(Self.zeta(s)) - s * Elementary.log(Elementary.log(eta))
  }

  public func bound(at v: Double, alpha: Double) -> Double {
    let time = max(v, least)
    let log =
      s * Elementary.log(Elementary.log(eta * time / least)) + constant - Elementary.log(alpha)
    let fourth = eta.squareRoot().squareRoot()
    let first = (fourth + 1 / fourth) * (fourth + 1 / fourth) / 2
    let second = (eta.squareRoot() + 1) / 2 * scale * log
    return (first * time * log + second * second).squareRoot() + second
  }

  /// Riemann's ζ for s > 1: 20 terms and Euler and Maclaurin's rest, to 15 digits.
  static func zeta(_ s: Double) -> Double {
    let n = 20.0
    var sum = 0.0
    for k in stride(from: 19.0, through: 1, by: -1) { sum += Elementary.pow(k, -s) }
    let last = Elementary.pow(n, -s)
    sum += n * last / (s - 1) + last / 2
    var term = s * last / n
    sum += term / 12
    term *= (s + 1) * (s + 2) / (n * n)
    sum -= term / 720
    term *= (s + 3) * (s + 4) / (n * n)
    return sum + term / 30_240
  }
}
