import Events
import Ports
import Statistics
import Views

/// Why something is an incident, as `GET /v1/incidents/{id}/why` says it: what it is measured by and how much each bin adds, the
/// alternatives and their odds, and where in the log the events are.
///
///     {"incident":"812…","summary":"…","observed":38,"expected":100.2,"range":[81.4,119.0],
///      "contributions":[{"start":"…","observed":12,"expected":33.1,"difference":-21.1,"share":0.34}],
///      "change_point":{"at":"…","before":0.98,"after":0.38,"evidence":21.4},
///      "contributor":{"dimension":"variant","value":"b","share":0.7},
///      "audience":[{"dimension":"device","value":"mobile","share":0.9,"usual":0.4}],
///      "alternatives":[{"explanation":"as_usual","incident":null,"odds":0.0000061},
///                      {"explanation":"traffic_down","incident":"811…","odds":0.2}],
///      "from":"…","until":"…","log":[{"stream":"events-00","first":12,"last":40}],"reasons":["…"]}
struct IncidentReason {
  let row: IncidentRow
  /// Of the same group, without itself.
  let others: [IncidentRow]
  /// Nil where the log cannot be asked.
  let spans: [LogSpan]?
  let audience: FindAudience?
  /// Until which time events belong to it, microseconds since the epoch.
  let until: Int64
  let clock: IncidentSummary.LocalClock

  var json: [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    json.key("incident")
    json.string("\(row.id)")
    json.key("summary")
    json.string(IncidentSummary(row, clock: clock).text)
    json.key("observed")
    json.integer(row.observed)
    json.key("expected")
    json.double(row.expected)
    json.key("range")
    json.beginArray()
    json.double(row.lower)
    json.double(row.upper)
    json.endArray()
    json.key("contributions")
    json.beginArray()
    for point in bins { write(point, to: &json) }
    json.endArray()
    json.key("change_point")
    writeChangePoint(to: &json)
    json.key("contributor")
    writeContributor(to: &json)
    json.key("audience")
    writeAudience(to: &json)
    json.key("alternatives")
    json.beginArray()
    writeAlternative("as_usual", nil, odds: oddsOfUsual, to: &json)
    for other in others {
      writeAlternative(
        other.kind.name, other, odds: Elementary.exp(other.evidence - row.evidence), to: &json)
    }
    json.endArray()
    json.key("from")
    json.string(Timestamp.format(row.begin))
    json.key("until")
    json.string(Timestamp.format(until))
    json.key("log")
    writeSpans(to: &json)
    json.key("reasons")
    json.beginArray()
    for sentence in sentences { json.string(sentence) }
    json.endArray()
    json.endObject()
    return json.bytes
  }

  /// Those of the incident, of the last ones that are kept.
  private var bins: [IncidentRow.Point] {
    row.series.filter { $0.start >= row.begin && $0.start < row.end ?? .max }
  }

  /// Where the level left what is usual, among the bins that are kept; nil where no place stands out.
  private var changePoint: (at: Int64, change: ChangePoint)? {
    ChangePoint(
      observed: row.series.map { Double($0.observed) }, expected: row.series.map(\.expected)
    ).map { (row.series[$0.index].start, $0) }
  }

  private func writeChangePoint(to json: inout JSONWriter) {
    guard let (at, change) = changePoint else { return json.null() }
    json.beginObject()
    json.key("at")
    json.string(Timestamp.format(at))
    json.key("before")
    json.double(change.ratioBefore)
    json.key("after")
    json.double(change.ratioAfter)
    json.key("evidence")
    json.double(change.evidence)
    json.endObject()
  }

  private var difference: Double {
    bins.reduce(0) { $0 + Double($1.observed) - $1.expected }
  }

  /// Evidence is the logarithm of how much more likely what was seen is where something has changed.
  private var oddsOfUsual: Double { Elementary.exp(-row.evidence) }

  private func write(_ point: IncidentRow.Point, to json: inout JSONWriter) {
    let own = Double(point.observed) - point.expected
    json.beginObject()
    json.key("start")
    json.string(Timestamp.format(point.start))
    json.key("observed")
    json.integer(point.observed)
    json.key("expected")
    json.double(point.expected)
    json.key("difference")
    json.double(own)
    json.key("share")
    json.double(difference == 0 ? 0 : own / difference)
    json.endObject()
  }

