/// The incomplete beta function.
///
/// The continued fraction of Didonato and Morris in the form of Numerical Recipes 6.4 (Lentz), on the side
/// of the mean where it converges in some √max(a, b) steps. Relative error of the smaller tail below 1e-12
/// for arguments up to 10^6.
public enum BetaFunction {
  /// I_x(a, b): the share of B(a, b) below x.
  public static func lower(_ a: Double, _ b: Double, _ x: Double) -> Double {
    guard a > 0, b > 0, !x.isNaN else { return .nan }
    if x <= 0 { return 0 }
    if x >= 1 { return 1 }
    return x < (a + 1) / (a + b + 2) ? tail(a, b, x, 1 - x) : 1 - tail(b, a, 1 - x, x)
  }

  /// 1 − I_x(a, b), exact in the far tail too.
  public static func upper(_ a: Double, _ b: Double, _ x: Double) -> Double {
    guard a > 0, b > 0, !x.isNaN else { return .nan }
    if x <= 0 { return 1 }
    if x >= 1 { return 0 }
    return x < (a + 1) / (a + b + 2) ? 1 - tail(a, b, x, 1 - x) : tail(b, a, 1 - x, x)
  }

  /// ln of x^a (1 − x)^b / B(a, b).
  static func logPrefactor(_ a: Double, _ b: Double, _ x: Double, _ y: Double) -> Double {
    let sum = a + b
    guard min(a, b) >= 10 else {
      return a * Elementary.log(x) + b * Elementary.log(y) - GammaFunction.logBeta(a, b)
    }
    // By how much x is off the mode a / (a + b), on either scale.
    let upper = (x * sum - a) / a
    let lower = (y * sum - b) / b
    return a * GammaFunction.logMinus(upper) + b * GammaFunction.logMinus(lower)
      + 0.5 * Elementary.log(a * b / sum) - Elementary.halfLogTau
      + GammaFunction.correction(sum) - GammaFunction.correction(a) - GammaFunction.correction(b)
  }

  private static func tail(_ a: Double, _ b: Double, _ x: Double, _ y: Double) -> Double {
    Elementary.exp(logPrefactor(a, b, x, y)) * fraction(a, b, x) / a
  }

  private static func fraction(_ a: Double, _ b: Double, _ x: Double) -> Double {
    let sum = a + b
    var c = 1.0
    var d = 1 - sum * x / (a + 1)
    if d.magnitude < tiny { d = tiny }
    d = 1 / d
    var h = d
    for step in 1...100_000 {
      let m = Double(step)
      let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      d = 1 + even * d
      if d.magnitude < tiny { d = tiny }
      c = 1 + even / c
      if c.magnitude < tiny { c = tiny }
      d = 1 / d
      h *= d * c
      let odd = -(a + m) * (sum + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      d = 1 + odd * d
      if d.magnitude < tiny { d = tiny }
      c = 1 + odd / c
      if c.magnitude < tiny { c = tiny }
      d = 1 / d
      let change = d * c
      h *= change
      if (change - 1).magnitude < 1e-16 { break }
    }
    return h
  }

  private static let tiny = 1e-300
}
