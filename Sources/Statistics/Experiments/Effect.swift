/// The difference of two arms and its standard error.
///
/// A relative one is over the control's mean; its error by the delta method, which is off where that mean
/// is less than some five of its own standard errors from zero.
public struct Effect: Sendable, Equatable {
  public enum Scale: Sendable, Equatable { case absolute, relative }

  public let estimate: Double
  public let standardError: Double
  /// Of both arms together.
  public let visitors: Double
  /// Welch's, of the absolute difference.
  public let degrees: Double

  /// An effect of what has its own estimate, as one that is pooled over strata.
  public init(estimate: Double, standardError: Double, visitors: Double, degrees: Double) {
    self.estimate = estimate
    self.standardError = standardError
    self.visitors = visitors
    self.degrees = degrees
  }

  /// Nothing where an arm has no visitor, neither varies, or a relative effect has a control of zero.
  public init?(control: ArmSummary, treatment: ArmSummary, scale: Scale) {
    guard control.visitors > 0, treatment.visitors > 0 else { return nil }
    let a = control.variance / control.visitors
    let b = treatment.variance / treatment.visitors
    guard control.variance > 0 || treatment.variance > 0 else { return nil }
    let difference = treatment.mean - control.mean
    switch scale {
    case .absolute:
      estimate = difference
      standardError = (a + b).squareRoot()
    case .relative:
      let base = control.plainMean
      guard base != 0 else { return nil }
      estimate = difference / base
      // The control counts twice: in the difference, and in what it is divided by.
      let excess = treatment.plainMean / base - 1
      let twice =
        (2 * excess * control.plainCovariance + excess * excess * control.plainVariance)
        / control.visitors
      standardError = ((a + b + twice) / (base * base)).squareRoot()
    }
    visitors = control.visitors + treatment.visitors
    let sum = a + b
    let spread = b * b / (treatment.visitors - 1) + a * a / (control.visitors - 1)
    degrees = spread > 0 ? sum * sum / spread : .infinity
  }

  /// Which effects a test or interval is about.
  public enum Side: Sendable, Equatable { case both, greater }
}

/// What a test found of an effect.
public struct EffectTest: Sendable, Equatable {
  public let lower: Double
  public let upper: Double
  public let pValue: Double

  init(lower: Double, upper: Double, pValue: Double) {
    self.lower = lower
    self.upper = upper
    self.pValue = pValue
  }
}
