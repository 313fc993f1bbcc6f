import Events
import HTTPServer

/// The Segment HTTP tracking API, spoken by the Segment and RudderStack SDKs.
///
/// Source: the Segment documentation ("HTTP Tracking API") and requests of unmodified SDKs. The
/// write key comes by Basic authorization or as `writeKey` in the body. A batch has at most 500 KB
/// and an event 32 KB. A batch is accepted event by event: one that is refused goes to the dead
/// letters and is named in the answer, which is 200 all the same, because clients send a batch
/// again as a whole or drop it as a whole.
enum SegmentProtocol {
  static let declaration = IngestProtocol(
    name: "segment", bodyBytesMax: batchBytesMax,
    endpoints: endpoints, answer: answer)

  static let batchBytesMax = 500 * 1024
  static let eventBytesMax = 32 * 1024
  /// More events than this in one batch are refused as a whole (Segment's own limit).
  static let batchEventsMax = 2500
  /// An answer names at most this many refused events; all of them are dead letters.
  private static let namedRejectionsMax = 100

  private static var endpoints: [IngestEndpoint] {
    var endpoints: [IngestEndpoint] = []
    for slash in ["", "/"] {
      let batch = "/v1/batch" + slash
      endpoints.append(
        IngestEndpoint(method: .post, path: batch) { readBatch($0, place: batch) })
      for type in SegmentEvent.CallType.allCases {
        let path = "/v1/\(type.rawValue)" + slash
        endpoints.append(
          IngestEndpoint(method: .post, path: path) { readCall($0, type: type, place: path) })
      }
    }
    return endpoints
  }

  // MARK: Reading

  /// The members of a request's outermost object that concern all its events.
  private struct Envelope {
    var batch: UnsafeRawBufferPointer?
    var batchIsArray = false
    var writeKey: String?
    var sentAt: Int64 = 0
  }

  private static func envelope(_ body: UnsafeRawBufferPointer) throws(JSONError) -> Envelope {
    var envelope = Envelope()
    var json = JSONScanner(body)
    try json.beginObject()
    while let name = try json.nextKey() {
      let type = try json.peek()
      switch name {
      case "batch":
        envelope.batchIsArray = type == .array
        envelope.batch = try json.skipValue()
      case "writeKey" where type == .string: envelope.writeKey = try json.string()
      case "sentAt" where type == .string:
        envelope.sentAt = Timestamp.parse(try json.string()) ?? 0
      default: try json.skipValue()
      }
    }
    try json.end()
    return envelope
  }

  private static func key(_ input: IngestInput, _ envelope: Envelope?) -> WriteKey? {
    if let name = BasicAuthorization.writeKey(input.header("authorization")), !name.isEmpty {
      return input.keys.find(name)
    }
    return envelope?.writeKey.flatMap { input.keys.find($0) }
  }

  /// A body that is not JSON: a dead letter where the header tells whose it is.
  private static func malformed(
    _ error: JSONError, _ input: IngestInput, place: String
  ) -> IngestReading {
    let refusal = Refusal(.malformedJSON, "\(error)")
    guard let field = input.header("authorization"), BasicAuthorization.writeKey(field) != nil
    else { return .problem(code: refusal.code.rawValue, detail: refusal.detail) }
    guard let key = key(input, nil) else { return .unknownKey }
    return .refused(Rejection(refusal, place: place, body: input.body), key)
  }

  private static func readCall(
    _ input: IngestInput, type: SegmentEvent.CallType, place: String
  ) -> IngestReading {
    let envelope: Envelope
    do { envelope = try Self.envelope(input.body) } catch {
      return malformed(error, input, place: place)
    }
    guard let key = key(input, envelope) else { return .unknownKey }
    let reader = SegmentEvent.Reader(
      key: key, receivedAt: input.receivedAt, sentAt: envelope.sentAt)
    do throws(Refusal) {
      var json = JSONScanner(input.body)
      return .events([try reader.read(&json, type: type, place: place)], rejected: [], key)
    } catch {
      return .refused(Rejection(error, place: place, body: input.body), key)
    }
  }

  private static func readBatch(_ input: IngestInput, place: String) -> IngestReading {
    let envelope: Envelope
    do { envelope = try Self.envelope(input.body) } catch {
      return malformed(error, input, place: place)
    }
    guard let key = key(input, envelope) else { return .unknownKey }
    guard let batch = envelope.batch, envelope.batchIsArray else {
      let refusal = Refusal(.malformedJSON, "the body has a member batch, an array of events")
      return .refused(Rejection(refusal, place: place, body: input.body), key)
    }
    let reader = SegmentEvent.Reader(
      key: key, receivedAt: input.receivedAt, sentAt: envelope.sentAt)
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
    do {
      var json = JSONScanner(batch)
      try json.beginArray()
      var index = 0
      while try json.nextElement() {
        if index == batchEventsMax {
          return .problem(
            code: "too_many_events",
            detail: "a batch may have \(batchEventsMax) events; send it in smaller parts")
        }
        _ = try json.peek()  // Over the white space, to the first byte of the event.
        let start = json
        do throws(Refusal) {
          // The identity of an event without an id tells equal events of one batch apart.
          events.append(try reader.read(&json, type: nil, place: "\(place)[\(index)]"))
        } catch {
          json = start
          rejected.append(
            Rejection(
              error, index: index, place: "\(place) batch[\(index)]", body: try json.skipValue()))
        }
        index += 1
      }
    } catch {
      // The envelope has checked all of the body already.
      preconditionFailure("a JSON text was valid and is not any more")
    }
    return .events(events, rejected: rejected, key)
  }

  // MARK: Answering

  private static let success = PreparedResponse(
    status: .ok, headers: [(name: "Content-Type", value: "application/json")])

  private static func answer(_ stored: StoredAnswer) -> FastResponse {
    var json = JSONWriter(reserving: 96)
    json.beginObject()
    json.key("success")
    json.bool(true)
    json.key("position")
    json.string(stored.position)
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
