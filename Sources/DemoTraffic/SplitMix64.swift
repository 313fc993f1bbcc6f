/// A seeded generator: the same seed gives the same traffic on every machine.
///
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014); the
/// constants are theirs. Not for anything that must be unpredictable.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// From 0 up to, not including, 1; 53 bits.
  public mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// True once in `1 / probability` times.
  public mutating func happens(_ probability: Double) -> Bool { fraction() < probability }

  /// From 0 up to, not including, `count`. The bias of the multiplication is below 2^-32 here.
  public mutating func index(below count: Int) -> Int {
    precondition(count > 0 && count <= 1 << 32)
    return Int(((next() >> 32) &* UInt64(count)) >> 32)
  }

  public mutating func element<Element>(_ elements: [Element]) -> Element {
    elements[index(below: elements.count)]
  }

  /// An index drawn with these weights.
  public mutating func index(weights: [Double]) -> Int {
    var rest = fraction() * weights.reduce(0, +)
    for (index, weight) in weights.enumerated() {
      rest -= weight
      if rest < 0 { return index }
    }
    return weights.count - 1
  }
}
