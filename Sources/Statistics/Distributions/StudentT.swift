/// Student's t distribution, of any positive number of degrees of freedom.
///
/// By the incomplete beta function (Abramowitz and Stegun 26.7.1); quantiles by bisection of its tail.
/// Relative error of the tail and of quantiles below 1e-11; a quantile costs some 50 µs.
public enum StudentT {
  /// P(T ≤ t).
  public static func lower(_ t: Double, degrees: Double) -> Double { upper(-t, degrees: degrees) }

  /// P(T > t).
  public static func upper(_ t: Double, degrees: Double) -> Double {
    guard degrees > 0, !t.isNaN else { return .nan }
    guard degrees < 1e12 else { return Normal.upper(t) }
    let square = t * t
    guard square < .infinity else { return t > 0 ? 0 : 1 }
    // The smaller of the two arguments keeps its digits.
    let tail =
      square < degrees
      ? 0.5 * BetaFunction.upper(0.5, 0.5 * degrees, square / (degrees + square))
      : 0.5 * BetaFunction.lower(0.5 * degrees, 0.5, degrees / (degrees + square))
    return t >= 0 ? tail : 1 - tail
  }

  /// The t with P(T ≤ t) = p.
  public static func quantile(_ p: Double, degrees: Double) -> Double {
    guard p > 0, p < 1, degrees > 0 else {
      return p == 0 ? -.infinity : p == 1 ? .infinity : .nan
    }
    if p == 0.5 { return 0 }
    let tail = min(p, 1 - p)
    var high = 2.0
    while upper(high, degrees: degrees) > tail, high < 1e300 { high *= 2 }
    let size = Roots.rising(from: 0, to: high) { tail - upper($0, degrees: degrees) }
    return p < 0.5 ? -size : size
  }
}
