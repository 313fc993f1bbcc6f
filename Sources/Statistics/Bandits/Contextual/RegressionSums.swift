public import States

/// What a linear model of an arm's reward is computed from: Σ x xᵀ, Σ r x, Σ r² and the number of examples.
///
/// Sums of whole numbers: features and rewards are rounded to 2⁻²⁰ and kept within ±2²⁰, products of two are exact in
/// 128 bits, and 2⁴⁶ examples fit. So order does not matter, sums of two logs add up, and an example that is taken
/// back leaves no trace. d²/2 additions of 16 bytes an example: 2 µs at 32 features.
public struct RegressionSums: Sendable, Equatable {
  /// Of a context, without the constant that is put before them.
  public let dimensions: Int
  public private(set) var count: Int64 = 0
  /// The lower triangle by rows, row 0 being that of the constant 1.
  private(set) var products: [Int128]
  private(set) var moments: [Int128]
  private(set) var squares: Int128 = 0

  public init(dimensions: Int) {
    precondition(dimensions >= 0, "a context has a number of features")
    self.dimensions = dimensions
    let size = dimensions + 1
    products = [Int128](repeating: 0, count: size * (size + 1) / 2)
    moments = [Int128](repeating: 0, count: size)
  }

  public mutating func add(_ features: [Double], reward: Double) {
    change(features, reward: reward, by: 1)
  }

  public mutating func subtract(_ features: [Double], reward: Double) {
    change(features, reward: reward, by: -1)
  }

  public static func += (left: inout Self, right: Self) {
    precondition(left.dimensions == right.dimensions, "sums are of the same features")
    left.count += right.count
    for index in left.products.indices { left.products[index] += right.products[index] }
    for index in left.moments.indices { left.moments[index] += right.moments[index] }
    left.squares += right.squares
  }

  private mutating func change(_ features: [Double], reward: Double, by sign: Int64) {
    var words = [Int64](repeating: Self.one, count: dimensions + 1)
    for index in 0..<dimensions {
      words[index + 1] = Self.word(index < features.count ? features[index] : 0)
    }
    let reward = Self.word(reward)
    var place = 0
    for row in words.indices {
      let factor = Int128(words[row] * sign)
      for column in 0...row {
        products[place] += factor * Int128(words[column])
        place += 1
      }
      moments[row] += factor * Int128(reward)
    }
    squares += Int128(reward * sign) * Int128(reward)
    count += sign
  }

  /// Σ xᵢ xⱼ for j ≤ i, where x₀ is 1.
  func product(_ i: Int, _ j: Int) -> Double { Self.number(products[i * (i + 1) / 2 + j]) }

  /// Σ r xᵢ.
  func moment(_ i: Int) -> Double { Self.number(moments[i]) }

  /// Σ r².
  var squaredRewards: Double { Self.number(squares) }

  private static let one: Int64 = 1 << 20
  private static let most = 0x1p20

  static func word(_ value: Double) -> Int64 {
    guard value.isFinite else { return 0 }
    return Int64((min(max(value, -most), most) * Double(one)).rounded())
  }

  private static func number(_ sum: Int128) -> Double { Double(sum) * 0x1p-40 }
}

extension RegressionSums: CodedState {
  public mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.check(dimensions)
    try codec.code(&count)
    try codec.code(each: &products)
    try codec.code(each: &moments)
    try codec.code(&squares)
  }
}
