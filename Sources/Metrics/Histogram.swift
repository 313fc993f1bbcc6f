import Synchronization

/// Counts of observations by size, with their sum. About 10 ns per observation, from any thread.
///
/// A lock instead of atomics keeps sum, count and buckets of one scrape consistent.
public final class Histogram: Sendable {
  struct Totals: Sendable {
    /// Per bound, then +Inf; not cumulative.
    var counts: [Int]
    var sum: Double
  }

  let bounds: [Double]
  private let state: Mutex<Totals>

  init(bounds: [Double]) {
    self.bounds = bounds
    state = Mutex(Totals(counts: [Int](repeating: 0, count: bounds.count + 1), sum: 0))
  }

  /// - Parameters:
  ///   - value: in the unit of the metric's name.
  ///   - times: how many observations of this value.
  public func observe(_ value: Double, times: Int = 1) {
    var bucket = 0
    while bucket < bounds.count && value > bounds[bucket] { bucket += 1 }
    state.withLock { totals in
      totals.counts[bucket] += times
      totals.sum += value * Double(times)
    }
  }

  var totals: Totals { state.withLock { $0 } }

  /// All observations so far.
  public var count: Int { totals.counts.reduce(0, +) }
}
