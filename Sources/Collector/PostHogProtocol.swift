import Events
import HTTPServer

/// PostHog's capture API, spoken by its SDKs: v0 (`/batch/`, `/e/` and the like) and v1, which answers
/// event by event.
///
/// Source: PostHog's capture service, posthog-js, and requests of unmodified SDKs. The write key is
/// PostHog's project key: `api_key` or `token` in the body or in the query, `properties.token` of the
/// events, or a Bearer key. A request is one event, an array of events, or an object with `batch`; what
/// may be around it says ``PostHogBody``.
///
/// v0's SDKs send a batch again unless the answer is exactly 200, and read nothing of it. v1's take what
/// is refused from the answer and hand it to the program.
enum PostHogProtocol {
  static let name = "posthog"
  static let declaration = IngestProtocol(
    name: name, bodyBytesMax: PostHogBody.bytesMax, endpoints: endpoints,
    answer: { FastResponse(success, extraHeaders: $0.positionHeader) },
    properties: .first([["properties"]]),
    keyAdvice: "as api_key or token in the body or in the query, or by Bearer authorization")

  /// The longest that SDKs send (900 KiB). PostHog takes 2 MB, but a message of the log has at most 1 MiB.
  static let eventBytesMax = 900 * 1024
  /// SDKs send batches of 100; PostHog counts no events but only bytes.
  static let batchEventsMax = 10_000

  static let v0Paths = [
    "/batch", "/e", "/i/v0/e", "/capture", "/track", "/engage", "/i/v0/ai/batch",
  ]
  static let v1Path = "/i/v1/analytics/events"

  private static var endpoints: [IngestEndpoint] {
    var endpoints: [IngestEndpoint] = []
    for slash in ["", "/"] {
      for path in v0Paths.map({ $0 + slash }) {
        // What people's profiles are set with has no name of its own.
        let name = path.hasPrefix("/engage") ? "$identify" : nil
        // Dead letters are read again by the first one of their path, which has to take a body.
        for method in [HTTPMethod.post, .get] {
          endpoints.append(
            IngestEndpoint(method: method, path: path) {
              read($0, Call(path: path, defaultName: name, isV1: false))
            })
        }
      }
      let path = v1Path + slash
      endpoints.append(
        IngestEndpoint(method: .post, path: path) {
          read($0, Call(path: path, defaultName: nil, isV1: true))
        })
    }
    return endpoints
  }

  /// What an address says about the events that come by it.
  private struct Call {
    let path: String
    /// The name of events without one.
    let defaultName: String?
    let isV1: Bool
  }

