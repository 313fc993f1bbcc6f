import Events
import HTTPServer

/// The Segment HTTP tracking API, spoken by the Segment and RudderStack SDKs.
///
/// Source: the Segment documentation ("HTTP Tracking API") and requests of unmodified SDKs. The
/// write key comes by Basic authorization or as `writeKey` in the body or in the query. An event has at most
/// 32 KB. A batch is accepted event by event: one that is refused goes to the dead letters and is named in the
/// answer, which is 200 all the same, because clients send a batch again as a whole or drop it as a whole.
/// Images are ``SegmentPixel``.
enum SegmentProtocol {
  static let declaration = IngestProtocol(
    name: "segment", bodyBytesMax: batchBytesMax,
    endpoints: endpoints, answer: answer, properties: .first([["properties"], ["traits"]]),
    keyAdvice:
      "by Basic authorization as the user's name, as writeKey in the body or in the query, or by"
      + " Bearer authorization")

  /// Segment's SDKs end a batch at 475 KB and RudderStack's at 4 MiB, with the event that exceeds it; a batch that
  /// is refused for its length is lost.
  static let batchBytesMax = 5 * 1024 * 1024
  static let eventBytesMax = 32 * 1024
  /// More events than this in one batch are refused as a whole (Segment's own limit).
  static let batchEventsMax = 2500
  /// An answer names at most this many refused events; all of them are dead letters.
  private static let namedRejectionsMax = 100

  static let keyField: StaticString = "writeKey"

