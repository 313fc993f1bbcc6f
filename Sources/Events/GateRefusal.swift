/// An event that its protocol had accepted and that a step on its way to the log refused.
///
/// The event keeps what it had become by then, its identity above all, so that it can go on from that
/// step later: a step that ran already, such as one that hides identities, must not run again.
public struct GateRefusal: Hashable, Sendable {
  /// The name of the step.
  public var gate: String
  /// Without its payload, which is the dead letter's body.
  public var event: IncomingEvent

  public init(gate: String, event: IncomingEvent) {
    self.gate = gate
    self.event = event
    self.event.payload = []
  }

  /// As members `gate` and `event`.
  func write(to json: inout JSONWriter) {
    json.key("gate")
    json.string(gate)
    json.key("event")
    event.writeColumns(to: &json)
  }
}

extension IncomingEvent {
  /// All but the payload, as a JSON object.
  func writeColumns(to json: inout JSONWriter) {
    json.beginObject()
    let texts = [
      ("kind", kind.name), ("key", key.description), ("person", person.description),
      ("user", user.description), ("id", id), ("name", name), ("source", source),
      ("agent", agent),
    ]
    for (name, text) in texts {
      json.key(name)
      json.string(text)
    }
    let numbers = [
      ("time", eventTime), ("received_at", receivedAt), ("sent_at", sentAt),
      ("revenue_micros", revenueMicros), ("fingerprint", Int64(fingerprint)), ("bot", Int64(bot)),
    ]
    for (name, number) in numbers {
      json.key(name)
      json.integer(number)
    }
    json.key("dimensions")
    DimensionTuple.write(encoded: dimensions, to: &json)
    json.endObject()
  }

  /// - Throws: where the next value is no object that ``writeColumns(to:)`` made.
  init(columns json: inout JSONScanner) throws(JSONError) {
    var texts: [String: String] = [:]
    var numbers: [String: Int64] = [:]
    var tuple = DimensionTuple(site: "")
    try json.beginObject()
    while let name = try json.nextKey() {
      switch try json.peek() {
      case .string: texts[name.string] = try json.string()
      case .number: numbers[name.string] = try json.int64()
      case .object where name == "dimensions": tuple = try DimensionTuple(members: &json)
      case .object, .array, .boolean, .null: try json.skipValue()
      }
    }
    guard let kind = texts["kind"].flatMap({ EventKind(name: $0) }),
      let key = texts["key"].flatMap({ Key128($0) }),
      let person = texts["person"].flatMap({ Key128($0) }),
      let user = texts["user"].flatMap({ Key128($0) }), let id = texts["id"],
      let name = texts["name"], let source = texts["source"], let time = numbers["time"],
      let receivedAt = numbers["received_at"]
    else { throw json.error(.key) }
    self.init(
      kind: kind, key: key, person: person, user: user, eventTime: time, receivedAt: receivedAt,
      sentAt: numbers["sent_at"] ?? 0, dimensions: tuple.encoded,
      revenueMicros: numbers["revenue_micros"] ?? 0, id: id, name: name, source: source,
      payload: [], fingerprint: UInt32(clamping: numbers["fingerprint"] ?? 0),
      agent: texts["agent"] ?? "", bot: UInt32(truncatingIfNeeded: numbers["bot"] ?? 0))
  }
}

extension DimensionTuple {
  fileprivate init(members json: inout JSONScanner) throws(JSONError) {
    self.init(site: "")
    try json.beginObject()
    while let name = try json.nextKey() {
      let value = try json.text()
      guard value.bytes.count <= Int(UInt16.max) else { throw json.error(.string) }
      switch Dimension(name: name.string) {
      case .site: site = value.string
      case .campaign: campaign = value.string
      case .content: content = value.string
      case .variant: variant = value.string
      case .channel: channel = value.string
      case .currency: currency = value.string
      case .traffic: traffic = value.string
      case nil: break
      }
    }
  }
}
