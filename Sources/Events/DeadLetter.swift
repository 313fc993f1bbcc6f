/// A rejected event as it is kept in a frame of dead letters.
///
/// It travels in the columns of an ordinary event: kind `custom`, the reason's code as name, and
/// this record as payload, so that one codec serves both.
public struct DeadLetter: Hashable, Sendable {
  /// Of ``body``; longer bodies are cut. In base 64, which it takes where that is shorter, there is room for it in a
  /// frame, which may have 1 MiB.
  public static let bodyByteCountMax = 700 * 1024
  /// The same of a body that is one JSON object or array, which is kept as it is: an event may have 900 KiB.
  public static let jsonBodyByteCountMax = 920 * 1024
  /// Of a body that is not to be read again: enough to see what it was.
  public static let sampleByteCountMax = 32 * 1024

  /// A stable code, such as `event_too_large`.
  public var code: String
  /// What was expected and what to do about it.
  public var detail: String
  /// Where: protocol and place, such as `segment /v1/batch batch[3].event`.
  public var place: String
  /// The rejected bytes, as many as are kept (``keptByteCount(_:)``).
  public let body: [UInt8]
  /// How many bytes were rejected; more than `body` has where it was cut.
  public let bodyByteCount: Int
  /// Where the event was read but refused afterwards; then `body` is its payload.
  public var gate: GateRefusal?

  /// - Parameter byteCount: how many bytes were rejected, where `body` has been cut already.
  public init(
    code: String, detail: String, place: String, body: [UInt8], byteCount: Int = 0,
    gate: GateRefusal? = nil
  ) {
    self.code = code
    self.detail = detail
    self.place = place
    self.gate = gate
    self.body = Array(body.prefix(body.withUnsafeBytes { Self.keptByteCount($0) }))
    bodyByteCount = max(body.count, byteCount)
  }

  /// How many bytes of a body are kept.
  public static func keptByteCount(_ body: UnsafeRawBufferPointer) -> Int {
    if body.count <= bodyByteCountMax { return body.count }
    return body.count <= jsonBodyByteCountMax && isJSON(body) ? body.count : bodyByteCountMax
  }

  /// Whether the bytes can stand in a letter as a value of its JSON.
  private static func isJSON(_ body: UnsafeRawBufferPointer) -> Bool {
    // White space around it would be lost.
    guard let first = body.first, let last = body.last,
      first == UInt8(ascii: "{") && last == UInt8(ascii: "}")
        || first == UInt8(ascii: "[") && last == UInt8(ascii: "]")
    else { return false }
    var json = JSONScanner(body)
    json.depth = 1  // The letter's own level.
    do throws(JSONError) {
      try json.skipValue()
      try json.end()
      return true
    } catch {
      return false
    }
  }

  // MARK: As an event

  /// The dead letter in the columns of an event.
  ///
  /// Its id is derived from its content and `receivedAt`, microseconds since the epoch.
  public func event(site: String, source: String, receivedAt: Int64) -> IncomingEvent {
    let payload = payload
    var hash = SipHash128()
    withUnsafeBytes(of: receivedAt.littleEndian) { hash.update($0) }
    payload.withUnsafeBytes { hash.update($0) }
    let id = hash.finalize().description
    return IncomingEvent(
      kind: .custom,
      key: EventIdentity.dedupeKey(site: site, source: source, eventID: id),
      person: EventIdentity.personKey(site: site, id: id), eventTime: receivedAt,
      receivedAt: receivedAt, dimensions: DimensionTuple(site: site).encoded, id: id, name: code,
      source: source, payload: payload)
  }

  /// `{"code":…,"detail":…,"place":…,"bytes":…,"body":…}`, with `body_base64` instead of `body`
  /// where the bytes are not UTF-8, and with `body_json`, the value itself, where they are long and are JSON; `bytes` is
  /// ``bodyByteCount``. What a gate refused has `gate` and
  /// `event` besides.
  public var payload: [UInt8] {
    var json = JSONWriter(reserving: body.count + 256)
    json.beginObject()
    json.key("code")
    json.string(code)
    json.key("detail")
    json.string(detail)
    json.key("place")
    json.string(place)
    json.key("bytes")
    json.integer(bodyByteCount)
    if body.count > Self.sampleByteCountMax, body.withUnsafeBytes({ Self.isJSON($0) }) {
      json.key("body_json")
      body.withUnsafeBytes { json.raw($0) }
    } else if !isShorterInBase64, let text = String(validating: body, as: UTF8.self) {
      json.key("body")
      json.string(text)
    } else {
      json.key("body_base64")
      json.string(Base64.encode(body))
    }
    gate?.write(to: &json)
    json.endObject()
    return json.bytes
  }

  /// Whether a long body would have more escapes as a text than base 64 adds.
  private var isShorterInBase64: Bool {
    guard body.count > Self.sampleByteCountMax else { return false }
    var escapes = 0
    for byte in body {
      if byte < 0x20 {
        escapes += 5
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
        escapes += 1
      }
    }
    return escapes > body.count / 3
  }

  /// - Throws: where `payload` is not the payload of a dead letter.
  public init(payload: UnsafeRawBufferPointer) throws(JSONError) {
    var code: String?
    var detail = ""
    var place = ""
    var body: [UInt8]?
    var byteCount: Int64?
    var gate = ""
    var event: IncomingEvent?
    var json = JSONScanner(payload)
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "code": code = try json.string()
      case "detail": detail = try json.string()
      case "place": place = try json.string()
      case "bytes": byteCount = try json.int64()
      case "body": body = Array(try json.string().utf8)
      case "body_base64":
        let start = json.offset
        guard let decoded = Base64.decode(try json.text().bytes) else {
          throw json.error(.string, at: start)
        }
        body = decoded
      case "body_json": body = Array(try json.skipValue())
      case "gate": gate = try json.string()
      case "event": event = try IncomingEvent(columns: &json)
      default: try json.skipValue()
      }
    }
    try json.end()
    guard let code, let body else { throw json.error(.key) }
    self.init(
      code: code, detail: detail, place: place, body: body, byteCount: Int(byteCount ?? 0),
      gate: event.map { GateRefusal(gate: gate, event: $0) })
  }
}
