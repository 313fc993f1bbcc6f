import Events
import States

/// Which decisions and persons were learned from and cannot be taken back any more: to know that a retraction comes too
/// late, and how often.
///
/// A Bloom filter (Bloom 1970): 4 bits a key of 2²², half a megabyte once something is in it. Never misses one; up to 400,000
/// keys fewer than 2 of 100 others are taken for one.
struct SettledForGood: Equatable {
  private static let bitCount = 1 << 22
  private static let hashCount: UInt64 = 4

  private var words: [UInt64] = []

  mutating func insert(_ key: Key128) {
    if words.isEmpty { words = [UInt64](repeating: 0, count: Self.bitCount / 64) }
    for place in Self.places(of: key) { words[place / 64] |= 1 << UInt64(place % 64) }
  }

  func mayContain(_ key: Key128) -> Bool {
    !words.isEmpty
      && Self.places(of: key).allSatisfy { words[$0 / 64] & (1 << UInt64($0 % 64)) != 0 }
  }

  /// Keys are hashes or random, so that two halves make all places (Kirsch and Mitzenmacher 2006).
  private static func places(of key: Key128) -> [Int] {
    (0..<hashCount).map { number in
      let step = (key.high ^ key.high >> 32) | 1
      let hash = (key.low ^ key.low >> 32) &+ number &* step
      return Int(hash & UInt64(bitCount - 1))
    }
  }
}

extension SettledForGood: CodedState {
  mutating func code(_ codec: inout StateCodec) throws(StateError) {
    try codec.code(&words)
    guard words.isEmpty || words.count == Self.bitCount / 64 else {
      throw .malformed("\(words.count) words of a filter")
    }
  }
}
