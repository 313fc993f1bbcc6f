/// Arms compared after taking out what was known of their visitors before the experiment (CUPED).
///
/// Deng, Xu, Kohavi, Walker 2013: y − θ x with the covariate x from before and θ = cov(x, y) / var(x) of both
/// arms together. Unbiased, since x can't know the arm; the variance falls by the squared correlation. Cost:
/// five sums an arm. Fails where x is touched by the experiment, and does nothing for new visitors, whose x
/// is the same.
public enum RegressionAdjustment {
  /// - Parameters: First of each the number during, second the one before the experiment.
  public static func arms(
    control: JointMoments, treatment: JointMoments
  ) -> (control: ArmSummary, treatment: ArmSummary) {
    let both = control + treatment
    let theta =
      both.second.variance > 0 && both.first.variance > 0
      ? both.covariance / both.second.variance : 0
    return (adjusted(control, theta), adjusted(treatment, theta))
  }

  private static func adjusted(_ arm: JointMoments, _ theta: Double) -> ArmSummary {
    ArmSummary(
      visitors: arm.first.count, mean: arm.first.mean - theta * arm.second.mean,
      variance: arm.first.variance + theta * theta * arm.second.variance
        - 2 * theta * arm.covariance,
      plainMean: arm.first.mean,
      plainCovariance: arm.first.variance - theta * arm.covariance,
      plainVariance: arm.first.variance)
  }
}
