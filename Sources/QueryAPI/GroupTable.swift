import Dataflow
import Events
import Ports
import Views

/// Adds up the sums of each measure by time bucket, dimensions and currency, from durable groups and
/// hot rows.
struct GroupTable {
  struct Key: Hashable {
    var bucket: Int
    var dimensions: DimensionValues
  }

  private(set) var groups: [Key: [String: MeasuredSums]] = [:]
  /// The highest one of all rows.
  private(set) var revision: Int32 = 0

  mutating func add(_ group: ViewGroup, _ measure: Measure) {
    let key = Key(bucket: group.bucket, dimensions: DimensionValues(group.dimensions))
    groups[key, default: [:]][group.currency, default: MeasuredSums()][measure] += group.counts
    revision = max(revision, group.revision)
  }

  /// Adds the rows that `selection` is about. A row whose tuple cannot be read is left out.
  ///
  /// - Returns: the number of rows left out.
  mutating func add(_ rows: [HotRow], selection: ViewSelection) -> Int {
    var unreadable = 0
    for hot in rows {
      guard Self.contains(hot.row, selection.segments) else { continue }
      guard let tuple = hot.tuple.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else {
        unreadable += 1
        continue
      }
      guard tuple.site == selection.site,
        selection.filters.allSatisfy({ $0.admits(tuple[$0.dimension]) })
      else { continue }
      let bucket = Self.bucket(of: hot.row.start, selection.buckets)
      let dimensions = DimensionValues(selection.groupBy.map { tuple[$0] })
      let key = Key(bucket: bucket, dimensions: dimensions)
      groups[key, default: [:]][tuple.currency, default: MeasuredSums()][selection.measure] +=
        hot.row.counts
      revision = max(revision, hot.row.revision)
    }
    return unreadable
  }

  private static func contains(_ row: WindowRow, _ segments: [Segment]) -> Bool {
    segments.contains { $0.level == row.level && row.start >= $0.from && row.start < $0.to }
  }

  /// The last bucket that starts at or before `start`.
  static func bucket(of start: Int64, _ buckets: [Int64]) -> Int {
    var low = 0
    var high = buckets.count
    while low < high {
      let middle = (low + high) / 2
      if buckets[middle] <= start { low = middle + 1 } else { high = middle }
    }
    return max(0, low - 1)
  }
}

/// Sums by measure, each in the places of ``Counts``.
struct MeasuredSums: Hashable, Sendable {
  private var activity: Counts
  private var outcomes: Counts
  private var exposures = Counts()
  private var baselines = Counts()

  init(activity: Counts = Counts(), outcomes: Outcomes = Outcomes()) {
    self.activity = activity
    self.outcomes = outcomes.counts
  }

  subscript(measure: Measure) -> Counts {
    get {
      switch measure {
      case .activity: activity
      case .outcomes: outcomes
      case .exposures: exposures
      case .baselines: baselines
      }
    }
    set {
      switch measure {
      case .activity: activity = newValue
      case .outcomes: outcomes = newValue
      case .exposures: exposures = newValue
      case .baselines: baselines = newValue
      }
    }
  }

  var isZero: Bool { self == MeasuredSums() }

  static func += (a: inout Self, b: Self) {
    for measure in Measure.allCases { a[measure] += b[measure] }
  }
}

extension DimensionFilter {
  /// Whether a value passes: the whole value for `is` and `is_not`, any part of it, with the
  /// same case of letters, for `contains`.
  func admits(_ value: String) -> Bool {
    switch operation {
    case .isAnyOf: values.contains { $0.utf8.elementsEqual(value.utf8) }
    case .isNoneOf: !values.contains { $0.utf8.elementsEqual(value.utf8) }
    case .contains: values.contains { Self.occurs(Array($0.utf8), in: Array(value.utf8)) }
    }
  }

  private static func occurs(_ part: [UInt8], in whole: [UInt8]) -> Bool {
    if part.isEmpty { return true }
    guard whole.count >= part.count else { return false }
    return (0...whole.count - part.count).contains { start in
      whole[start..<start + part.count].elementsEqual(part)
    }
  }
}
