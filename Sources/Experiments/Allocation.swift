/// Which buckets of persons get which variant.
///
/// Begins with cumulative thresholds: the first variant has the first buckets, the next one those after them,
/// and what is left is not in the experiment. A change moves as few persons as it can: a variant that shrinks
/// gives up the last of its buckets, and one that grows takes what is free, the lowest first. So ramping up
/// moves nobody from one variant to another:
///
///     10 % each   |a|b|                  |
///     30 % each   |a|b| a | b |          |
///     50 % each   |a|b| a | b |  a  |  b |
///
/// A function of the changes alone, so whoever knows them comes to the same.
public struct Allocation: Sendable, Hashable {
  /// Buckets of all persons.
  public static let parts = 1_000_000

  /// Buckets in a row of one variant, by its number.
  public struct Stretch: Sendable, Hashable {
    public var from: Int
    /// Exclusive.
    public var to: Int
    public var variant: Int
  }

  /// Rising and apart from each other; between them nobody is in the experiment.
  public private(set) var stretches: [Stretch] = []

  public init(shares: [Int]) { change(to: shares) }

  /// - Parameter shares: buckets of each variant, at most ``parts`` together.
  public mutating func change(to shares: [Int]) {
    var missing = shares
    for stretch in stretches { missing[stretch.variant] -= stretch.to - stretch.from }
    for index in stretches.indices.reversed() {
      let variant = stretches[index].variant
      let given = min(max(0, -missing[variant]), stretches[index].to - stretches[index].from)
      stretches[index].to -= given
      missing[variant] += given
    }
    stretches.removeAll { $0.from == $0.to }
    var taken: [Stretch] = []
    var next = 0
    for (from, to) in gaps {
      var from = from
      while from < to, next < missing.count {
        let count = min(missing[next], to - from)
        if count > 0 { taken.append(Stretch(from: from, to: from + count, variant: next)) }
        from += count
        missing[next] -= count
        if missing[next] == 0 { next += 1 }
      }
    }
    stretches = Self.joined((stretches + taken).sorted { $0.from < $1.from })
  }

  /// The variant of a bucket; nil where it is not in the experiment.
  public func variant(ofBucket bucket: Int) -> Int? {
    var low = 0
    var high = stretches.count
    while low < high {
      let middle = (low + high) / 2
      if stretches[middle].to <= bucket { low = middle + 1 } else { high = middle }
    }
    guard low < stretches.count, stretches[low].from <= bucket else { return nil }
    return stretches[low].variant
  }

  private var gaps: [(from: Int, to: Int)] {
    var gaps: [(from: Int, to: Int)] = []
    var end = 0
    for stretch in stretches {
      if stretch.from > end { gaps.append((end, stretch.from)) }
      end = stretch.to
    }
    if end < Self.parts { gaps.append((end, Self.parts)) }
    return gaps
  }

  private static func joined(_ stretches: [Stretch]) -> [Stretch] {
    var joined: [Stretch] = []
    for stretch in stretches {
      if let last = joined.last, last.to == stretch.from, last.variant == stretch.variant {
        joined[joined.count - 1].to = stretch.to
      } else {
        joined.append(stretch)
      }
    }
    return joined
  }
}
