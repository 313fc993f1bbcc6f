import Events
import HTTPServer

/// CloudEvents 1.0 over HTTP: `POST /v1/cloudevents`, or `/ce`.
///
/// Source: the HTTP protocol binding and the JSON event format of CloudEvents 1.0.2, and requests of
/// the unmodified SDK for Python. The write key comes by Basic or Bearer authorization or as `?k=`.
///
/// | `Content-Type` | mode |
/// |---|---|
/// | `application/cloudevents+json` | structured: the body is one event |
/// | `application/cloudevents-batch+json` | batch: an array of events, also none |
/// | any, with `ce-id` or `ce-specversion` | binary: attributes are header fields, the body is the data |
/// | JSON or none | structured or batch, as the body begins |
///
/// Whatever the mode, an event is kept, and where it is refused sent again, in its structured form
/// (``CloudEventsBinary``). A batch is accepted event by event, as Segment's.
enum CloudEventsProtocol {
  static let declaration = IngestProtocol(
    name: "cloudevents", bodyBytesMax: bodyBytesMax,
    endpoints: ["/v1/cloudevents", "/ce"].map { path in
      IngestEndpoint(method: .post, path: path) { read($0, place: path) }
    },
    answer: SegmentProtocol.answer, properties: .first([["data"]]))

  static let bodyBytesMax = 1024 * 1024
  /// What every CloudEvents consumer should accept (specification, "Size Limits"), in structured form.
  static let eventBytesMax = 64 * 1024
  static let eventsMax = 2500

  private enum Mode {
    case binary, structured, batch
  }

  private static func read(_ input: IngestInput, place: String) -> IngestReading {
    guard let key = WriteKeyName.find(input).flatMap({ input.keys.find($0) }) else {
      return .unknownKey
    }
    switch mode(of: input) {
    case .binary:
      let event = CloudEventsBinary(input)
      return event.json.withUnsafeBytes { json in
        if let refusal = event.refusal {
          return .refused(Rejection(refusal, place: place, body: json), key)
        }
        return readOne(json, key, receivedAt: input.receivedAt, place: place)
      }
    case .structured: return readOne(input.body, key, receivedAt: input.receivedAt, place: place)
    case .batch: return readBatch(input, key, place: place)
    case nil:
      return .problem(
        code: "no_cloudevent",
        detail: "An event comes as application/cloudevents+json, several as "
          + "application/cloudevents-batch+json, and one of any other type with the fields "
          + "ce-specversion, ce-id, ce-source and ce-type.")
    }
  }

  private static func mode(of input: IngestInput) -> Mode? {
    let type = MediaType(input.header("content-type") ?? "")
    switch type.text {
    case "application/cloudevents+json": return .structured
    case "application/cloudevents-batch+json": return .batch
    case _ where type.text.hasPrefix("application/cloudevents"): return nil
    default: break
    }
    if input.header("ce-specversion") != nil || input.header("ce-id") != nil { return .binary }
    guard type.isJSON || type.text.isEmpty else { return nil }
    let first = input.body.first { !" \t\r\n".utf8.contains($0) }
    return first == UInt8(ascii: "[") ? .batch : .structured
  }

  private static func readOne(
    _ body: UnsafeRawBufferPointer, _ key: WriteKey, receivedAt: Int64, place: String
  ) -> IngestReading {
    do {
      var json = JSONScanner(body)
      let event = try CloudEventsEvent(key).read(&json, in: body, receivedAt: receivedAt)
      try json.end()
      return .events([event], rejected: [], key)
    } catch let refusal as Refusal {
      return .refused(Rejection(refusal, place: place, body: body), key)
    } catch {
      let refusal = Refusal(.malformedJSON, "\(error)")
      return .refused(Rejection(refusal, place: place, body: body), key)
    }
  }

  private static func readBatch(
    _ input: IngestInput, _ key: WriteKey, place: String
  ) -> IngestReading {
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
    var index = 0
    var json = JSONScanner(input.body)
    do {
      try json.beginArray()
      while try json.nextElement() {
        if index == eventsMax {
          return .problem(
            code: "too_many_events",
            detail: "a batch may have \(eventsMax) events; send it in smaller parts")
        }
        let start = json
        do {
          events.append(
            try CloudEventsEvent(key).read(&json, in: input.body, receivedAt: input.receivedAt))
        } catch let refusal as Refusal {
          json = start
          // Its place is that of a single event: it has its own id, so where it stood tells nothing.
          rejected.append(
            Rejection(refusal, index: index, place: place, body: try json.skipValue()))
        }
        index += 1
      }
      try json.end()
    } catch {
      let refusal = Refusal(.malformedJSON, "\(error)")
      return .refused(Rejection(refusal, place: place, body: input.body), key)
    }
    return .events(events, rejected: rejected, key)
  }
}

/// A media type without its parameters (RFC 9110 section 8.3.1).
struct MediaType {
  /// In lower case.
  let text: String

  init(_ field: String) {
    let type = field.prefix { $0 != ";" }.lowercased()
    text = String(type.filter { $0 != " " && $0 != "\t" })
  }

  /// As the JSON format of CloudEvents tells it: `*/json` or `*/*+json`.
  var isJSON: Bool { text.hasSuffix("/json") || text.hasSuffix("+json") }
}