  private func writeContributor(to json: inout JSONWriter) {
    guard let contributor = row.contributor else { return json.null() }
    json.beginObject()
    json.key("dimension")
    json.string(contributor.dimension.name)
    json.key("value")
    json.string(contributor.value)
    json.key("share")
    json.double(contributor.share)
    json.endObject()
  }

  /// Of the bins that are kept; nil where nobody knows.
  private var contributions: [IncidentAudience]? {
    guard let audience, let first = bins.first, let last = bins.last else {
      return nil
    }
    let length = row.series.count > 1 ? row.series[1].start - row.series[0].start : 0
    return audience(
      row, first.start, last.start + length, bins.reduce(0) { $0 + $1.expected })
  }

  private func writeAudience(to json: inout JSONWriter) {
    guard let contributions else { return json.null() }
    json.beginArray()
    for contribution in contributions {
      json.beginObject()
      json.key("dimension")
      json.string(contribution.dimension)
      json.key("value")
      json.string(contribution.value)
      json.key("share")
      json.double(contribution.share)
      json.key("usual")
      json.double(contribution.usual)
      json.endObject()
    }
    json.endArray()
  }

  private func writeAlternative(
    _ explanation: String, _ other: IncidentRow?, odds: Double, to json: inout JSONWriter
  ) {
    json.beginObject()
    json.key("explanation")
    json.string(explanation)
    json.key("incident")
    if let other { json.string("\(other.id)") } else { json.null() }
    json.key("odds")
    json.double(odds)
    json.endObject()
  }

  private func writeSpans(to json: inout JSONWriter) {
    guard let spans else { return json.null() }
    json.beginArray()
    for span in spans {
      json.beginObject()
      json.key("stream")
      json.string(span.stream)
      json.key("first")
      json.integer(span.first)
      json.key("last")
      json.integer(span.last)
      json.endObject()
    }
    json.endArray()
  }

  private var sentences: [String] {
    var sentences = [
      "\(row.observed) were seen where \(Self.decimal(row.expected)) are usual; 95 of 100 times it is"
        + " \(Self.decimal(row.lower)) to \(Self.decimal(row.upper))."
    ]
    sentences.append(
      "What was seen is \(Self.decimal(1 / oddsOfUsual)) times as likely where something has changed as"
        + " where all is as usual.")
    if let (at, change) = changePoint {
      sentences.append(
        "The level changed at \(Timestamp.format(at)): it was \(Self.decimal(change.ratioBefore * 100)) % of what is"
          + " usual before, and is \(Self.decimal(change.ratioAfter * 100)) % since.")
    }
    let worst = bins.max { left, right in
      (Double(left.observed) - left.expected).magnitude
        < (Double(right.observed) - right.expected).magnitude
    }
    if let worst, bins.count > 1 {
      sentences.append(
        "The bin from \(Timestamp.format(worst.start)) on differs most: \(worst.observed) instead of"
          + " \(Self.decimal(worst.expected)).")
    }
    if let contributor = row.contributor {
      sentences.append(
        "\(Self.decimal(contributor.share * 100)) % of it is of \(contributor.dimension.name)"
          + " \(contributor.value), which is more than its usual share.")
    }
    for contribution in contributions ?? [] {
      let value = contribution.value.isEmpty ? "(none)" : contribution.value
      sentences.append(
        "\(Self.decimal(contribution.share * 100)) % of it is of \(contribution.dimension) \(value), which otherwise has"
          + " \(Self.decimal(contribution.usual * 100)) %.")
    }
    if !others.isEmpty {
      sentences.append("\(others.count) more began with it and moved the same way.")
    }
    return sentences
  }

  /// With at most one digit behind the point.
  private static func decimal(_ value: Double) -> String {
    let rounded = (value * 10).rounded() / 10
    return rounded == rounded.rounded() && rounded.magnitude < 1e15
      ? "\(Int64(rounded))" : "\(rounded)"
  }
}
