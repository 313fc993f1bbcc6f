public import Events

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
  case schemaViolation = "schema_violation"

  /// What its sender can do about it.
  var fix: String {
    switch self {
    case .malformedJSON: "send JSON in the form that is named"
    case .malformedQuery: "percent-encode what is no letter or digit, as UTF-8"
    case .badCompression: "send it compressed as Content-Encoding says, or plain"
    case .notAnObject: "send a JSON object"
    case .eventTooLarge: "send less in one event"
    case .noType, .unknownType, .unknownKind: "send one of those that are named"
    case .noEventName: "send the name of the event"
    case .noIdentity: "send an id of the person"
    case .wrongFieldType: "send the type that is named"
    case .textTooLong: "send a shorter text"
    case .nulCharacter: "leave U+0000 out"
    case .badTimestamp: "send the time in the form that is named, or none"
    case .badRevenue: "send a decimal number such as 9.99"
    case .badCurrency: "send a code of ISO 4217 such as USD"
    case .mixedKeys: "send the events of each key by themselves"
    case .missingAttribute, .badAttribute: "send the attribute as the detail says"
    case .schemaViolation: "send what the schema asks"
    }
  }
}

/// An event is refused; thrown while it is read, or at a gate.
public struct Refusal: Error {
  public let code: RejectionCode
  /// What was expected and what to do about it. Holds none of the event's data.
  public let detail: String
  /// The same in parts, of what a schema found.
  public let violation: SchemaViolation?
  /// Where in the event, such as `$.properties.revenue`; `$` where it is the event as a whole or not told.
  public private(set) var path: String

  /// - Parameter path: in the event.
  public init(_ code: RejectionCode, _ detail: String, at path: String = "$") {
    self.code = code
    self.detail = detail
    self.path = path
    violation = nil
  }

  /// The same, at another path; nil: where it is.
  func at(_ path: String?) -> Refusal {
    var refusal = self
    refusal.path = path ?? self.path
    return refusal
  }

  /// - Parameter violation: with its path in the event, such as `$.properties.revenue`.
  public init(_ violation: SchemaViolation) {
    code = .schemaViolation
    detail =
      "\(violation.path): expected \(violation.expected); to fix it, \(violation.fix)"
    self.violation = violation
    path = violation.path
  }
}

/// A refused event with its bytes and its place, as it goes to the dead letters.
public struct Rejection: Sendable {
  public let code: RejectionCode
  public let detail: String
  /// See ``Refusal/violation``.
  public let violation: SchemaViolation?
  /// See ``Refusal/path``.
  public let path: String
  /// Where it is an event that a gate refused.
  public let gate: GateRefusal?
  /// Its index in the batch; 0 where the request is one event.
  public let index: Int
  /// Where: the path and the place in it, such as `/v1/batch batch[3]`.
  public let place: String
  /// The refused bytes, as many as a dead letter keeps.
  public private(set) var body: [UInt8]
  /// How many bytes were refused.
  public private(set) var byteCount: Int

  /// - Parameter byteCount: how many bytes were refused, where `body` is only some of them.
  init(
    _ refusal: Refusal, index: Int = 0, place: String, body: UnsafeRawBufferPointer,
    byteCount: Int = 0, gate: GateRefusal? = nil
  ) {
    code = refusal.code
    detail = refusal.detail
    violation = refusal.violation
    path = refusal.path
    self.gate = gate
    self.index = index
    self.place = place
    // What is too long as it is will not be sent again.
    self.body = Array(
      body.prefix(
        refusal.code == .eventTooLarge
          ? DeadLetter.sampleByteCountMax : DeadLetter.keptByteCount(body)))
    self.byteCount = max(body.count, byteCount)
  }

  /// Puts what a dead letter may keep in the place of the bytes.
  mutating func replaceBody(_ body: [UInt8]) {
    byteCount = byteCount - self.body.count + body.count
    self.body = Array(body.prefix(body.withUnsafeBytes { DeadLetter.keptByteCount($0) }))
  }

  /// Nothing of what was refused is kept but that and why.
  mutating func withhold() { body = [] }

  /// An event that a gate refused.
  ///
  /// - Parameter path: of the endpoint.
  init(
    _ refusal: Refusal, index: Int, path: String, event: IncomingEvent, gate: GateRefusal
  ) {
    self = event.payload.withUnsafeBytes {
      Rejection(refusal, index: index, place: "\(path) event", body: $0, gate: gate)
    }
  }

  /// A hash of what was refused and where, so that copies from a batch that was sent again can be told.
  public var id: String {
    var hash = SipHash128()
    hash.update(field: code.rawValue)
    hash.update(field: place)
    // What is encrypted is another text each time.
    (SealedTexts.removed(from: body) ?? body).withUnsafeBytes { hash.update(field: $0) }
    // Where a gate refused it, the place names no event of a batch.
    if let gate { hash.update(field: gate.event.id) }
    return hash.finalize().description
  }

  /// As an answer names it.
  var named: RejectedEvent { RejectedEvent(index: index, code: code.rawValue, message: detail) }

  /// The rejection as the event of a frame of dead letters.
  func event(
    protocolName: String, site: String, source: String, receivedAt: Int64
  ) -> IncomingEvent {
    let id = id
    let letter = DeadLetter(
      code: code.rawValue, detail: detail, place: "\(protocolName) \(place)", body: body,
      byteCount: byteCount, gate: gate)
    return IncomingEvent(
      kind: .custom, key: EventIdentity.dedupeKey(site: site, source: source, eventID: id),
      person: EventIdentity.personKey(site: site, id: id), eventTime: receivedAt,
      receivedAt: receivedAt, dimensions: DimensionTuple(site: site).encoded, id: id,
      name: code.rawValue, source: "\(protocolName)/\(source)", payload: letter.payload)
  }
}

/// Where in its batch each accepted event stood: at the places that the refused ones leave.
struct PlacesInBatch {
  private let refused: Set<Int>
  private var place = -1

  init(without rejections: [Rejection]) { self.init(without: rejections.map(\.index)) }

  init(without places: [Int]) { refused = Set(places) }

  mutating func next() -> Int {
    repeat { place += 1 } while refused.contains(place)
    return place
  }
}
