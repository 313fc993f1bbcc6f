/// A constant, three waves of the day and three of the week: the regressors of a seasonal profile at a time.
///
/// Few waves are a smooth profile that a week of sparse counts can settle, where 168 separate hours can't. Angles
/// are by polynomials of our own (Taylor to x^17 on an eighth of a turn, error below 1e-15), the higher waves
/// by the addition theorem, so that all processors give the same bits. Cost: some 0.1 µs, once for all models that
/// look at the same time.
public struct Harmonics: Sendable, Equatable {
  /// Of the day, and as many of the week.
  static let waveCount = 3

  /// Since any fixed time.
  public let second: Int64
  /// 1, then cosine and sine of each wave of the day, then of the week.
  private var values: SIMD16<Double>

  public init(at second: Int64) {
    self.second = second
    values = .zero
    values[0] = 1
    fill(from: 1, turn: Self.turn(second, 86_400))
    fill(from: 1 + 2 * Self.waveCount, turn: Self.turn(second, 604_800))
  }

  /// The first of them: 1, then cosine and sine of each wave of the day, then of the week.
  ///
  /// - Parameters: at most ``waveCount`` each.
  func fill(_ x: inout [Double], daily: Int, weekly: Int) {
    for index in 0...2 * daily { x[index] = values[index] }
    for index in 0..<2 * weekly {
      x[1 + 2 * daily + index] = values[1 + 2 * Self.waveCount + index]
    }
  }

  private static func turn(_ second: Int64, _ period: Int64) -> Double {
    let rest = second % period
    return Double(rest >= 0 ? rest : rest + period) / Double(period)
  }

  private mutating func fill(from start: Int, turn: Double) {
    let (cosine, sine) = Self.cosineAndSine(turn: turn)
    var (c, s) = (cosine, sine)
    for wave in 0..<Self.waveCount {
      values[start + 2 * wave] = c
      values[start + 2 * wave + 1] = s
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
