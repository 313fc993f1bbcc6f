import Events
import HTTPServer

/// Google Analytics 4's Measurement Protocol: `POST /mp/collect?measurement_id=…&api_secret=…`.
///
/// Source: developers.google.com, "Measurement Protocol (Google Analytics 4)". The write key is the
/// `measurement_id` (or `firebase_app_id`); the secret is not asked for. Google answers every request
/// 2xx and drops what it does not like; here a refused event goes to the dead letters, a request of
/// which nothing can be used gets a 400, and one that cannot be stored now a 503.
///
/// `/debug/mp/collect` takes the same requests, stores nothing, and says what would be wrong with them.
enum GA4Protocol {
  static let name = "ga4"
  static let declaration = IngestProtocol(
    name: name, bodyBytesMax: 130 * 1024,
    endpoints: [
      IngestEndpoint(method: .post, path: "/mp/collect", keyField: "measurement_id") {
        collect($0)
      },
      IngestEndpoint(method: .post, path: "/debug/mp/collect", keyField: "measurement_id") {
        debug($0)
      },
    ],
    answer: { FastResponse(success, extraHeaders: $0.positionHeader) },
    requestAgain: requestAgain, properties: .first([["events", "0", "params"]]),
    keyAdvice: "as measurement_id or firebase_app_id in the query")

  static let eventsMax = 25
  private static let path = "/mp/collect"

  private static let success = PreparedResponse(status: .ok)

  // MARK: Reading

  private struct Reading {
    var events: [IncomingEvent] = []
    var rejected: [Rejection] = []
  }

  private static func writeKey(_ input: IngestInput) -> WriteKey? {
    let name =
      QueryField.text("measurement_id", in: input.query)
      ?? QueryField.text("firebase_app_id", in: input.query) ?? WriteKeyName.find(input)
    return name.flatMap { input.keys.find($0) }
  }

  private static func collect(_ input: IngestInput) -> IngestReading {
    guard let key = writeKey(input) else { return .unknownKey }
    do {
      guard let reading = try read(input, key) else {
        return .problem(code: "too_many_events", detail: tooManyEvents)
      }
      return .events(reading.events, rejected: reading.rejected, key)
    } catch {
      return .refused(Rejection(refusal(error), place: path, body: input.body), key)
    }
  }

  private static let tooManyEvents =
    "a request may have \(eventsMax) events; send it in smaller parts"

  /// What was thrown while a request was read, as a refusal.
  private static func refusal(_ error: any Error) -> Refusal {
    (error as? Refusal) ?? Refusal(.malformedJSON, "\(error)")
  }

  /// - Returns: nil where there are more than ``eventsMax``.
  /// - Throws: ``Refusal`` of the request as a whole; ``JSONError``.
  private static func read(_ input: IngestInput, _ key: WriteKey) throws -> Reading? {
    let request = try GA4Request(input.body)
    var reading = Reading()
    var json = JSONScanner(request.events)
    var index = 0
    try json.beginArray()
    while try json.nextElement() {
      if index == eventsMax { return nil }
      var ahead = json
      let bytes = try json.skipValue()
      do {
        let event = try GA4Event(&ahead, key.mapping)
        reading.events.append(
          try event.event(bytes, request, key, input, place: "\(path)[\(index)]"))
      } catch let refusal as Refusal {
        // With the request's members, which the event needs to be read again.
        reading.rejected.append(
          request.alone(bytes).withUnsafeBytes {
            Rejection(refusal, index: index, place: "\(path) events[\(index)]", body: $0)
          })
      }
      index += 1
    }
    return reading
  }

  /// - Parameter alone: what ``GA4Request/alone(_:)`` made of an event.
  private static func requestAgain(_ place: BatchPlace, _ alone: [UInt8]) -> [UInt8]? {
    alone.withUnsafeBytes { bytes in
      do {
        let request = try GA4Request(bytes)
        var json = JSONScanner(request.events)
        try json.beginArray()
        guard try json.nextElement() else { return nil }
        return request.with(events: place.list(Array(try json.skipValue())))
      } catch {
        return nil
      }
    }
  }

  // MARK: Validating

  private static let report = PreparedResponse(
    status: .ok, headers: [(name: "Content-Type", value: "application/json")])

  private static func debug(_ input: IngestInput) -> IngestReading {
    guard let key = writeKey(input) else { return .unknownKey }
    var messages: [Message] = []
    do {
      if let reading = try read(input, key) {
        messages = reading.rejected.map {
          Message(field: "events[\($0.index)]", code: $0.code, text: $0.detail)
        }
      } else {
        messages = [Message(field: "events", code: .eventTooLarge, text: tooManyEvents)]
      }
    } catch {
      let refusal = refusal(error)
      messages = [Message(field: "", code: refusal.code, text: refusal.detail)]
    }
    let body = json(messages)
    return .events(
      [], rejected: [], key, reply: IngestReply(stored: { _ in FastResponse(report, body: body) }))
  }

  private struct Message {
    /// Where in the request; empty for all of it.
    let field: String
    let code: RejectionCode
    let text: String

    /// The reason in Google's terms.
    var googleCode: String {
      switch code {
      case .noEventName, .noIdentity: "VALUE_REQUIRED"
      case .textTooLong: "VALUE_OUT_OF_BOUNDS"
      case .eventTooLarge: "EXCEEDED_MAX_ENTITIES"
      default: "VALUE_INVALID"
      }
    }
  }

  private static func json(_ messages: [Message]) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("validationMessages")
    json.beginArray()
    for message in messages {
      json.beginObject()
      json.key("fieldPath")
      json.string(message.field)
      json.key("description")
      json.string(message.text)
      json.key("validationCode")
      json.string(message.googleCode)
      json.endObject()
    }
    json.endArray()
    json.endObject()
    return json.bytes
  }
}
