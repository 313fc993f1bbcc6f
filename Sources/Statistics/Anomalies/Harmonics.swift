/// A constant and waves of the day and the week, as the regressors of a seasonal profile.
///
/// Few waves are a smooth profile that a week of sparse counts can settle, where 168 separate hours can't. Angles
/// are by polynomials of our own (Taylor to x^17 on an eighth of a turn, error below 1e-15), the higher waves
/// by the addition theorem, so that all processors give the same bits.
enum Harmonics {
  /// - Returns: 1, then cosine and sine of each wave of the day, then of the week.
  static func fill(_ x: inout [Double], second: Int64, daily: Int, weekly: Int) {
    x[0] = 1
    waves(&x, from: 1, count: daily, turn: Self.turn(second, 86_400))
    waves(&x, from: 1 + 2 * daily, count: weekly, turn: Self.turn(second, 604_800))
  }

  private static func turn(_ second: Int64, _ period: Int64) -> Double {
    let rest = second % period
    return Double(rest >= 0 ? rest : rest + period) / Double(period)
  }

  private static func waves(_ x: inout [Double], from start: Int, count: Int, turn: Double) {
    guard count > 0 else { return }
    let (cosine, sine) = cosineAndSine(turn: turn)
    var (c, s) = (cosine, sine)
    for wave in 0..<count {
      x[start + 2 * wave] = c
      x[start + 2 * wave + 1] = s
      (c, s) = (c * cosine - s * sine, s * cosine + c * sine)
    }
  }

  /// - Parameter turn: From 0 to below 1.
  static func cosineAndSine(turn: Double) -> (Double, Double) {
    // The nearest quarter, and at most an eighth of a turn from it.
    let quarter = Int(turn * 4 + 0.5)
    let x = (turn - Double(quarter) / 4) * 2 * .pi
    let y = x * x
    var sine = 1.0
    var cosine = 1.0
    for n in stride(from: 16.0, through: 2, by: -2) {
      sine = 1 - sine * y / (n * (n + 1))
      cosine = 1 - cosine * y / (n * (n - 1))
    }
    sine *= x
    switch quarter & 3 {
    case 0: return (cosine, sine)
    case 1: return (-sine, cosine)
    case 2: return (-cosine, -sine)
    default: return (sine, -cosine)
    }
  }
}
