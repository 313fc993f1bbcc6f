import Views

extension [LogEntry] {
  /// Calls `body` with each event of a partition's log that counts, in order: the first of its id, and not
  /// too late for its window of 10 s; and with the watermark at its frame, microseconds.
  func forEachCounted(
    disorder: Int64, lateness: Int64?, _ body: (TestEvent, _ watermark: Int64) -> Void
  ) {
    var logTime = Int64.min
    var seen: Set<UInt64> = []
    for entry in self {
      logTime = Swift.max(logTime, entry.storedAt)
      guard case .events(let events) = entry.content else { continue }
      let watermark = logTime - disorder
      for event in events where seen.insert(event.id).inserted {
        let end = WindowLevel.tenSeconds.start(of: event.time) + WindowLevel.tenSeconds.length
        if let lateness, end <= watermark, end + lateness <= watermark { continue }
        body(event, watermark)
      }
    }
  }
}
