/// A confidence sequence of a difference of means that may be looked at any time.
///
/// Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021 ("Time-uniform central limit theory", version 7,
/// equations 9, 134, 155 and 161), as GrowthBook has it: the normal mixture of Robbins, with the estimated
/// variance. For means such as revenue, which have no exact distribution. Its error holds in the limit of
/// many visitors: use it from some hundred conversions on; for rates ``SequentialRateTest`` is exact.
/// Relative effects of rates below 1 % exclude the truth in up to 18 % of tests: decide by absolute ones.
public struct AsymptoticSequence: Sendable, Equatable {
  public let alpha: Double
  /// Visitors of both arms at which it is to be narrowest.
  public let tuning: Double

  public init(alpha: Double = 0.05, tuning: Double = 5_000) throws(ExperimentError) {
    try ExperimentError.check("alpha", alpha, alpha > 0 && alpha < 0.5, "between 0 and 0.5")
    try ExperimentError.check("tuning", tuning, tuning > 0 && tuning.isFinite, "above 0")
    self.alpha = alpha
    self.tuning = tuning
  }

  public func test(_ effect: Effect, side: Effect.Side) -> EffectTest {
    switch side {
    case .both:
      let width = halfWidth(effect)
      return EffectTest(
        lower: effect.estimate - width, upper: effect.estimate + width, pValue: pValue(effect))
    case .greater:
      return EffectTest(
        lower: effect.estimate - oneSidedWidth(effect, alpha: alpha),
        upper: .infinity, pValue: oneSidedPValue(effect))
    }
  }

  private func halfWidth(_ effect: Effect) -> Double {
    let scaled = effect.visitors * Self.rhoSquared(alpha, tuning)
    let log = 0.5 * Elementary.log1p(scaled) - Elementary.log(alpha)
    return effect.standardError * (2 * (1 + 1 / scaled) * log).squareRoot()
  }

  private func pValue(_ effect: Effect) -> Double {
    let scaled = effect.visitors * Self.rhoSquared(alpha, tuning)
    let score = effect.estimate / effect.standardError
    let log = scaled * score * score / (2 * (1 + scaled)) - 0.5 * Elementary.log1p(scaled)
    return min(1, Elementary.exp(-log))
  }

  private func oneSidedWidth(_ effect: Effect, alpha: Double) -> Double {
    let scaled = effect.visitors * Self.rhoSquared(2 * self.alpha, tuning)
    let log = Elementary.log1p((1 + scaled).squareRoot() / (2 * alpha))
    return effect.standardError * (2 * (1 + 1 / scaled) * log).squareRoot()
  }

  /// The least level between 10^−5 and 0.4999 whose bound excludes zero.
  ///
  /// GrowthBook ends its search where the bound is within 10^−6 of zero, so that its value hangs on the
  /// metric's unit.
  private func oneSidedPValue(_ effect: Effect) -> Double {
    guard effect.estimate > oneSidedWidth(effect, alpha: Self.levelMax) else {
      return Self.levelMax
    }
    return Roots.rising(from: Self.levelMin, to: Self.levelMax) {
      effect.estimate - oneSidedWidth(effect, alpha: $0)
    }
  }

  private static let levelMin = 1e-5
  private static let levelMax = 0.4999

  private static func rhoSquared(_ alpha: Double, _ tuning: Double) -> Double {
    let log = -2 * Elementary.log(alpha)
    return (log + Elementary.log1p(log)) / tuning
  }
}
