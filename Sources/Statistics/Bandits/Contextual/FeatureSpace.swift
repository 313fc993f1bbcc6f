/// Turns named values of a context into a vector of features.
///
/// A number is the value of the feature of its name, `true` is 1 and `false` 0, and a text is 1 in the feature of its name
/// and value together. Which feature that is says a hash (Weinberger et al. 2009), so nothing is declared and new values
/// need no room; half of the names count negatively, so that those that meet in one feature do not add up by
/// habit. A pure function of the context: what is logged says what was learned from. Policies bring features to a
/// common scale by themselves.
///
/// Cost: some 20 ns a value and 8 bytes a feature. Fails where there are about as many different texts as features: give
/// twice as many features as there are names and values that matter.
public struct FeatureSpace: Sendable, Equatable {
  public enum Value: Sendable, Equatable {
    case number(Double)
    case flag(Bool)
    case text(String)
  }

  public let dimensions: Int

  /// - Parameter dimensions: 1 to 4,096 features; policies take time by their square.
  public init(dimensions: Int = 64) {
    self.dimensions = min(max(dimensions, 1), 4_096)
  }

  /// - Parameter context: In any order; of a name that comes twice both count.
  public func vector(_ context: [(name: String, value: Value)]) -> [Double] {
    var vector = [Double](repeating: 0, count: dimensions)
    // In one order, so that sums of what meets in a feature have the same bits.
    var parts: [(hash: UInt64, value: Double)] = []
    for (name, value) in context {
      switch value {
      case .number(let number) where number.isFinite: parts.append((Self.hash(name, nil), number))
      case .number: continue
      case .flag(let flag): parts.append((Self.hash(name, nil), flag ? 1 : 0))
      case .text(let text): parts.append((Self.hash(name, text), 1))
      }
    }
    parts.sort { ($0.hash, $0.value) < ($1.hash, $1.value) }
    for part in parts {
      vector[feature(part.hash)] += part.hash & 1 == 0 ? part.value : -part.value
    }
    return vector
  }

  /// The feature of a name, or of a name with a text: for explanations.
  public func feature(of name: String, text: String? = nil) -> Int {
    feature(Self.hash(name, text))
  }

  private func feature(_ hash: UInt64) -> Int {
    Int((hash >> 1) % UInt64(dimensions))
  }

  /// FNV-1a (Fowler, Noll, Vo) over name and text, mixed by the finish of SplitMix64.
  private static func hash(_ name: String, _ text: String?) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    for byte in name.utf8 { add(byte) }
    if let text {
      // No byte of UTF-8, so that no name with a text is another name.
      add(0xff)
      for byte in text.utf8 { add(byte) }
    }
    var mixed = Draws(seed: hash)
    return mixed.next()
  }
}
