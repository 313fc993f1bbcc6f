import Events
import HTTPServer

/// Our own way in for events in JSON: `POST /v1/e`, as `navigator.sendBeacon` sends them, in
/// `text/plain` so that no browser asks beforehand.
///
///     {"k":KEY,"s":1767225600000,"e":[{"t":"click","cnt":"post-1","aid":"a1","eid":"e1","ts":…}, …]}
///
/// | member | meaning |
/// |---|---|
/// | `k` | write key; also by `?k=` or Basic or Bearer authorization |
/// | `s` | the client's clock when it sends, in milliseconds since the epoch |
/// | `e` | the events: ``PixelFields``, each a text, a number or null; `batch` is another name of it |
///
/// Where the key is not in the body, the body may also be the array of events, or one event.
///
/// Other members of an event are kept with it. An event without `eid` is told from others by its
/// bytes and place where it has `ts`, so that a copy is recognised; else each is one of its own. An
/// event that is refused goes to the dead letters and is named in the answer, which is 200 all the same.
enum BeaconProtocol {
  static let declaration = IngestProtocol(
    name: "beacon", bodyBytesMax: bodyBytesMax,
    endpoints: [IngestEndpoint(method: .post, path: place, read: read)],
    answer: SegmentProtocol.answer,
    keyAdvice: "as k in the body or in the query, or by Basic or Bearer authorization")

  /// Browsers send 64 KiB by a beacon; other clients may have gathered more.
  static let bodyBytesMax = 256 * 1024
  /// As many bytes as a dead letter keeps.
  static let eventBytesMax = 32 * 1024
  static let eventsMax = 1000

  static let place = "/v1/e"

  static func read(_ input: IngestInput) -> IngestReading {
    let name: String?
    do {
      // Events need the key, which may come behind them.
      name = try WriteKeyName.find(input) ?? keyName(in: input.body)
    } catch {
      return .problem(code: RejectionCode.malformedJSON.rawValue, detail: "\(error)")
    }
    guard let key = name.flatMap({ input.keys.find($0) }) else { return .unknownKey }
    do {
      return try readEvents(input, key)
    } catch let refusal as Refusal {
      return .refused(Rejection(refusal, place: place, body: input.body), key)
    } catch {
      let refusal = Refusal(.malformedJSON, "\(error)")
      return .refused(Rejection(refusal, place: place, body: input.body), key)
    }
  }

  private static func keyName(in body: UnsafeRawBufferPointer) throws(JSONError) -> String? {
    var json = JSONScanner(body)
    if try json.peek() == .array {
      try json.skipValue()
      try json.end()
      return nil
    }
    try json.beginObject()
    while let name = try json.nextKey() {
      if name == "k", try json.peek() == .string { return try json.string() }
      try json.skipValue()
    }
    return nil
  }

  private static func readEvents(_ input: IngestInput, _ key: WriteKey) throws -> IngestReading {
    var batch: Batch?
    var sentAt: Int64 = 0
    var json = JSONScanner(input.body)
    if try json.peek() == .array || isOneEvent(json) {
      let isArray = try json.peek() == .array
      guard let batch = try isArray ? readBatch(&json, input, key) : readOne(&json, input, key)
      else { return tooMany }
      try json.end()
      return .events(batch.events, rejected: batch.rejected, key)
    }
    try json.beginObject()
    while let name = try json.nextKey() {
      switch name {
      case "e", "batch":
        guard batch == nil, try json.peek() == .array else {
          throw Refusal(.malformedJSON, "the body has the member e once, an array of events")
        }
        batch = try readBatch(&json, input, key)
        if batch == nil { return tooMany }
      case "s":
        let text = try FieldText.scalar(&json, "s") ?? ""
        sentAt = try PixelFields.time(text, "s") ?? 0
      default: try json.skipValue()
      }
    }
    try json.end()
    guard var batch else {
      throw Refusal(
        .malformedJSON,
        "the body has a member e, an array of events; or it is an array or an event itself, and the key k is in"
          + " the query")
    }
    for index in batch.events.indices { batch.events[index].sentAt = sentAt }
    return .events(batch.events, rejected: batch.rejected, key)
  }

  private struct Batch {
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
  }

  private static let tooMany = IngestReading.problem(
    code: "too_many_events",
    detail: "a body may have \(eventsMax) events; send it in smaller parts")

  /// Whether an object has something and nothing that only stands around events.
  private static func isOneEvent(_ json: JSONScanner) throws(JSONError) -> Bool {
    var json = json
    var isEmpty = true
    try json.beginObject()
    while let name = try json.nextKey() {
      if name == "k" || name == "e" || name == "batch" || name == "events" { return false }
      if !(name == "s") { isEmpty = false }
      try json.skipValue()
    }
    return !isEmpty
  }

  private static func readOne(
    _ json: inout JSONScanner, _ input: IngestInput, _ key: WriteKey
  ) throws -> Batch? {
    let place = "\(place) batch[0]"
    let start = json
    do {
      return Batch(events: [try readEvent(&json, input, key, place: place)])
    } catch let refusal as Refusal {
      json = start
      return Batch(rejected: [Rejection(refusal, place: place, body: try json.skipValue())])
    }
  }

  /// - Returns: nil where there are more than ``eventsMax``.
  private static func readBatch(
    _ json: inout JSONScanner, _ input: IngestInput, _ key: WriteKey
  ) throws -> Batch? {
    var batch = Batch()
    var index = 0
    try json.beginArray()
    while try json.nextElement() {
      if index == eventsMax { return nil }
      let start = json
      let place = "\(place) batch[\(index)]"
      do {
        batch.events.append(try readEvent(&json, input, key, place: place))
      } catch let refusal as Refusal {
        json = start
        let bytes = try json.skipValue()
        batch.rejected.append(Rejection(refusal, index: index, place: place, body: bytes))
      }
      index += 1
    }
    return batch
  }

  private static func readEvent(
    _ json: inout JSONScanner, _ input: IngestInput, _ key: WriteKey, place: String
  ) throws -> IncomingEvent {
    guard try json.peek() == .object else {
      throw Refusal(.notAnObject, "an event is a JSON object")
    }
    let start = json.offset  // `peek` has passed over the white space.
    var fields = PixelFields()
    try json.beginObject()
    while let name = try json.nextKey() {
      guard let field = PixelFields.Name(name.string) else {
        try json.skipValue()
        continue
      }
      let isText = try json.peek() == .string
      if field.isOfAnyLength && isText || field == .url {
        fields.set(field, try FieldText.lenient(&json))
      } else {
        fields.set(field, try FieldText.scalar(&json, name.string) ?? "")
      }
    }
    let bytes = UnsafeRawBufferPointer(rebasing: input.body[start..<json.offset])
    guard bytes.count <= eventBytesMax else {
      throw Refusal(.eventTooLarge, "an event may have \(eventBytesMax) bytes")
    }
    return try fields.event(
      protocolName: "beacon", key: key, receivedAt: input.receivedAt, payload: Array(bytes),
      fallbackID: { () throws(Refusal) in
        fields.time.isEmpty ? input.uniqueID() : DerivedID.hash(key: key, place: place, bytes)
      })
  }
}
