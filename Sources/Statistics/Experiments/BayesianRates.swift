/// What is believed of two rates: beta posteriors of either arm.
///
/// Chance to win and expected losses by the trapezium rule on the log odds of the control's rate, where the
/// integrand falls off exponentially at both ends, so that 400 points give 9 digits; some 0.4 ms a figure.
public struct BayesianRates: Sendable, Equatable {
  public let control: BetaDistribution
  public let treatment: BetaDistribution

  /// - Parameter prior: The same for both arms; Jeffreys' by default.
  public init(
    control: ArmCounts, treatment: ArmCounts, prior: BetaDistribution = BetaDistribution(0.5, 0.5)
  ) throws(ExperimentError) {
    try control.check("control")
    try treatment.check("treatment")
    self.control = Self.posterior(prior, control)
    self.treatment = Self.posterior(prior, treatment)
  }

  private static func posterior(_ prior: BetaDistribution, _ counts: ArmCounts) -> BetaDistribution
  {
    BetaDistribution(
      prior.a + Double(counts.conversions),
      prior.b + Double(counts.visitors - counts.conversions))
  }

  /// P(treatment's rate > control's).
  public var chanceToWin: Double {
    Self.expectation(over: control) { treatment.upper($0) }
  }

  /// E[max(treatment − control, 0)]: what is lost on average by keeping the control.
  public var lossOfControl: Double { Self.excess(of: treatment, over: control) }

  /// E[max(control − treatment, 0)]: what is lost on average by taking the treatment.
  public var lossOfTreatment: Double { Self.excess(of: control, over: treatment) }

  private static func excess(of better: BetaDistribution, over base: BetaDistribution) -> Double {
    expectation(over: base) { x in
      // E[(B − x)⁺] of a beta variable B.
      better.mean * BetaFunction.upper(better.a + 1, better.b, x) - x * better.upper(x)
    }
  }

  /// The mean of a function of a rate.
  static func expectation(
    over rate: BetaDistribution, _ function: (Double) -> Double
  ) -> Double {
    // In log odds t the density is x^a (1 − x)^b / B(a, b), highest at ln(a / b).
    func logDensity(_ t: Double) -> Double {
      let down =
        t > 0 ? -Elementary.log1p(Elementary.exp(-t)) : t - Elementary.log1p(Elementary.exp(t))
      return rate.a * down + rate.b * (down - t) - GammaFunction.logBeta(rate.a, rate.b)
    }
    let mode = Elementary.log(rate.a / rate.b)
    let top = logDensity(mode)
    func reach(_ direction: Double) -> Double {
      var step = 1e-3
      while logDensity(mode + direction * step) > top - 41 { step *= 1.3 }
      return mode + direction * step
    }
    let low = reach(-1)
    let high = reach(1)
    let points = 400
    let width = (high - low) / Double(points)
    var sum = 0.0
    for index in 0...points {
      let t = low + Double(index) * width
      let x = t > 0 ? 1 / (1 + Elementary.exp(-t)) : Elementary.exp(t) / (1 + Elementary.exp(t))
      sum += Elementary.exp(logDensity(t)) * function(x)
    }
    return sum * width
  }
}
