import Events
import Ports
import Views

/// What a tuple has in a window that has left state, or what a correction adds to that, in memory for whatever selection
/// asks for it.
struct SettledRow {
  var measure: Measure
  var level: WindowLevel
  /// Of the window, microseconds since the epoch.
  var start: Int64
  var tuple: DimensionTuple
  var counts: Counts
  /// Of the row in the store, when this was read.
  var revision: Int32

  /// The sums of the rows that `selection` is about, as a reader of the durable store would have them: in rising order of
  /// bucket and dimensions.
  static func groups(_ rows: some Sequence<Self>, _ selection: ViewSelection) -> [ViewGroup] {
    var groups: [ViewGroup] = []
    for row in rows where row.isWanted(by: selection) {
      groups.append(
        ViewGroup(
          bucket: bucket(of: row.start, selection.buckets),
          dimensions: selection.groupBy.map { row.tuple[$0] }, currency: row.tuple.currency,
          counts: row.counts, revision: row.revision))
    }
    return ViewGroup.summed(groups)
  }

  private func isWanted(by selection: ViewSelection) -> Bool {
    measure == selection.measure
      && selection.segments.contains { $0.level == level && $0.from <= start && start < $0.to }
      && TextBytes.order(tuple.site, selection.site) == 0
      && selection.admits { tuple[$0] }
  }

  /// The last bucket that starts at or before `start`, else the first one.
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
