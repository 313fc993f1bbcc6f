import Events
import HTTPServer

/// Snowplow's tracker protocol, spoken by its trackers for browsers, phones and servers.
///
/// Source: the Snowplow documentation ("Tracker Protocol", "Collector") and requests of an unmodified tracker;
/// nothing of Snowplow's collector itself. ``SnowplowEvent`` says what the fields become.
///
/// | address | |
/// |---|---|
/// | `GET /i`, `GET /ice.png` | one event in the query, answered with a GIF |
/// | `POST /com.snowplowanalytics.snowplow/tp2`, `POST /i` | many events as JSON, answered with `ok`; GET is as `/i` |
/// | others (``SnowplowPaths``) | as the one above |
/// | `GET /r/tp2?u=…` | a link that counts a click and leads on to `u` |
///
/// The write key is the app id, `aid`, so that trackers need no other setting than their collector's address;
/// else `k` in the query. All events of a request belong to one key. A batch is accepted event by event: one
/// that is refused goes to the dead letters, and the answer is the same, because trackers do not read it.
///
/// Browsers are known again by a cookie (``SnowplowCookie``), unless the request has `SP-Anonymous: *` or asks
/// not to be tracked where the key honours that.
enum SnowplowProtocol {
  static let name = "snowplow"

  static let declaration = IngestProtocol(
    name: name, bodyBytesMax: batchBytesMax, endpoints: endpoints,
    answer: { FastResponse(PixelProtocol.image, extraHeaders: $0.positionHeader) },
    // The data of the self-describing event, around which is a wrapper that is always the same.
    properties: .first([["ue", "data", "data"]]),
    keyAdvice: "as aid, the tracker's app id, or as k in the query")

  static let batchBytesMax = 1024 * 1024
  /// More events than this in one batch are refused as a whole.
  static let batchEventsMax = 2500

  static let postPath = "/com.snowplowanalytics.snowplow/tp2"

  /// The one that posts stands first among those of its path: dead letters of both ways are read by it.
  private static let endpoints = [
    IngestEndpoint(method: .post, path: postPath) { readBody($0, place: postPath) },
    IngestEndpoint(method: .get, path: postPath, keyField: "aid") {
      readQuery($0, place: postPath)
    },
    // Trackers repeat a 405 for ever, so what they post here by a setting of theirs is taken, too.
    IngestEndpoint(method: .post, path: "/i") { readBody($0, place: "/i") },
    IngestEndpoint(method: .get, path: "/i", keyField: "aid") { readQuery($0, place: "/i") },
    IngestEndpoint(method: .get, path: "/ice.png", keyField: "aid") {
      readQuery($0, place: "/ice.png")
    },
    IngestEndpoint(method: .get, path: "/r/tp2", isLink: true, keyField: "aid") {
      readLink($0, place: "/r/tp2")
    },
  ]

  /// The same as at ``postPath``, in dead letters too.
  static func endpoints(at paths: SnowplowPaths) -> [IngestEndpoint] {
    paths.all.flatMap { path in
      [
        IngestEndpoint(method: .post, path: path) { readBody($0, place: postPath) },
        IngestEndpoint(method: .get, path: path, keyField: "aid") {
          readQuery($0, place: postPath)
        },
      ]
    }
  }

  private static let ok = PreparedResponse(
    status: .ok, headers: [(name: "Content-Type", value: "text/plain")], body: Array("ok".utf8))

  // MARK: Write key and sender

  private static func writeKey(app: String, _ input: IngestInput) -> WriteKey? {
    if !app.isEmpty, let key = input.keys.find(app) { return key }
    return WriteKeyName.find(input).flatMap { input.keys.find($0) }
  }

  private static func sender(_ input: IngestInput) -> SnowplowEvent.Sender {
    if input.header("sp-anonymous") != nil { return SnowplowEvent.Sender(isAnonymous: true) }
    return SnowplowEvent.Sender(networkID: SnowplowCookie.id(in: input.header("cookie")))
  }

  private static func reader(_ key: WriteKey, _ input: IngestInput) -> SnowplowEvent {
    SnowplowEvent(
      key: key, receivedAt: input.receivedAt, sender: sender(input), uniqueID: input.uniqueID)
  }

