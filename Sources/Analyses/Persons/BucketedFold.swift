/// A fold that tells groups apart, of whatever is in some times.
public protocol GroupedFold: PersonFold {
  /// For which there is room, in all time buckets together.
  static var groupCountMax: Int { get }
  var groupCount: Int { get }
}

/// The same for each of some time buckets, as if each of them had been asked for alone: a person that begins a funnel
/// on two days counts on both, with what it does from then on.
///
///     touches    ──t──|──t──t──|─────|──t──      of four buckets three see this person
///
/// Cost: for each person as many times the fold's as there are buckets with a touch of it.
public struct BucketedFold<Fold: GroupedFold>: PersonFold {
  /// By bucket; of those in which somebody has a touch. Empty once there are more groups than
  /// ``GroupedFold/groupCountMax``.
  public private(set) var folds: [Int: Fold] = [:]
  /// Whether there was no room for the groups.
  public private(set) var isFull = false

  private let edges: [Int64]
  private let make: @Sendable (_ times: Range<Int64>) -> Fold
  private var groupCount = 0

  /// - Parameters:
  ///   - edges: rising, one more than there are buckets, microseconds since the epoch.
  ///   - make: a fold that has seen nobody, of what is in some times.
  public init(edges: [Int64], _ make: @escaping @Sendable (_ times: Range<Int64>) -> Fold) {
    precondition(edges.count >= 2, "there is a bucket")
    self.edges = edges
    self.make = make
  }

  public mutating func add(_ history: PersonHistory) {
    var bucket = -1
    for touch in history.touches
    where !isFull && touch.time >= edges[0] && touch.time < edges[edges.count - 1] {
      // They are in order of time.
      if bucket >= 0, touch.time < edges[bucket + 1] { continue }
      bucket = place(of: touch.time)
      add(history, to: bucket)
    }
  }

  private mutating func add(_ history: PersonHistory, to bucket: Int) {
    var fold = folds.removeValue(forKey: bucket) ?? make(edges[bucket]..<edges[bucket + 1])
    let before = fold.groupCount
    fold.add(history)
    groupCount += fold.groupCount - before
    folds[bucket] = fold
    if groupCount > Fold.groupCountMax {
      isFull = true
      folds = [:]
    }
  }

  /// The last bucket that begins at or before the time.
  private func place(of time: Int64) -> Int {
    var (low, high) = (0, edges.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if edges[middle] <= time { low = middle + 1 } else { high = middle }
    }
    return low - 1
  }
}
