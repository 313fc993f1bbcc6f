/// SplitMix64 (Steele, Lea and Flood 2014): a seed printed on failure runs the same test again.
public struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A number from 0 to `count - 1`.
  public mutating func below(_ count: Int) -> Int { Int(next() % UInt64(count)) }

  /// True once in `count` times on average.
  public mutating func once(in count: Int) -> Bool { below(count) == 0 }

  public mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

  public mutating func time(upTo micros: Int64) -> Int64 { Int64(next() % UInt64(max(1, micros))) }
}
