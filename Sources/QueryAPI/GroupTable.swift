import Dataflow
import Events
import Ports
import Views

/// Adds up the sums of each measure by time bucket, dimensions and currency, from durable groups and
/// hot rows.
///
/// Durable groups come in rising order, so each is compared with the one before it; the first that does not
/// makes an index of all.
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
    /// The first one that came; mostly it is the only one.
    let currency: String
    fileprivate(set) var sums = MeasuredSums()
    /// Other currencies, in the order in which they came.
    fileprivate(set) var others: [(currency: String, sums: MeasuredSums)] = []

    fileprivate init(_ key: Key, _ currency: String) {
      self.key = key
      self.currency = currency
    }

    fileprivate mutating func add(_ counts: Counts, _ measure: Measure, _ currency: String) {
      if currency == self.currency {
        sums[measure] += counts
      } else if let known = others.firstIndex(where: { $0.currency == currency }) {
        others[known].sums[measure] += counts
      } else {
        var sums = MeasuredSums()
        sums[measure] = counts
        others.append((currency, sums))
      }
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
    groups[place(of: key, group.currency)].add(group.counts, measure, group.currency)
    revision = max(revision, group.revision)
  }

  /// Adds the rows that `selection` is about. A row whose tuple cannot be read is left out.
  ///
  /// - Returns: the number of rows left out.
  mutating func add(_ rows: RowColumns, selection: ViewSelection) -> Int {
    var windows = rows.windows.compactMap { window -> (bucket: Int, rows: Range<Int>)? in
      let isWanted = selection.segments.contains {
        $0.level == window.level && window.start >= $0.from && window.start < $0.to
      }
      return isWanted ? (Self.bucket(of: window.start, selection.buckets), window.rows) : nil
    }
    if windows.isEmpty { return 0 }
    // In rising order, as durable groups come.
    windows.sort { $0.bucket < $1.bucket }
    var tuples = TupleGroups(selection, rows.tuples)
    var unreadable = 0
    /// Of the bucket at hand, by group; nil of those without a row.
    var sums: [Counts?] = []
    for (index, window) in windows.enumerated() {
      for row in window.rows {
        let group = tuples.group(ofTupleAt: rows.places[row])
        guard group >= 0 else {
          if group == TupleGroups.unreadable { unreadable += 1 }
          continue
        }
        while sums.count <= group { sums.append(nil) }
        var sum = sums[group] ?? Counts()
        sum += rows.counts[row]
        sums[group] = sum
        revision = max(revision, rows.revisions[row])
      }
      let isLast = index + 1 == windows.count || windows[index + 1].bucket != window.bucket
      if isLast {
        add(sums, tuples.groups, bucket: window.bucket, selection.measure)
        sums = []
      }
    }
    return unreadable
  }

  private mutating func add(
    _ sums: [Counts?], _ tuples: [TupleGroups.Group], bucket: Int, _ measure: Measure
  ) {
    let found = sums.indices.filter { sums[$0] != nil }
    let sorted = found.sorted { tuples[$0].dimensions < tuples[$1].dimensions }
    for group in sorted {
      guard let counts = sums[group] else { continue }
      let key = Key(bucket: bucket, dimensions: tuples[group].dimensions)
      let currency = tuples[group].currency
      groups[place(of: key, currency)].add(counts, measure, currency)
    }
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
  private mutating func place(of key: Key, _ currency: String) -> Int {
    if places == nil, let last = groups.last {
      if last.key == key { return groups.count - 1 }
      if !(last.key < key) {
        places = Dictionary(uniqueKeysWithValues: zip(groups.map(\.key), groups.indices))
      }
    }
    if let place = places?[key] { return place }
    places?[key] = groups.count
    groups.append(Group(key, currency))
    return groups.count - 1
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

/// Sums by measure, each in the places of ``Counts``. Mostly a question is about activity alone, and an answer has
/// thousands of them, so that the others take no room until there are some.
struct MeasuredSums: Hashable, Sendable {
  private var activity: Counts
  /// Of the other measures, in their order; empty where all are zero.
  private var others: [Counts] = []

  init(activity: Counts = Counts(), outcomes: Outcomes = Outcomes()) {
    self.activity = activity
    self[.outcomes] = outcomes.counts
  }

  subscript(measure: Measure) -> Counts {
    get {
      if measure == .activity { return activity }
      return others.isEmpty ? Counts() : others[Self.place(measure)]
    }
    set {
      if measure == .activity {
        activity = newValue
        return
      }
      if others.isEmpty {
        if newValue == Counts() { return }
        others = Array(repeating: Counts(), count: Measure.allCases.count - 1)
      }
      others[Self.place(measure)] = newValue
      if newValue == Counts() && others.allSatisfy({ $0 == Counts() }) { others = [] }
    }
  }

  private static func place(_ measure: Measure) -> Int { Int(measure.rawValue) - 1 }

  var isZero: Bool { self == MeasuredSums() }

  static func += (a: inout Self, b: Self) {
    a.activity += b.activity
    if b.others.isEmpty { return }
    for measure in Measure.allCases where measure != .activity { a[measure] += b[measure] }
  }
}
