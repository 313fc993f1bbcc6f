import Events
import HTTPServer

/// Matomo's tracking API, spoken by its trackers for browsers, phones and servers: content impressions and
/// interactions, page views, events, goals and orders.
///
/// Source: Matomo's developer documentation, "Tracking HTTP API" (5.x). ``MatomoEvent`` says what the fields
/// become. `GET /matomo.php` has them in the query, `POST` in a form, or many events as
/// `{"requests":["?idsite=1&rec=1&…"]}`; `/piwik.php` is the same.
///
/// The write key is `idsite`, so that pages need no other setting than the collector's address; else `k`. A
/// single event is answered with a GIF, or with 204 where it has `send_image=0`; many are answered with how many
/// were taken. `token_auth`, a secret of the sender's Matomo, is never kept.
enum MatomoProtocol {
  static let name = "matomo"

  static let declaration = IngestProtocol(
    name: name, bodyBytesMax: 1024 * 1024, endpoints: endpoints,
    answer: { FastResponse(PixelProtocol.image, extraHeaders: $0.positionHeader) },
    keyAdvice: "as idsite, or as k in the query")

  /// More events than this in one request are refused as a whole.
  static let batchEventsMax = 2500

  /// What posts stands first among those of its path: dead letters of both ways are read by it.
  private static let endpoints = ["/matomo.php", "/piwik.php"].flatMap { path in
    [HTTPMethod.post, .get].map { method in
      IngestEndpoint(method: method, path: path, keyField: "idsite") { read($0, place: path) }
    }
  }

  private static func read(_ input: IngestInput, place: String) -> IngestReading {
    let first = input.body.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0a && $0 != 0x0d }
    return first == UInt8(ascii: "{")
      ? readBatch(input, place: place) : readOne(input, place: place)
  }

  private static func writeKey(site: String, _ input: IngestInput) -> WriteKey? {
    if !site.isEmpty, let key = input.keys.find(site) { return key }
    return WriteKeyName.find(input).flatMap { input.keys.find($0) }
  }

  private static func event(
    _ fields: TextFields, _ key: WriteKey, _ input: IngestInput, place: String
  ) throws(Refusal) -> IncomingEvent {
    try MatomoEvent(key: key, receivedAt: input.receivedAt, uniqueID: input.uniqueID)
      .event(fields, place: place)
  }

  // MARK: One event

  private static let noContent = PreparedResponse(status: .noContent)

  private static func readOne(_ input: IngestInput, place: String) -> IngestReading {
    var fields = TextFields(form: input.query)
    fields.append(form: input.body)
    guard let key = writeKey(site: fields["idsite"], input) else { return .unknownKey }
    var reply = IngestReply()
    if fields["send_image"] == "0" {
      reply.stored = { FastResponse(noContent, extraHeaders: $0.positionHeader) }
    }
    do {
      return .events([try event(fields, key, input, place: place)], rejected: [], key, reply: reply)
    } catch {
      // Fields of both places are read again as those of a form.
      let gap = input.query.isEmpty || input.body.isEmpty ? [] : [UInt8(ascii: "&")]
      let all = MatomoSecret.removed(from: Array(input.query) + gap + Array(input.body))
      return .refused(all.withUnsafeBytes { Rejection(error, place: place, body: $0) }, key)
    }
  }

  // MARK: Many events

  private static let form = FieldBatch.Form(
    member: "requests", elements: "queries", keyField: "idsite", keyName: "idsite",
    countMax: batchEventsMax, read: query)

  @Sendable private static func query(_ json: inout JSONScanner) throws -> TextFields {
    guard try json.peek() == .string else {
      throw Refusal(.wrongFieldType, "an event of requests is a query, a text")
    }
    var query: [UInt8] = []
    try json.text().append(to: &query)
    if query.first == UInt8(ascii: "?") { query.removeFirst() }
    return query.withUnsafeBytes { TextFields(form: $0) }
  }

  private static func readBatch(_ input: IngestInput, place: String) -> IngestReading {
    let batch: FieldBatch
    do {
      batch = try FieldBatch(input.body, form)
    } catch {
      // A site may stand in what cannot be read.
      guard let key = writeKey(site: "", input) else {
        return .problem(code: error.code.rawValue, detail: error.detail)
      }
      return .refused(
        Rejection(
          error, place: place, body: MatomoSecret.cutOff(input.body), byteCount: input.body.count),
        key)
    }
    if let problem = batch.tooMany { return problem }
    let site = batch.keyName
    guard let key = writeKey(site: site, input) else { return .unknownKey }
    let (events, rejected) = batch.read(
      place: place, isKey: input.keys.find(site) != nil,
      event: { (fields, place) throws(Refusal) in try event(fields, key, input, place: place) },
      kept: { MatomoSecret.removed(fromJSON: $0) })
    let count = batch.count
    return .events(
      events, rejected: rejected, key,
      reply: IngestReply(stored: { answer($0, eventCount: count) }))
  }

  // MARK: Answering

  private static let counted = PreparedResponse(
    status: .ok, headers: [(name: "Content-Type", value: "application/json")])

  /// As Matomo answers many events.
  private static func answer(_ stored: StoredAnswer, eventCount: Int) -> FastResponse {
    var json = JSONWriter(reserving: 96)
    json.beginObject()
    json.key("status")
    json.string("success")
    json.key("tracked")
    json.integer(eventCount - stored.rejected.count)
    json.key("invalid")
    json.integer(stored.rejected.count)
    json.key("invalid_indices")
    json.beginArray()
    for event in stored.rejected { json.integer(event.index) }
    json.endArray()
    json.endObject()
    return FastResponse(counted, extraHeaders: stored.positionHeader, body: json.bytes)
  }
}
