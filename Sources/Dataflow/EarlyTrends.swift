/// When the rows of the trends' open window are written before it is final.
///
/// They are all of the window's rows each time, so they come at most twice a second of the sources' log
/// time, only where something was counted, and not at all where they are too many: then a trend shows
/// with its final rows, a slide and the disorder later.
struct EarlyTrends {
  /// Microseconds of log time.
  static let interval: Int64 = 500_000
  /// Sums in state above which there are no early rows: a walk over as many takes some milliseconds.
  static let sumCountMax = 50_000

  /// Whether anything was counted since the last time.
  private var hasChanges = false
  private var due = Int64.min
  /// Whether anything was counted for which ``countedAt`` is not yet known.
  private var isCounting = false
  /// Log time of the second stage once it had taken in what was counted last; `.min` before.
  private(set) var countedAt = Int64.min

  mutating func counted() {
    hasChanges = true
    isCounting = true
  }

  /// A frame is taken in, with all that it counted.
  mutating func advance(to logTime: Int64) {
    if isCounting { countedAt = logTime }
    isCounting = false
  }

  /// - Parameters:
  ///   - time: the newest log time of any source, microseconds since the epoch.
  ///   - sumCount: sums in state.
  /// - Returns: whether the rows are to be written now.
  mutating func take(at time: Int64, sumCount: Int) -> Bool {
    guard hasChanges, time >= due, sumCount <= Self.sumCountMax else { return false }
    hasChanges = false
    due = time + Self.interval
    return true
  }
}
