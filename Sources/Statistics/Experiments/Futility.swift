/// Whether it is still worth going on: the chance of a decision by the end of the plan.
///
/// Conditional power (Lan, Simon, Halperin 1982) of the running score as a Brownian motion: from where it is
/// now, with the drift that an effect of interest would give for the rest. Stopping when it is small never
/// makes a false positive, since it decides nothing; it costs the power that is given up. Off by a few
/// points, as the boundary of the end is taken to be today's.
public enum Futility {
  /// The chance of deciding for the treatment by the end of the plan.
  ///
  /// - Parameter oddsRatio: The smallest that would be worth having, above 1.
  public static func conditionalPower(of test: SequentialRateTest, oddsRatio: Double) -> Double {
    if let decision = test.decision { return decision == .treatmentIsBetter ? 1 : 0 }
    guard test.information > 0, test.visitors > 0 else { return 1 }
    let now = test.information
    return conditionalPower(
      score: test.score, information: now, end: now * test.spending.plan / test.visitors,
      bound: min(test.boundary, Normal.upperQuantile(test.spending.alpha / 8)),
      effect: Elementary.log(oddsRatio))
  }

  /// The same of any score.
  ///
  /// - Parameters:
  ///   - score: In standard deviations.
  ///   - information: The inverse of the effect's variance.
  ///   - end: The information by the end of the plan.
  ///   - bound: The score that decides.
  ///   - effect: The smallest that would be worth having.
  public static func conditionalPower(
    score: Double, information now: Double, end: Double, bound: Double, effect: Double
  ) -> Double {
    guard end > now else { return 0 }
    let left = end - now
    let missing = bound * end.squareRoot() - score * now.squareRoot() - effect * left
    return Normal.upper(missing / left.squareRoot())
  }
}
