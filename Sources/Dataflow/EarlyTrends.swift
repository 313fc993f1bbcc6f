import Operators

/// When the rows of the trends' open window are written before it is final.
///
/// They are all of the window's rows each time. Where they are few they come with every commit of the
/// second stage in which anything was counted, that is every 100 ms; where they are many so seldom that
/// they take a fifth of the loop's time: 10,000 rows three times a second, 50,000 every 1.5 s; and of more
/// there are only final ones.
struct EarlyTrends {
  /// What a row costs the loop, microseconds: nearly all of it is Postgres putting it in the place of the
  /// one before. Measured on two busy cores, with the walk that makes the rows: 4.7 in a thousand rows,
  /// 5.2 in 10,000, 6.8 in 50,000.
  static let rowCost: Int64 = 6
  /// They take at most one part in this many of the time.
  static let share: Int64 = 5

  /// Of more tuples none are written early: they would be written a few times for each slide, and a commit
  /// of them takes so long that whoever takes the stream over is held up.
  static let rowCountMax = 50_000

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

  /// The shortest stretch of log time between two, microseconds.
  static func interval(rowCount: Int) -> Int64 {
    max(PartialEmitter.tick, Int64(rowCount) * rowCost * share)
  }

  /// Rows that the commit has already: early ones that would come with many of them wait for a later one.
  mutating func wrote(_ rowCount: Int, at time: Int64) {
    if rowCount == 0 || time == .min { return }
    due = max(due, time + Int64(rowCount) * Self.rowCost * Self.share)
  }

  /// - Parameters:
  ///   - time: the newest log time of any source, microseconds since the epoch.
  ///   - rowCount: tuples in state.
  /// - Returns: whether the rows are to be written now.
  mutating func take(at time: Int64, rowCount: Int) -> Bool {
    guard hasChanges, time >= due, rowCount <= Self.rowCountMax else { return false }
    hasChanges = false
    due = time + Self.interval(rowCount: rowCount)
    return true
  }
}
