import Events

/// Why an event was not accepted. The raw value is the wire value: in answers, dead letters and
/// metrics, for ever.
public enum RejectionCode: String, CaseIterable, Sendable {
  case malformedJSON = "malformed_json"
  case malformedQuery = "malformed_query"
  case badCompression = "bad_compression"
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
  case mixedKeys = "mixed_write_keys"
  case missingAttribute = "missing_attribute"
  case badAttribute = "bad_attribute"
}

/// An event is refused; thrown while it is read, or at a gate.
public struct Refusal: Error {
  public let code: RejectionCode
  /// What was expected and what to do about it. Holds none of the event's data.
  public let detail: String

  public init(_ code: RejectionCode, _ detail: String) {
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
  /// The refused bytes, as many as a dead letter keeps.
  public let body: [UInt8]
  /// How many bytes were refused.
  public let byteCount: Int

  /// - Parameter byteCount: how many bytes were refused, where `body` is only some of them.
  init(
    _ refusal: Refusal, index: Int = 0, place: String, body: UnsafeRawBufferPointer,
    byteCount: Int = 0
  ) {
    code = refusal.code
    detail = refusal.detail
    self.index = index
    self.place = place
    self.body = Array(body.prefix(DeadLetter.bodyByteCountMax))
    self.byteCount = max(body.count, byteCount)
  }

  /// The rejection as the event of a frame of dead letters.
  ///
  /// Its identity is a hash of what was refused and where, so that copies from a batch that was sent
  /// again can be told.
  func event(
    protocolName: String, site: String, source: String, receivedAt: Int64
  ) -> IncomingEvent {
    var hash = SipHash128()
    hash.update(field: code.rawValue)
    hash.update(field: place)
    body.withUnsafeBytes { hash.update(field: $0) }
    let id = hash.finalize().description
    let letter = DeadLetter(
      code: code.rawValue, detail: detail, place: "\(protocolName) \(place)", body: body,
      byteCount: byteCount)
    return IncomingEvent(
      kind: .custom, key: EventIdentity.dedupeKey(site: site, source: source, eventID: id),
      person: EventIdentity.personKey(site: site, id: id), eventTime: receivedAt,
      receivedAt: receivedAt, dimensions: DimensionTuple(site: site).encoded, id: id,
      name: code.rawValue, source: "\(protocolName)/\(source)", payload: letter.payload)
  }
}
