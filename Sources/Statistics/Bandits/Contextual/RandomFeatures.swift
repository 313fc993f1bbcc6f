/// Features whose products come close to a Gaussian kernel: √(2/D) · cos(w·x + b) with normal w and uniform b.
///
/// Rahimi and Recht 2007 ("Random features for large-scale kernel machines"). Directions and phases are those of a fixed seed
/// and kept in turns, so that a cosine is a polynomial of what is left of whole turns: eleven terms, exact to
/// 10⁻⁷. Cost: d · D multiplications in steps of four.
struct RandomFeatures: Sendable, Equatable {
  let count: Int
  /// By dimension, then four features at a time.
  private let directions: [SIMD4<Double>]
  private let phases: [SIMD4<Double>]
  private let amplitude: Double

  /// - Parameters:
  ///   - count: A multiple of 4.
  ///   - width: Distance at which the kernel has fallen to e^−½.
  init(dimensions: Int, count: Int, width: Double) {
    precondition(count > 0 && count % 4 == 0, "features come in fours")
    self.count = count
    amplitude = (2 / Double(count)).squareRoot()
    var draws = Draws(seed: 0x5eed_c051)
    func four(_ value: (inout Draws) -> Double) -> SIMD4<Double> {
      var four = SIMD4<Double>()
      for lane in 0..<4 { four[lane] = value(&draws) }
      return four
    }
    let perTurn = 1 / (width * 2 * Double.pi)
    directions = (0..<dimensions * count / 4).map { _ in four { $0.normal() * perTurn } }
    phases = (0..<count / 4).map { _ in four { $0.unit() } }
  }

  /// Appends the features of a context.
  func append(_ context: [Double], to vector: inout [SIMD4<Double>]) {
    var turns = phases
    let quarter = turns.count
    turns.withUnsafeMutableBufferPointer { turns in
      directions.withUnsafeBufferPointer { directions in
        for (dimension, value) in context.enumerated() where value != 0 {
          let start = dimension * quarter
          for index in 0..<quarter { turns[index] += directions[start + index] * value }
        }
      }
    }
    for turn in turns { vector.append(Self.cosine(ofTurns: turn) * amplitude) }
  }

  /// cos 2πt by its series, whose terms fall fast within half a turn.
  static func cosine(ofTurns turns: SIMD4<Double>) -> SIMD4<Double> {
    let rest = (turns - turns.rounded(.toNearestOrEven)) * (2 * Double.pi)
    let square = rest * rest
    var sum = SIMD4<Double>(repeating: 1)
    for order in stride(from: 20, through: 2, by: -2) {
      sum = 1 - sum * square / Double(order * (order - 1))
    }
    return sum
  }
}
