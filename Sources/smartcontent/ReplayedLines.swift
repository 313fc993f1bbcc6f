import Dataflow
import Events
import Runtime
import Views

/// The rows of replayed read models as JSON lines: one object per row, `table` being the one that holds
/// it in Postgres.
///
///     {"table":"metrics_10s","stream":"events-00","window_start":"…","site":"default",…,"clicks":4,…}
///     {"table":"trends","window_end":"…",…,"revision":0,"final":true}
///     {"table":"incidents","incident":{"id":"812…","site":"default",…}}
///     {"table":"late_events","stream":"events-00","sequence":9,"index":0,"event_time":"…",…}
///     {"table":"accounting","stream":"events-00","received":120,…}
enum ReplayedLines {
  static func all(of views: ReplayedViews) -> [String] {
    views.windows.map(line) + views.trends.map(line) + views.incidents.map(line)
      + views.lateEvents.map(line)
      + views.accountingByStream.filter { $0.key.role != .partials }
      .sorted { $0.key.stream < $1.key.stream }.map { line($0.key, $0.value) }
  }

  private static func line(_ window: ReplayedViews.Window) -> String {
    let row = window.row
    return object("\(window.measure.tableName)_\(row.level.name)") { json in
      json.member("stream", window.stream.stream)
      json.member("window_start", Timestamp.format(row.start))
      json.members(window.tuple)
      json.members(row.counts, as: window.measure)
      json.member("revision", row.revision)
      json.member("final", row.isFinal)
    }
  }

  private static func line(_ trend: ReplayedViews.Trend) -> String {
    object("trends") { json in
      json.member("window_end", Timestamp.format(trend.row.end))
      json.members(trend.tuple)
      json.members(trend.row.counts, as: .activity)
      json.member("revision", trend.row.revision)
      json.member("final", trend.row.isFinal)
    }
  }

  private static func line(_ row: IncidentRow) -> String {
    object("incidents") { json in
      json.key("incident")
      IncidentReport(row).write(to: &json)
    }
  }

  private static func line(_ late: ReplayedViews.Late) -> String {
    let event = late.event
    return object("late_events") { json in
      json.member("stream", late.stream.stream)
      json.member("sequence", event.sequence)
      json.member("index", event.index)
      json.member("event_time", Timestamp.format(event.eventTime))
      json.member("kind", EventKind(rawValue: event.kind)?.name ?? "\(event.kind)")
      json.members(late.tuple)
      json.member("revenue_micros", event.revenueMicros)
    }
  }

  private static func line(_ stream: StreamPartition, _ accounting: Accounting) -> String {
    object("accounting") { json in
      json.member("stream", stream.stream)
      for (name, value) in [
        ("received", accounting.received), ("on_time", accounting.onTime),
        ("late", accounting.late), ("too_late", accounting.tooLate),
        ("duplicate", accounting.duplicate), ("rejected", accounting.rejected),
        ("clamped_future", accounting.clampedFuture),
      ] {
        json.member(name, value)
      }
    }
  }

  private static func object(_ table: String, _ write: (inout JSONWriter) -> Void) -> String {
    var json = JSONWriter()
    json.beginObject()
    json.member("table", table)
    write(&json)
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }
}

extension JSONWriter {
  fileprivate mutating func member(_ name: String, _ value: String) {
    key(name)
    string(value)
  }

  fileprivate mutating func member(_ name: String, _ value: some FixedWidthInteger) {
    key(name)
    integer(value)
  }

  fileprivate mutating func member(_ name: String, _ value: Bool) {
    key(name)
    bool(value)
  }

  fileprivate mutating func members(_ tuple: DimensionTuple) {
    for dimension in Dimension.allCases { member(dimension.name, tuple[dimension]) }
  }

  fileprivate mutating func members(_ counts: Counts, as measure: Measure) {
    let values = [
      counts.impressions, counts.views, counts.clicks, counts.engagements, counts.conversions,
      counts.revenueMicros,
    ]
    for (name, value) in zip(measure.columns, values) { member(name, value) }
  }
}
