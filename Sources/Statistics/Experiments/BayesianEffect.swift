/// What is believed of an effect after the experiment, from a normal prior.
///
/// The conjugate normal model with the estimated standard error (GrowthBook's effect model): the chance that
/// the treatment is better, and the expected loss of choosing either arm. Believing is not testing: looked
/// at all the time, a chance to win above 95 % comes in many pairs of equal arms. Off where the standard
/// error is, as for a handful of conversions; for rates see ``BayesianRates``.
public struct BayesianEffect: Sendable, Equatable {
  public struct Prior: Sendable, Equatable {
    public let mean: Double
    /// Infinite for a prior that knows nothing.
    public let variance: Double

    public init(mean: Double = 0, variance: Double) {
      self.mean = mean
      self.variance = variance
    }

    public static let flat = Prior(variance: .infinity)

    /// The same belief in units of a mean, of a prior that was given relative to it.
    public func times(_ mean: Double) -> Prior {
      Prior(mean: self.mean * mean.magnitude, variance: variance * mean * mean)
    }
  }

  public let mean: Double
  public let deviation: Double

  public init(_ effect: Effect, prior: Prior) {
    let data = 1 / (effect.standardError * effect.standardError)
    let precision = data + 1 / prior.variance
    mean = (effect.estimate * data + prior.mean / prior.variance) / precision
    deviation = (1 / precision).squareRoot()
  }

  public var chanceToWin: Double { Normal.lower(mean / deviation) }

  public func interval(alpha: Double) -> (lower: Double, upper: Double) {
    let width = Normal.upperQuantile(alpha / 2) * deviation
    return (mean - width, mean + width)
  }

  /// What is lost on average by keeping the control.
  public var lossOfControl: Double {
    mean * Normal.lower(mean / deviation) + deviation * Normal.density(mean / deviation)
  }

  /// What is lost on average by taking the treatment.
  public var lossOfTreatment: Double {
    -mean * Normal.upper(mean / deviation) + deviation * Normal.density(mean / deviation)
  }
}
