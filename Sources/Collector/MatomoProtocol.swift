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
    answer: { FastResponse(PixelProtocol.image, extraHeaders: $0.positionHeader) })

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

  /// An event of a batch before its write key is known.
  private struct Item {
    let fields: TextFields
    let refusal: Refusal?
    let json: UnsafeRawBufferPointer
  }

  private static func readBatch(_ input: IngestInput, place: String) -> IngestReading {
    let items: [Item]
    do {
      items = try readItems(input.body)
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
    guard items.count <= batchEventsMax else {
      return .problem(
        code: "too_many_events",
        detail: "a request may have \(batchEventsMax) events; send it in smaller parts")
    }
    let site = items.lazy.map { $0.fields["idsite"] }.first { !$0.isEmpty } ?? ""
    guard let key = writeKey(site: site, input) else { return .unknownKey }
    // A site's number tells whose an event is only where it is a write key.
    let isKey = input.keys.find(site) != nil
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
    for (index, item) in items.enumerated() {
      var place = "\(place) requests[\(index)]"
      do throws(Refusal) {
        if let refusal = item.refusal { throw refusal }
        if isKey, !["", site].contains(item.fields["idsite"]) {
          // No place that can be read again: there it would be alone, and count for the other site.
          place += ".idsite"
          throw Refusal(.mixedKeys, "the events of a request have one idsite, that of the first")
        }
        events.append(try event(item.fields, key, input, place: place))
      } catch {
        let json = MatomoSecret.removed(fromJSON: item.json)
        rejected.append(
          json.withUnsafeBytes { Rejection(error, index: index, place: place, body: $0) })
      }
    }
    let count = items.count
    return .events(
      events, rejected: rejected, key,
      reply: IngestReply(stored: { answer($0, eventCount: count) }))
  }

  private static func readItems(_ body: UnsafeRawBufferPointer) throws(Refusal) -> [Item] {
    do {
      var items: [Item]?
      var json = JSONScanner(body)
      try json.beginObject()
      while let name = try json.nextKey() {
        guard name == "requests", try json.peek() == .array else {
          try json.skipValue()
          continue
        }
        if items != nil {
          throw Refusal(.malformedJSON, "the body has the member requests once, not again")
        }
        items = try readArray(&json)
      }
      try json.end()
      guard let items else {
        throw Refusal(.malformedJSON, "the body has a member requests, an array of queries")
      }
      return items
    } catch let refusal as Refusal {
      throw refusal
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
  }

  /// At most one item more than a request may have.
  private static func readArray(_ json: inout JSONScanner) throws -> [Item] {
    var items: [Item] = []
    try json.beginArray()
    while try json.nextElement() {
      if items.count > batchEventsMax {
        try json.skipValue()
        continue
      }
      let start = json
      let bytes = try json.skipValue()
      items.append(try item(bytes, start))
    }
    return items
  }

  private static func item(
    _ json: UnsafeRawBufferPointer, _ scanner: JSONScanner
  ) throws(JSONError) -> Item {
    var scanner = scanner
    guard try scanner.peek() == .string else {
      let refusal = Refusal(.wrongFieldType, "an event of requests is a query, a text")
      return Item(fields: TextFields(), refusal: refusal, json: json)
    }
    var query: [UInt8] = []
    try scanner.text().append(to: &query)
    if query.first == UInt8(ascii: "?") { query.removeFirst() }
    return Item(
      fields: query.withUnsafeBytes { TextFields(form: $0) }, refusal: nil, json: json)
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
