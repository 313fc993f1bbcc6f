/// What an arm's visitors come to: their number, mean and variance.
///
/// Made from sums alone, so it can be kept for any time and added over times. Variances are of one visitor.
public struct ArmSummary: Sendable, Equatable {
  public let visitors: Double
  /// After adjustment by what was known before the experiment.
  public let mean: Double
  public let variance: Double
  /// What relative effects are relative to.
  public let plainMean: Double
  /// Of the mean with the plain mean, of one visitor; the variance where nothing was adjusted.
  let plainCovariance: Double
  let plainVariance: Double

  init(
    visitors: Double, mean: Double, variance: Double, plainMean: Double? = nil,
    plainCovariance: Double? = nil, plainVariance: Double? = nil
  ) {
    self.visitors = visitors
    self.mean = mean
    self.variance = variance
    self.plainMean = plainMean ?? mean
    self.plainCovariance = plainCovariance ?? variance
    self.plainVariance = plainVariance ?? variance
  }

  /// A rate of conversion; the variance is p (1 − p).
  public init(_ counts: ArmCounts) {
    self.init(
      visitors: Double(counts.visitors), mean: counts.rate,
      variance: counts.rate * (1 - counts.rate))
  }

  /// A mean, as of revenue per visitor; the variance with n − 1.
  public init(_ moments: Moments) {
    self.init(visitors: moments.count, mean: moments.mean, variance: moments.variance)
  }

  /// A ratio of two sums over the same visitors, as of clicks per page view, by the delta method (Deng,
  /// Knoblich, Lu 2018). Biased by 1/n; useless where the denominator's mean is near 0.
  public init(ratio joint: JointMoments) {
    let top = joint.first.mean
    let bottom = joint.second.mean
    guard bottom != 0 else {
      self.init(visitors: joint.first.count, mean: 0, variance: 0)
      return
    }
    let square = bottom * bottom
    let variance =
      joint.first.variance / square + joint.second.variance * top * top / (square * square)
      - 2 * joint.covariance * top / (square * bottom)
    self.init(visitors: joint.first.count, mean: top / bottom, variance: variance)
  }
}
