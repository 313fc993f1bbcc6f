import Dataflow
import Events
import Ports
import Views

/// Adds up the sums of each measure by time bucket, dimensions and currency, from durable groups and
/// hot rows.
///
/// Durable groups come in rising order, so each is compared with the one before it; the first that does not
/// makes an index of all. A tuple is read once, however many of its rows come.
struct GroupTable {
  struct Key: Hashable, Comparable {
    var bucket: Int
    var dimensions: DimensionValues

    static func < (a: Self, b: Self) -> Bool {
      a.bucket == b.bucket ? a.dimensions < b.dimensions : a.bucket < b.bucket
    }
  }

  struct Group {
    var key: Key
    /// In the order in which they came; mostly there is one.
    fileprivate(set) var byCurrency: [(key: String, value: MeasuredSums)] = []

    fileprivate mutating func add(_ counts: Counts, _ measure: Measure, _ currency: String) {
      let place: Int
      if let known = byCurrency.firstIndex(where: { $0.key == currency }) {
        place = known
      } else {
        place = byCurrency.count
        byCurrency.append((key: currency, value: MeasuredSums()))
      }
      byCurrency[place].value[measure] += counts
    }
  }

  /// What a tuple of the hot copy is to a selection.
  private enum Tuple {
    case wanted(DimensionValues, currency: String)
    case unwanted
    case unreadable

    init(_ encoded: [UInt8], _ selection: ViewSelection) {
      guard let tuple = encoded.withUnsafeBytes({ DimensionTuple(encoded: $0) }) else {
        self = .unreadable
        return
      }
      let isWanted =
        tuple.site == selection.site
        && selection.filters.allSatisfy { $0.admits(tuple[$0.dimension]) }
      self =
        isWanted
        ? .wanted(
          DimensionValues(selection.groupBy.map { tuple[$0] }), currency: tuple.currency)
        : .unwanted
    }
  }

  /// One for each key.
  private(set) var groups: [Group] = []
  /// Where each key's group is; nil while they came in rising order.
  private var places: [Key: Int]?
  /// The highest one of all rows.
  private(set) var revision: Int32 = 0

  mutating func add(_ group: ViewGroup, _ measure: Measure) {
    let key = Key(bucket: group.bucket, dimensions: DimensionValues(group.dimensions))
    groups[place(of: key)].add(group.counts, measure, group.currency)
    revision = max(revision, group.revision)
  }

  /// Adds the rows that `selection` is about. A row whose tuple cannot be read is left out.
  ///
  /// - Returns: the number of rows left out.
  mutating func add(_ rows: [HotRow], selection: ViewSelection) -> Int {
    var unreadable = 0
    var tuples: [Int64: (encoded: [UInt8], tuple: Tuple)] = [:]
    for hot in rows {
      guard Self.contains(hot.row, selection.segments) else { continue }
      let tuple: Tuple
      if let known = tuples[hot.row.dimensionID], known.encoded == hot.tuple {
        tuple = known.tuple
      } else {
        tuple = Tuple(hot.tuple, selection)
        tuples[hot.row.dimensionID] = (hot.tuple, tuple)
      }
      switch tuple {
      case .unwanted: continue
      case .unreadable: unreadable += 1
      case .wanted(let dimensions, let currency):
        let bucket = Self.bucket(of: hot.row.start, selection.buckets)
        groups[place(of: Key(bucket: bucket, dimensions: dimensions))].add(
          hot.row.counts, selection.measure, currency)
        revision = max(revision, hot.row.revision)
      }
    }
    return unreadable
  }

  /// Nil where there is none of the key.
  func group(_ key: Key) -> Group? {
    if let places { return places[key].map { groups[$0] } }
    var low = 0
    var high = groups.count
    while low < high {
      let middle = (low + high) / 2
      if groups[middle].key < key { low = middle + 1 } else { high = middle }
    }
    return low < groups.count && groups[low].key == key ? groups[low] : nil
  }

  /// The place of the key's group, which is made where there is none.
  private mutating func place(of key: Key) -> Int {
    if places == nil, let last = groups.last {
      if last.key == key { return groups.count - 1 }
      if !(last.key < key) {
        places = Dictionary(uniqueKeysWithValues: zip(groups.map(\.key), groups.indices))
      }
    }
    if let place = places?[key] { return place }
    places?[key] = groups.count
    groups.append(Group(key: key))
    return groups.count - 1
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
    a.activity += b.activity
    a.outcomes += b.outcomes
    a.exposures += b.exposures
    a.baselines += b.baselines
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
