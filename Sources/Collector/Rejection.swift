import Events

/// Why an event was not accepted. The raw value is the wire value: in answers, dead letters and
/// metrics, for ever.
public enum RejectionCode: String, CaseIterable, Sendable {
  case malformedJSON = "malformed_json"
  case malformedQuery = "malformed_query"
  case notAnObject = "event_not_object"
  case eventTooLarge = "event_too_large"
  case noType = "no_type"
  case unknownType = "unknown_type"
  case unknownKind = "unknown_kind"
  case noEventName = "no_event_name"
  case noIdentity = "no_identity"
  case wrongFieldType = "wrong_field_type"
  case textTooLong = "text_too_long"
  case nulCharacter = "nul_character"
  case badTimestamp = "bad_timestamp"
  case badRevenue = "bad_revenue"
  case badCurrency = "bad_currency"
}

/// An event is refused; thrown while it is read.
struct Refusal: Error {
  let code: RejectionCode
  /// What was expected and what to do about it. Holds none of the event's data.
  let detail: String

  init(_ code: RejectionCode, _ detail: String) {
    self.code = code
    self.detail = detail
  }
}

/// A refused event with its bytes and its place, as it goes to the dead letters.
public struct Rejection: Sendable {
  public let code: RejectionCode
  public let detail: String
  /// Its index in the batch; 0 where the request is one event.
  public let index: Int
  /// Where: the path and the place in it, such as `/v1/batch batch[3]`.
  public let place: String
  /// The refused bytes, at most ``bodyBytesMax`` of them.
  public let body: [UInt8]

  /// A dead letter keeps this much of what was refused.
  public static let bodyBytesMax = 32 * 1024

  init(_ refusal: Refusal, index: Int = 0, place: String, body: UnsafeRawBufferPointer) {
    code = refusal.code
    detail = refusal.detail
    self.index = index
    self.place = place
    self.body = Array(body.prefix(Self.bodyBytesMax))
  }

  /// The rejection as the event of a frame of dead letters.
  ///
  /// Its identity is a hash of what was refused and where, so a batch that is sent again does not
  /// count again.
  func event(
    protocolName: String, site: String, source: String, receivedAt: Int64
  ) -> IncomingEvent {
    var hash = SipHash128()
    hash.update(field: code.rawValue)
    hash.update(field: place)
    body.withUnsafeBytes { hash.update(field: $0) }
    let id = hash.finalize().description
    let letter = DeadLetter(
      code: code.rawValue, detail: detail, place: "\(protocolName) \(place)", body: body)
    return IncomingEvent(
      kind: .custom, key: EventIdentity.dedupeKey(site: site, source: source, eventID: id),
      person: EventIdentity.personKey(site: site, id: id), eventTime: receivedAt,
      receivedAt: receivedAt, dimensions: DimensionTuple(site: site).encoded, id: id,
      name: code.rawValue, source: "\(protocolName)/\(source)", payload: letter.json)
  }
}

extension DeadLetter {
  /// The payload of a frame of dead letters: a JSON object with `code`, `detail`, `place` and the
  /// refused bytes, as text in `body` where they are UTF-8, else in `body_base64`.
  var json: [UInt8] {
    var json = JSONWriter(reserving: body.count + 256)
    json.beginObject()
    json.key("code")
    json.string(code)
    json.key("detail")
    json.string(detail)
    json.key("place")
    json.string(place)
    if let text = String(validating: body, as: UTF8.self) {
      json.key("body")
      json.string(text)
    } else {
      json.key("body_base64")
      json.string(Base64.encode(body))
    }
    json.endObject()
    return json.bytes
  }
}
