import Events
import Views

/// The hopping windows that a log's events come to: every event is added to each window that it lies
/// in, one after the other.
struct TrendTruth {
  private(set) var sums: [SimulatedViews.TrendKey: Counts] = [:]
  private let policy: TrendPolicy

  init(_ policy: TrendPolicy) { self.policy = policy }

  /// Adds the events of one partition, in the order of the log.
  mutating func add(_ entries: [LogEntry], disorder: Int64, lateness: Int64?) {
    var logTime = Int64.min
    var seen: Set<UInt64> = []
    for entry in entries {
      logTime = max(logTime, entry.storedAt)
      guard case .events(let events) = entry.content else { continue }
      let watermark = logTime - disorder
      for event in events where seen.insert(event.id).inserted {
        let end = WindowLevel.tenSeconds.start(of: event.time) + WindowLevel.tenSeconds.length
        if let lateness, end <= watermark, end + lateness <= watermark { continue }
        guard event.kind.rawValue <= EventKind.conversion.rawValue,
          event.time >= watermark - policy.size
        else { continue }
        var counts = Counts()
        counts.add(kind: event.kind.rawValue, revenueMicros: event.revenue)
        var windowEnd = event.time - event.time % policy.slide + policy.slide
        while windowEnd - policy.size <= event.time {
          sums[SimulatedViews.TrendKey(end: windowEnd, tuple: event.tuple), default: Counts()] +=
            counts
          windowEnd += policy.slide
        }
      }
    }
  }
}