  /// The header line that gives a browser its cookie, or keeps it; empty for those who ask for none.
  private static func cookie(_ key: WriteKey, _ input: IngestInput) -> [UInt8] {
    let sender = sender(input)
    if sender.isAnonymous
      || key.policy.honoursDoNotTrack && input.header("dnt") == "1"
      || key.policy.honoursGlobalPrivacyControl && input.header("sec-gpc") == "1"
    {
      return []
    }
    return SnowplowCookie.line(
      sender.networkID ?? SnowplowCookie.newID(input.uniqueID()),
      isSecure: input.isSecure)
  }

  private static func reply(_ response: PreparedResponse, cookie: [UInt8]) -> IngestReply {
    IngestReply(stored: { FastResponse(response, extraHeaders: $0.positionHeader + cookie) })
  }

  // MARK: One event

  private static func readQuery(_ input: IngestInput, place: String) -> IngestReading {
    readFields(input.query, input, place: place, answer: PixelProtocol.image)
  }

  private static func readFields(
    _ form: UnsafeRawBufferPointer, _ input: IngestInput, place: String, answer: PreparedResponse
  ) -> IngestReading {
    let fields = TextFields(form: form)
    guard let key = writeKey(app: fields["aid"], input) else { return .unknownKey }
    do {
      let event = try reader(key, input).event(fields, place: place)
      return .events([event], rejected: [], key, reply: reply(answer, cookie: cookie(key, input)))
    } catch {
      return .refused(Rejection(error, place: place, body: form), key)
    }
  }

  /// The reader of a link arrives, whatever is wrong with the event; but only where the link may lead.
  private static func readLink(_ input: IngestInput, place: String) -> IngestReading {
    let fields = TextFields(form: input.query)
    guard let destination = RedirectDestination(fields["u"]) else {
      return .problem(
        code: "bad_destination",
        detail: "u is the address that the link leads to: http or https, with a host and no user "
          + "name, percent-encoded.")
    }
    guard
      input.redirects.allows(host: destination.host)
        || input.redirects.isSigned(destination.address, fields["aid"], fields["sig"])
    else {
      return .problem(
        code: "destination_not_allowed",
        detail: "This link may not lead there: list the host, or sign the address as sig.")
    }
    let onward = PreparedResponse(
      status: .found,
      headers: [
        (name: "Location", value: destination.location), (name: "Cache-Control", value: "no-store"),
      ])
    guard let key = writeKey(app: fields["aid"], input) else {
      return .unknownKeyOnLink(FastResponse(onward))
    }
    let cookie = cookie(key, input)
    var reply = reply(onward, cookie: cookie)
    reply.unavailable = FastResponse(onward, extraHeaders: cookie)
    do {
      let event = try reader(key, input).event(
        fields, place: place, click: SnowplowEvent.Click(destination: destination.address))
      return .events([event], rejected: [], key, reply: reply)
    } catch {
      let rejection = Rejection(error, place: place, body: input.query)
      return .events([], rejected: [rejection], key, reply: reply)
    }
  }

  // MARK: Many events

  private static let form = FieldBatch.Form(
    member: "data", elements: "events", keyField: "aid", keyName: "app id",
    countMax: batchEventsMax, read: { json in try TextFields(object: &json) })

  private static func readBody(_ input: IngestInput, place: String) -> IngestReading {
    // The dead letter of a query is read here, too.
    guard isJSON(input.body) else {
      return readFields(input.body, input, place: place, answer: ok)
    }
    let batch: FieldBatch
    do {
      batch = try FieldBatch(input.body, form)
    } catch {
      // An app id may stand in what cannot be read.
      guard let key = writeKey(app: "", input) else {
        return .problem(code: error.code.rawValue, detail: error.detail)
      }
      return .refused(Rejection(error, place: place, body: input.body), key)
    }
    if let problem = batch.tooMany { return problem }
    let app = batch.keyName
    guard let key = writeKey(app: app, input) else { return .unknownKey }
    let reader = reader(key, input)
    let (events, rejected) = batch.read(
      place: place, isKey: input.keys.find(app) != nil,
      event: { (fields, place) throws(Refusal) in try reader.event(fields, place: place) })
    return .events(
      events, rejected: rejected, key, reply: reply(ok, cookie: cookie(key, input)))
  }

  private static func isJSON(_ body: UnsafeRawBufferPointer) -> Bool {
    let first = body.first { $0 != 0x20 && $0 != 0x09 && $0 != 0x0a && $0 != 0x0d }
    return first.map { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") } ?? true
  }
}
