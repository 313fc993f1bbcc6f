/// How many of the rewards that will come have come, by how long ago the decision was.
///
/// Rewards are seen only once they have come, so that early on short delays are all that is known. The share is
/// therefore chained from the longest delay down: of the decisions that are old enough for a bucket to be over, the
/// share of rewards that came in it among those that came until its end (the reverse hazard of Lagakos, Barraj and
/// De Gruttola 1988). It takes no model of the rates, which may differ and drift; it takes the delays to be
/// those of all arms and times alike.
///
/// 50 buckets, each longer by √2, from a second to some 260 days. One pass over the bins. Of what is longer than the
/// oldest decision nothing is known: the share is that of the delays seen.
public struct DelayCurve: Sendable, Equatable {
  public static let bucketCount = 50
  /// Where each bucket ends, microseconds: 1 s · √2^k.
  static let ends: [Int64] = (0..<bucketCount).map { index in
    let whole = Double(Int64(1) << Int64(index / 2)) * 1_000_000
    return Int64(index % 2 == 0 ? whole : whole * 1.414_213_562_373_095_1)
  }

  /// At the end of each bucket.
  private let shares: [Double]

  /// The first bucket that ends after a delay; delays below 0 count as none.
  public static func bucket(_ delay: Int64) -> Int {
    var (low, high) = (0, bucketCount - 1)
    while low < high {
      let middle = (low + high) / 2
      if ends[middle] > delay { high = middle } else { low = middle + 1 }
    }
    return low
  }

  public init(_ sums: RewardBins) {
    var within = [Double](repeating: 0, count: Self.bucketCount)
    var until = within
    for bin in sums.bins {
      let age = sums.now - bin.end
      var total = 0.0
      for bucket in 0..<Self.bucketCount {
        guard Self.ends[bucket] <= age else { break }
        let count = Double(bin.delays[bucket])
        total += count
        within[bucket] += count
        until[bucket] += total
      }
    }
    var shares = [Double](repeating: 1, count: Self.bucketCount)
    for bucket in stride(from: Self.bucketCount - 1, to: 0, by: -1) {
      // One more that is thought to have come before keeps a single reward from saying that all come so late.
      let share = within[bucket] / (until[bucket] + 1)
      shares[bucket - 1] = shares[bucket] * (1 - share)
    }
    self.shares = shares
  }

  /// Between 0 and 1, rising.
  ///
  /// - Parameter age: of the decision, microseconds.
  public func share(at age: Int64) -> Double {
    guard age > 0 else { return 0 }
    let bucket = Self.bucket(age)
    let start = bucket > 0 ? Self.ends[bucket - 1] : 0
    let before = bucket > 0 ? shares[bucket - 1] : 0
    let part = min(1, Double(age - start) / Double(Self.ends[bucket] - start))
    return before + (shares[bucket] - before) * part
  }
}
