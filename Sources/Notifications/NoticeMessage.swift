import Events
import Ports
import Views

extension IncidentNotice {
  /// The same for every copy: of the incident and its revision.
  var messageID: String { "inc_\(row.id)_\(row.revision)" }

  var event: Event {
    switch (told?.isOpen, isOpen) {
    case (nil, true), (false?, true): .opened
    case (nil, false), (true?, false): .closed
    case (true?, true), (false?, false): .updated
    }
  }

  /// When it happened, microseconds since the epoch; no clock has a part in it.
  var time: Int64 {
    switch event {
    case .opened: row.begin
    case .closed: row.end ?? row.begin
    case .updated: row.series.last?.start ?? row.begin
    }
  }

  /// Without the series, which who reads facts can ask for.
  var fact: [UInt8] { IncidentReport(row, hasSeries: false).json }

  /// The body of a webhook's message.
  var message: [UInt8] {
    var json = JSONWriter(reserving: 4_096)
    json.beginObject()
    json.key("type")
    json.string(event.rawValue)
    json.key("timestamp")
    json.string(Timestamp.format(time))
    json.key("data")
    IncidentReport(row).write(to: &json)
    json.endObject()
    return json.bytes
  }
}
