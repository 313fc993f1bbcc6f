/// Arms compared within strata, such as the epochs between changes of the allocation.
///
/// Where the allocation changes while rates do, pooled arms differ though no stratum does (Simpson). Each
/// stratum's arms are compared with each other and the differences weighted with the stratum's share of all
/// visitors: the mean of an arm is Σ w_s mean_s, its variance Σ w_s² var_s / n_s (Cochran 1977, 5A). With
/// segments that were known beforehand it is post-stratification, which takes out the variance between them
/// (Miratrix, Sekhon, Yu 2013). Strata in which an arm has fewer than two visitors can't be compared and are
/// left out; how many visitors that leaves out is said. Cost: some additions a stratum.
public struct Stratification: Sendable, Equatable {
  public let control: ArmSummary
  public let treatment: ArmSummary
  /// The share of visitors whose strata are in.
  public let coverage: Double
  /// Whether pooled arms differ the other way round.
  public let isReversed: Bool

  /// Nothing where no stratum has both arms.
  public init?(_ strata: [(control: ArmSummary, treatment: ArmSummary)]) {
    var all = 0.0
    for stratum in strata { all += stratum.control.visitors + stratum.treatment.visitors }
    let usable = strata.filter { $0.control.visitors >= 2 && $0.treatment.visitors >= 2 }
    var total = 0.0
    for stratum in usable { total += stratum.control.visitors + stratum.treatment.visitors }
    guard total > 0 else { return nil }
    let weights = usable.map { ($0.control.visitors + $0.treatment.visitors) / total }
    control = Self.arm(usable.map(\.control), weights)
    treatment = Self.arm(usable.map(\.treatment), weights)
    coverage = total / all
    let pooled = Self.pooledMean(usable.map(\.treatment)) - Self.pooledMean(usable.map(\.control))
    isReversed = pooled * (treatment.mean - control.mean) < 0
  }

  private static func arm(_ arms: [ArmSummary], _ weights: [Double]) -> ArmSummary {
    var visitors = 0.0
    var mean = 0.0
    var plain = 0.0
    var variance = 0.0
    var covariance = 0.0
    var plainVariance = 0.0
    for (arm, weight) in zip(arms, weights) {
      let square = weight * weight / arm.visitors
      visitors += arm.visitors
      mean += weight * arm.mean
      plain += weight * arm.plainMean
      variance += square * arm.variance
      covariance += square * arm.plainCovariance
      plainVariance += square * arm.plainVariance
    }
    // Of one visitor, as all summaries have it.
    return ArmSummary(
      visitors: visitors, mean: mean, variance: variance * visitors, plainMean: plain,
      plainCovariance: covariance * visitors, plainVariance: plainVariance * visitors)
  }

  private static func pooledMean(_ arms: [ArmSummary]) -> Double {
    var visitors = 0.0
    var sum = 0.0
    for arm in arms {
      visitors += arm.visitors
      sum += arm.visitors * arm.mean
    }
    return sum / visitors
  }
}
