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
    entries.forEachCounted(disorder: disorder, lateness: lateness) { event, watermark in
      guard event.kind.rawValue <= EventKind.conversion.rawValue,
        event.time >= watermark - policy.size
      else { return }
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
