/// Random draws of a policy: the same ones from the same seed, on every processor.
///
/// SplitMix64 (Steele, Lea, Flood 2014), the normal by the inverse of its distribution function, the gamma
/// distribution by Marsaglia and Tsang 2000, the beta distribution as a share of two of those.
public struct Draws: Sendable, Equatable {
  private var state: UInt64

  /// - Parameter seed: Such as a hash of the decision's id: a decision can then be made again.
  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Uniform over (0, 1): the middles of 2^53 steps, or nearly.
  public mutating func unit() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }

  /// Standard normal.
  public mutating func normal() -> Double { Normal.quantile(unit()) }

  /// - Parameter shape: Above 0; the scale is 1.
  public mutating func gamma(_ shape: Double) -> Double {
    if shape < 1 {
      // Boosted, with the power of a uniform number.
      let boosted = gamma(shape + 1)
      return boosted * Elementary.exp(Elementary.log(unit()) / shape)
    }
    let d = shape - 1.0 / 3
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal()
      let root = 1 + c * x
      guard root > 0 else { continue }
      let v = root * root * root
      let u = unit()
      let square = x * x
      if u < 1 - 0.0331 * square * square { return d * v }
      if Elementary.log(u) < 0.5 * square + d * (1 - v + Elementary.log(v)) { return d * v }
    }
  }

  /// - Parameters: Both above 0.
  public mutating func beta(_ a: Double, _ b: Double) -> Double {
    let x = gamma(a)
    let y = gamma(b)
    return x + y > 0 ? x / (x + y) : a / (a + b)
  }

  /// An index with the chance that its weight has of all of them.
  public mutating func index(weights: [Double]) -> Int {
    var total = 0.0
    for weight in weights { total += weight }
    var rest = unit() * total
    for (index, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return index }
    }
    return weights.lastIndex { $0 > 0 } ?? 0
  }
}
