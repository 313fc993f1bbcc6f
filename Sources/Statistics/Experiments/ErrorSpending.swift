/// How much of the error that a test may make it has spent by when.
///
/// Lan and DeMets 1983: a test that is looked at all the time stays within α where it spends α along any
/// course that outcomes have no part in. This one follows visitors: 3 % of α by a two-hundredth of the plan,
/// 32 % by a twentieth, 84 % by its end and 91 % by ten times that, straight in the logarithm of visitors
/// between, since effects of all sizes are as likely on that scale; the rest on visitors beyond, for ever, at
/// a rate that falls as their number to the −¼. Of what is left by then up to a tenth is spent on information, from
/// 5 to 50: where many convert, a few hundred visitors can tell arms apart, long before the plan's share of
/// visitors has come. Information hangs on how many converted, not on which arm they were in, so under equal arms
/// outcomes have no part in it either.
///
/// The plan decides only how soon effects are found, never how often there is a false one: a test that goes
/// on to five times its plan needs up to some 20 % more visitors than one that was planned so.
public struct ErrorSpending: Sendable, Equatable {
  /// The error that is spent when the test goes on for ever.
  public let alpha: Double
  /// Visitors of each arm.
  public let plan: Double
  /// Of a smaller plan next to everything would be spent before the first decision.
  public static let planMin = 100.0

  /// - Parameters:
  ///   - alpha: Between 0 and 1.
  ///   - plan: Visitors of each arm, at least ``planMin``.
  public init(alpha: Double = 0.05, plan: Double = 20_000) throws(ExperimentError) {
    try ExperimentError.check("alpha", alpha, alpha > 0 && alpha < 1, "between 0 and 1")
    try ExperimentError.check(
      "plan", plan, plan >= Self.planMin && plan < .infinity, "at least 100 visitors of each arm")
    self.alpha = alpha
    self.plan = plan
  }

  /// Spent at this number of visitors of each arm and this information; never falls in either, and is α at infinity.
  ///
  /// - Parameter information: The variance of the treatment's conversions, given those of both arms, if they
  ///   convert alike.
  public func spent(at visitors: Double, information: Double = 0) -> Double {
    let left = alpha - spentOnVisitors(visitors)
    guard information > Self.informative.lowerBound else { return alpha - left }
    let ends = Self.informative
    let part =
      Elementary.log(min(information, ends.upperBound) / ends.lowerBound)
      / Elementary.log(ends.upperBound / ends.lowerBound)
    return alpha - left * (1 - Self.informationShare * part)
  }

  private func spentOnVisitors(_ visitors: Double) -> Double {
    guard visitors > Self.start else { return 0 }
    let x = Elementary.log(visitors)
    var left = (place: Elementary.log(Self.start), share: 0.0)
    for knot in Self.knots {
      let right = (place: Elementary.log(knot.plans * plan), share: knot.share)
      if x <= right.place {
        let part = (x - left.place) / (right.place - left.place)
        return alpha * (left.share + (right.share - left.share) * part)
      }
      left = right
    }
    return alpha * (1 - (1 - left.share) * Elementary.exp(-0.25 * (x - left.place)))
  }

  /// Fewer visitors than these decide nothing that anyone would act on.
  private static let start = 20.0
  private static let knots = [
    (plans: 0.005, share: 0.03), (plans: 0.05, share: 0.32), (plans: 1, share: 0.84),
    (plans: 10, share: 0.91),
  ]
  private static let informative = 5.0...50
  private static let informationShare = 0.1
}
