import Events
import Ports

/// A fact as the log stores it: one CloudEvent in structured JSON (CloudEvents 1.0.2, its JSON format).
///
///     {"specversion":"1.0","id":EVENT ID,"source":"/facts/KIND","type":"smartcontent.TYPE",
///      "subject":ID,"time":"2026-11-30T08:00:00.000000Z","datacontenttype":"application/json","data":{…}}
enum FactEnvelope {
  private static let sourcePrefix = "/facts/"
  private static let typePrefix = "smartcontent."

  static func encode(_ fact: Fact) -> [UInt8] {
    var json = JSONWriter(reserving: 256 + fact.data.count)
    json.beginObject()
    for (name, value) in [
      ("specversion", "1.0"), ("id", fact.eventID), ("source", sourcePrefix + fact.kind),
      ("type", typePrefix + fact.type), ("subject", fact.id),
      ("time", Timestamp.format(fact.time)), ("datacontenttype", "application/json"),
    ] {
      json.key(name)
      json.string(value)
    }
    json.key("data")
    fact.data.withUnsafeBytes { json.raw($0) }
    json.endObject()
    return json.bytes
  }

  /// Nil where it is none.
  static func decode(_ bytes: [UInt8]) -> Fact? {
    let json = JSONSlice(bytes)
    guard
      let id = json["id"]?.string, let source = json["source"]?.string,
      source.hasPrefix(sourcePrefix), let type = json["type"]?.string, type.hasPrefix(typePrefix),
      let subject = json["subject"]?.string,
      let time = json["time"]?.string.flatMap({ Timestamp.parse($0) }), let data = json["data"]
    else { return nil }
    return Fact(
      kind: String(source.dropFirst(sourcePrefix.count)), id: subject,
      type: String(type.dropFirst(typePrefix.count)), eventID: id, time: time, data: data.bytes)
  }

  /// Whether the data are one JSON value: anything else would make the message unreadable for ever.
  static func isWhole(_ fact: Fact) -> Bool {
    fact.data.withUnsafeBytes { buffer in
      var json = JSONScanner(buffer)
      do throws(JSONError) {
        try json.skipValue()
        try json.end()
        return true
      } catch {
        return false
      }
    }
  }
}
