import Oracles

extension SeededGenerator {
  /// Uniform over [0, 1).
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func happens(_ probability: Double) -> Bool { unit() < probability }

  /// How many of so many trials happen.
  mutating func count(of trials: Int, _ probability: Double) -> Int {
    var count = 0
    for _ in 0..<trials where happens(probability) { count += 1 }
    return count
  }
}