  private static var endpoints: [IngestEndpoint] {
    var endpoints: [IngestEndpoint] = []
    for slash in ["", "/"] {
      // RudderStack's SDK for browsers has one of its own for beacons.
      for path in ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"].map({ $0 + slash }) {
        endpoints.append(
          IngestEndpoint(method: .post, path: path, keyField: keyField) {
            readBatch($0, place: path)
          })
      }
      for type in SegmentEvent.CallType.allCases {
        // analytics.js calls them by their first letters.
        for name in [type.rawValue, String(type.rawValue.prefix(1))] {
          let path = "/v1/\(name)" + slash
          endpoints.append(
            IngestEndpoint(method: .post, path: path, keyField: keyField) {
              readCall($0, type: type, place: path)
            })
        }
      }
    }
    return endpoints + SegmentPixel.endpoints
  }

  // MARK: Reading

  /// Finds the write key and hands the body over to `read`, which throws where it is not JSON.
  private static func keyed(
    _ input: IngestInput, place: String, read: (WriteKey) throws -> IngestReading
  ) -> IngestReading {
    let field = input.header("authorization")
    var key = field.flatMap { input.keys.find(authorization: $0) }
    if key == nil {
      var name: String?
      if let stated = BasicAuthorization.writeKey(field), !stated.isEmpty {
        name = stated
      } else {
        // The key may come last in the body, and the events' identity needs it first. Beside a key in
        // the body, a bearer token is one of OAuth and none of ours.
        do {
          name = try writeKey(in: input.body) ?? WriteKeyName.find(input, field: keyField)
        } catch {
          return .problem(code: RejectionCode.malformedJSON.rawValue, detail: "\(error)")
        }
      }
      key = name.flatMap { input.keys.find($0) }
    }
    guard let key else { return .unknownKey }
    do {
      return try read(key)
    } catch let refusal as Refusal {
      return .refused(Rejection(refusal, place: place, body: input.body), key)
    } catch {
      let refusal = Refusal(.malformedJSON, "\(error)")
      return .refused(Rejection(refusal, place: place, body: input.body), key)
    }
  }

  private static func writeKey(in body: UnsafeRawBufferPointer) throws(JSONError) -> String? {
    var key: String?
    var json = JSONScanner(body)
    try json.beginObject()
    while let name = try json.nextKey() {
      if name == "writeKey", try json.peek() == .string {
        key = try json.string()
      } else {
        try json.skipValue()
      }
    }
    try json.end()
    return key
  }

  static func readCall(
    _ input: IngestInput, type: SegmentEvent.CallType, place: String
  ) -> IngestReading {
    keyed(input, place: place) { key in
      let reader = SegmentEvent.Reader(key: key, receivedAt: input.receivedAt)
      var json = JSONScanner(input.body)
      do {
        let event = try reader.read(&json, in: input.body, type: type, place: place, index: nil)
        try json.end()
        return .events([event], rejected: [], key)
      } catch let refusal as Refusal {
        // What is not JSON at all is that first, whatever else is wrong with it.
        var whole = JSONScanner(input.body)
        try whole.skipValue()
        try whole.end()
        throw refusal
      }
    }
  }

  private static func readBatch(_ input: IngestInput, place: String) -> IngestReading {
    keyed(input, place: place) { key in
      var batch: Batch?
      var sentAt: Int64 = 0
      var json = JSONScanner(input.body)
      try json.beginObject()
      while let name = try json.nextKey() {
        let type = try json.peek()
        switch name {
        case "batch" where type == .array:
          if batch != nil {
            throw Refusal(.malformedJSON, "the body has the member batch once, not again")
          }
          batch = try readEvents(&json, input, key, place: place)
          if batch == nil {
            return .problem(
              code: "too_many_events",
              detail: "a batch may have \(batchEventsMax) events; send it in smaller parts")
          }
        case "sentAt" where type == .string:
          sentAt = Timestamp.parse(try json.string()) ?? 0
        default: try json.skipValue()
        }
      }
      try json.end()
      guard var batch else {
        throw Refusal(.malformedJSON, "the body has a member batch, an array of events")
      }
      if sentAt != 0 {
        for index in batch.events.indices where batch.events[index].sentAt == 0 {
          batch.events[index].sentAt = sentAt
        }
      }
      return .batch(
        batch.rows, batch.events, in: input.body, rejected: batch.rejected, key,
        reply: IngestReply(templates: batch.templates), takesRows: input.takesRows)
    }
  }

  private struct Batch {
    /// The whole ones.
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
    var rows = EventRows()
    var templates: [EventTemplates.Template] = []
  }

  /// - Returns: nil where there are more than ``batchEventsMax``.
  private static func readEvents(
    _ json: inout JSONScanner, _ input: IngestInput, _ key: WriteKey, place: String
  ) throws -> Batch? {
    let reader = SegmentEvent.Reader(key: key, receivedAt: input.receivedAt)
    var templates = EventTemplates(
      key: key, in: input.body, eventBytesMax: eventBytesMax,
      kept: input.keptTemplates?.take(key) ?? [], receivedAt: input.receivedAt,
      role: SegmentEvent.role)
    var batch = Batch()
    var index = 0
    try json.beginArray()
    while try json.nextElement() {
      if index == batchEventsMax { return nil }
      if templates.next(&json, to: &batch.events) {
        index += 1
        continue
      }
      let start = json
      do {
        batch.events.append(
          try reader.read(
            &json, in: input.body, type: nil, place: place, index: index, templates: &templates))
      } catch let refusal as Refusal {
        json = start
        let bytes = try json.skipValue()
        batch.rejected.append(
          Rejection(refusal, index: index, place: "\(place) batch[\(index)]", body: bytes))
      }
      index += 1
    }
    batch.rows = templates.rows
    if input.keptTemplates != nil { batch.templates = templates.end() }
    return batch
  }

  // MARK: Answering

  private static let success = PreparedResponse(
    status: .ok, headers: [(name: "Content-Type", value: "application/json")])

  static func answer(_ stored: StoredAnswer) -> FastResponse {
    var json = JSONWriter(reserving: 96)
    json.beginObject()
    json.key("success")
    json.bool(true)
    if let position = stored.position {
      json.key("position")
      json.string(position)
    } else {
      json.key("spooled")
      json.bool(true)
    }
    if !stored.rejected.isEmpty {
      json.key("rejected")
      json.beginArray()
      for event in stored.rejected.prefix(namedRejectionsMax) {
        json.beginObject()
        json.key("index")
        json.integer(event.index)
        json.key("code")
        json.string(event.code)
        json.key("message")
        json.string(event.message)
        json.endObject()
      }
      json.endArray()
      json.key("rejected_count")
      json.integer(stored.rejected.count)
    }
    json.endObject()
    return FastResponse(success, extraHeaders: stored.positionHeader, body: json.bytes)
  }
}
