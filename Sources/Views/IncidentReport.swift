public import Events

/// An incident as the API, facts and webhooks tell it: one JSON object, the same everywhere.
///
///     {"id":"812…","site":"default","campaign":"spring","content":"","kind":"rate_down",
///      "severity":"critical","open":true,"begin":"2026-11-30T10:15:00.000Z","end":null,
///      "evidence":8.1,"observed":38,"expected":100.2,"range":[81.4,119.0],"change":-0.62,
///      "contributor":{"dimension":"variant","value":"b","share":0.7},"group":"812…","feedback":null,
///      "revision":3,"summary":"clicks of campaign spring are 62 % below …",
///      "series":[{"start":"…","observed":12,"expected":33.1}]}
///
/// Ids are texts, because they are larger than what numbers of JavaScript hold.
public struct IncidentReport: Sendable {
  private let row: IncidentRow
  private let summary: IncidentSummary
  private let hasSeries: Bool

  /// - Parameter hasSeries: whether the series is in it, which is most of it.
  public init(
    _ row: IncidentRow, clock: IncidentSummary.LocalClock = .utc, hasSeries: Bool = true
  ) {
    self.row = row
    self.hasSeries = hasSeries
    summary = IncidentSummary(row, clock: clock)
  }

  public var json: [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    write(to: &json)
    return json.bytes
  }

  public func write(to json: inout JSONWriter) {
    json.beginObject()
    json.text("id", "\(row.id)")
    for (name, value) in [
      ("site", row.site), ("campaign", row.campaign), ("content", row.content),
      ("kind", row.kind.name), ("severity", row.severity.name),
    ] { json.text(name, value) }
    json.key("open")
    json.bool(row.end == nil)
    json.text("begin", Timestamp.format(row.begin))
    json.text("end", row.end.map(Timestamp.format))
    json.number("evidence", row.evidence)
    json.key("observed")
    json.integer(row.observed)
    json.number("expected", row.expected)
    json.key("range")
    json.beginArray()
    json.double(row.lower)
    json.double(row.upper)
    json.endArray()
    json.number("change", row.change ?? .nan)
    json.key("contributor")
    if let contributor = row.contributor {
      json.beginObject()
      json.text("dimension", contributor.dimension.name)
      json.text("value", contributor.value)
      json.number("share", contributor.share)
      json.endObject()
    } else {
      json.null()
    }
    json.text("group", "\(row.group)")
    json.text("feedback", row.feedback?.name)
    json.key("revision")
    json.integer(row.revision)
    json.text("summary", summary.text)
    if hasSeries { writeSeries(to: &json) }
    json.endObject()
  }

  private func writeSeries(to json: inout JSONWriter) {
    json.key("series")
    json.beginArray()
    for point in row.series {
      json.beginObject()
      json.text("start", Timestamp.format(point.start))
      json.key("observed")
      json.integer(point.observed)
      json.number("expected", point.expected)
      json.endObject()
    }
    json.endArray()
  }
}

extension IncidentRow {
  /// How much more there is than usual, as a part of it; nil where nothing is usual.
  public var change: Double? { expected > 0 ? Double(observed) / expected - 1 : nil }
}

extension JSONWriter {
  fileprivate mutating func text(_ name: String, _ value: String?) {
    key(name)
    if let value { string(value) } else { null() }
  }

  /// `null` where it is none.
  fileprivate mutating func number(_ name: String, _ value: Double) {
    key(name)
    double(value)
  }
}
