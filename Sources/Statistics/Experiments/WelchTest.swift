/// The test of a difference with a size that is fixed beforehand.
///
/// Welch 1947. For comparison, and for experiments that are read once: looked at all the time it finds a
/// difference in every second pair of equal arms. Off where a mean is of fewer than some hundred visitors
/// with a heavy tail.
public enum WelchTest {
  public static func test(_ effect: Effect, alpha: Double, side: Effect.Side) -> EffectTest {
    let score = effect.estimate / effect.standardError
    switch side {
    case .both:
      let width =
        StudentT.quantile(1 - alpha / 2, degrees: effect.degrees) * effect.standardError
      return EffectTest(
        lower: effect.estimate - width, upper: effect.estimate + width,
        pValue: 2 * StudentT.upper(score.magnitude, degrees: effect.degrees))
    case .greater:
      let width = StudentT.quantile(1 - alpha, degrees: effect.degrees) * effect.standardError
      return EffectTest(
        lower: effect.estimate - width, upper: .infinity,
        pValue: StudentT.upper(score, degrees: effect.degrees))
    }
  }
}