  private static let success = PreparedResponse(
    status: .ok, headers: [(name: "Content-Type", value: "application/json")],
    body: Array(#"{"status":1}"#.utf8))

  // MARK: Reading

  private static func read(_ input: IngestInput, _ call: Call) -> IngestReading {
    do {
      guard let json = try PostHogBody.unwrapped(input) else {
        return try read(input.body, input, call)
      }
      return try json.withUnsafeBytes { try read($0, input, call) }
    } catch {
      let refusal = (error as? Refusal) ?? Refusal(.malformedJSON, "\(error)")
      guard let name = statedKey(input), let key = input.keys.find(name) else {
        return .problem(code: refusal.code.rawValue, detail: refusal.detail)
      }
      let body = input.body.isEmpty ? input.query : input.body
      return .refused(Rejection(refusal, place: call.path, body: body), key)
    }
  }

  /// The key that a request names outside its body.
  private static func statedKey(_ input: IngestInput) -> String? {
    QueryField.text("api_key", in: input.query) ?? QueryField.text("token", in: input.query)
      ?? WriteKeyName.find(input)
  }

  private static func read(
    _ json: UnsafeRawBufferPointer, _ input: IngestInput, _ call: Call
  ) throws -> IngestReading {
    if let reading = readInOnePass(json, input, call) { return reading }
    let envelope = try PostHogEnvelope(json)
    if envelope.namesManyKeys {
      return .problem(
        code: "many_write_keys",
        detail: "the events of a request have one api_key; send those of another by themselves")
    }
    guard let key = (envelope.key ?? statedKey(input)).flatMap({ input.keys.find($0) }) else {
      return .unknownKey
    }
    let reader = PostHogEvent.Reader(
      key: key, receivedAt: input.receivedAt, sentAt: sentAt(input, envelope.sentAt),
      defaultName: call.defaultName, uniqueID: input.uniqueID)
    guard let list = envelope.list else {
      var scanner = JSONScanner(json)
      do {
        let event = try reader.read(&scanner, in: json, place: call.path)
        return .events([event], rejected: [], key, reply: reply([event.id], call))
      } catch let refusal as Refusal {
        return .refused(Rejection(refusal, place: call.path, body: json), key)
      }
    }
    var scanner = JSONScanner(list)
    return try readList(&scanner, in: list, of: json, reader, key, call, input)
      ?? .problem(
        code: "too_many_events",
        detail: "a batch may have \(batchEventsMax) events; send it in smaller parts")
  }

  /// A batch as most SDKs send it: the key stands in front of the events, and nothing behind them concerns them. So
  /// the events can be read at once, with a check of all the rest behind them.
  ///
  /// - Returns: nil where the request is another one, or something is wrong with it: nothing is said of it then.
  private static func readInOnePass(
    _ json: UnsafeRawBufferPointer, _ input: IngestInput, _ call: Call
  ) -> IngestReading? {
    do {
      var scanner = JSONScanner(json)
      guard try scanner.peek() == .object else { return nil }
      var name: String?
      var reading: IngestReading?
      try scanner.beginObject()
      while let member = try scanner.nextKey() {
        switch member {
        case "api_key" where reading == nil:
          guard try scanner.peek() == .string else { return nil }
          name = try scanner.string()
        case "batch" where reading == nil:
          guard try scanner.peek() == .array, let name, !name.isEmpty,
            let key = input.keys.find(name)
          else { return nil }
          let reader = PostHogEvent.Reader(
            key: key, receivedAt: input.receivedAt, sentAt: sentAt(input, 0),
            defaultName: call.defaultName, uniqueID: input.uniqueID)
          reading = try readList(&scanner, in: json, of: json, reader, key, call, input)
          if reading == nil { return nil }
        case "api_key", "token", "$token", "properties", "sent_at", "batch": return nil
        default: try scanner.skipValue()
        }
      }
      try scanner.end()
      return reading
    } catch {
      return nil
    }
  }

  /// v1 has it in a header, v0 in the body, and posthog-js as `_` in the query, in milliseconds.
  private static func sentAt(_ input: IngestInput, _ stated: Int64) -> Int64 {
    if stated != 0 { return stated }
    if let time = input.header("posthog-request-timestamp").flatMap({ Timestamp.parse($0) }) {
      return time
    }
    // Old SDKs send seconds, which are too coarse to correct a clock by.
    guard let number = QueryField.text("_", in: input.query).flatMap({ Int64($0) }),
      (1_000_000_000_000...Timestamp.max / 1000).contains(number)
    else { return 0 }
    return number * 1000
  }

  /// - Parameters:
  ///   - text: what `json` scans.
  ///   - whole: the request's JSON, in which that is.
  /// - Returns: nil where there are more than ``batchEventsMax``.
  private static func readList(
    _ json: inout JSONScanner, in text: UnsafeRawBufferPointer, of whole: UnsafeRawBufferPointer,
    _ reader: PostHogEvent.Reader, _ key: WriteKey, _ call: Call, _ input: IngestInput
  ) throws -> IngestReading? {
    // The whole ones.
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
    var results: [String] = []
    var templates = EventTemplates(
      key: key, in: whole, eventBytesMax: eventBytesMax, role: PostHogEvent.role)
    var index = 0
    try json.beginArray()
    while try json.nextElement() {
      if index == batchEventsMax { return nil }
      if templates.next(&json, to: &events) {
        if call.isV1 { results.append(templates.lastID(events)) }
        index += 1
        continue
      }
      let start = json
      do {
        let event = try reader.read(
          &json, in: text, place: place(call, index), templates: &templates)
        if call.isV1 { results.append(event.id) }
        events.append(event)
      } catch let refusal as Refusal {
        json = start
        let bytes = try json.skipValue()
        if call.isV1 { results.append(try PostHogEvent.id(of: bytes)) }
        rejected.append(
          Rejection(refusal, index: index, place: place(call, index), body: bytes))
      }
      index += 1
    }
    // What was wrapped is gone when this returns.
    let isBody = whole.baseAddress == input.body.baseAddress
    return .batch(
      templates.rows, events, in: whole, rejected: rejected, key, reply: reply(results, call),
      takesRows: input.takesRows && isBody)
  }

  private static func place(_ call: Call, _ index: Int) -> String {
    "\(call.path) batch[\(index)]"
  }

  // MARK: Answering in v1

  /// - Parameter results: the ids that the client knows the events of a v1 batch by; empty where one has
  ///   none that can be read, and no answer can name it.
  private static func reply(_ results: [String], _ call: Call) -> IngestReply {
    guard call.isV1 else { return IngestReply() }
    let isComplete = !results.contains("")
    return IngestReply(stored: { answer(results, $0) }, namesRefused: isComplete)
  }

  private static let results = PreparedResponse(
    status: .ok, headers: [(name: "Content-Type", value: "application/json")])

  private static func answer(_ all: [String], _ stored: StoredAnswer) -> FastResponse {
    let details = Dictionary(
      stored.rejected.map { ($0.index, $0.message) }, uniquingKeysWith: { first, _ in first })
    var json = JSONWriter(reserving: 32 + 64 * all.count)
    json.beginObject()
    json.key("results")
    json.beginObject()
    for (index, id) in all.enumerated() where !id.isEmpty {
      write(id, details[index], to: &json)
    }
    json.endObject()
    json.endObject()
    return FastResponse(results, extraHeaders: stored.positionHeader, body: json.bytes)
  }

  /// - Parameter details: why it was dropped; nil where it was stored.
  private static func write(_ id: String, _ details: String?, to json: inout JSONWriter) {
    json.key(id)
    json.beginObject()
    json.key("result")
    json.string(details == nil ? "ok" : "drop")
    if let details {
      json.key("details")
      json.string(details)
    }
    json.endObject()
  }
}
