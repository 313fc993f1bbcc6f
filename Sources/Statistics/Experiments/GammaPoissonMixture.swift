/// A bound of a sum with tails like a Poisson count's, that holds at all times.
///
/// Howard, Ramdas, McAuliffe, Sekhon 2021, proposition 10, as in confseq: for counts of events, with the scale
/// c of the largest jump. One-sided; cost as ``GammaExponentialMixture``, which holds for counts too but is
/// wider.
public struct GammaPoissonMixture: Sendable, Equatable {
  private let rho: Double
  private let scale: Double
  private let leading: Double

  public init(bestAt: Double, scale: Double, alpha: Double = 0.05) throws(ExperimentError) {
    try NormalMixture.check(bestAt: bestAt, alpha: alpha)
    try ExperimentError.check("scale", scale, scale > 0 && scale.isFinite, "above 0")
    rho = NormalMixture.bestRho(bestAt, 2 * alpha)
    self.scale = scale
    let ratio = rho / (scale * scale)
    leading =
      ratio * Elementary.log(ratio) - GammaFunction.log(ratio)
      - Elementary.log(GammaFunction.upper(ratio, ratio))
  }

  public func logValue(_ s: Double, at v: Double) -> Double {
    let rate = (v + rho) / (scale * scale)
    let shape = s / scale + rate
    return leading + GammaFunction.log(shape) + Elementary.log(GammaFunction.upper(shape, rate))
      - shape * Elementary.log(rate) + v / (scale * scale)
  }

  public func bound(at v: Double, alpha: Double) -> Double {
    MixtureBound.find(-Elementary.log(alpha), at: v) { logValue($0, at: v) }
  }
}
