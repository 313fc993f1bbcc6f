import Events
import HTTPClient

/// One HTTP request of the demo, ready to be sent.
struct DemoRequest: Sendable {
  enum Expectation: Sendable {
    /// To be sent until it is acknowledged; its events are then part of the truth.
    case accepted
    /// A copy of one that was sent before, as an SDK's retry; adds nothing to the truth.
    case duplicate
    /// Refused as a whole; adds nothing to the truth and is sent once.
    case refused
  }

  var method: String
  /// Path and query, from the slash.
  var target: String
  var headers: [HTTPHeader]
  var body: [UInt8]
  var expectation: Expectation
  /// The well-formed events in it.
  var events: [DemoEvent]
  /// Events in it that can't be accepted.
  var malformedCount = 0
}

/// How events look on the wire.
///
/// Sources: Segment's HTTP tracking API for the batches; the pixel's fields are our own.
struct DemoWire: Sendable {
  var writeKey: String

  func pixel(_ event: DemoEvent) -> DemoRequest {
    var fields: [(String, String)] = [
      ("k", writeKey), ("t", Self.kind(event.action)), ("cid", event.place.campaign),
      ("cnt", event.place.content), ("var", event.place.variant), ("ch", event.place.channel),
      ("eid", event.id), ("ts", String(event.time / 1_000)),
    ]
    if let id = event.person.anonymousID { fields.append(("aid", id)) }
    if let id = event.person.userID { fields.append(("uid", id)) }
    switch event.action {
    case .conversion(let micros, let currency):
      fields.append(("v", Self.decimal(micros)))
      fields.append(("cur", currency))
    case .engagement(let dwellMs): fields.append(("dw", String(dwellMs)))
    default: break
    }
    let visitor = DemoVisitor(event.person)
    fields += [
      ("country", visitor.country), ("utm_source", visitor.source), ("utm_medium", visitor.medium),
    ]
    return pixel(fields: fields, expectation: .accepted, events: [event])
  }

  /// A pixel whose kind of event does not exist.
  func malformedPixel(id: String) -> DemoRequest {
    pixel(
      fields: [("k", writeKey), ("t", "impresion"), ("eid", id)], expectation: .refused, events: [],
      malformedCount: 1)
  }

  private func pixel(
    fields: [(String, String)], expectation: DemoRequest.Expectation, events: [DemoEvent],
    malformedCount: Int = 0
  ) -> DemoRequest {
    let query = fields.map { "\($0.0)=\(Self.escaped($0.1))" }.joined(separator: "&")
    let agent = events.first.map { DemoVisitor($0.person).agent } ?? "smartcontent-demo"
    return DemoRequest(
      method: "GET", target: "/p.gif?\(query)", headers: [HTTPHeader("User-Agent", agent)],
      body: [], expectation: expectation, events: events, malformedCount: malformedCount)
  }

  /// - Parameters:
  ///   - malformedIDs: ids of as many events that are put among the others and can't be accepted.
  ///   - sentAt: microseconds since the Unix epoch.
  func batch(
    _ events: [DemoEvent], malformedIDs: [String] = [], sentAt: Int64,
    expectation: DemoRequest.Expectation = .accepted
  ) -> DemoRequest {
    let objects =
      events.map(object)
      + malformedIDs.enumerated().map { index, id in malformedObject(id: id, form: index) }
    let text =
      "{\"batch\":[\(objects.joined(separator: ","))],\"sentAt\":\"\(Timestamp.format(sentAt))\"}"
    return segment(
      path: "/v1/batch", text: text, expectation: expectation, events: events,
      malformedCount: malformedIDs.count)
  }

  /// One event to the endpoint of its type.
  func single(_ event: DemoEvent) -> DemoRequest {
    let path =
      switch event.action {
      case .identify: "/v1/identify"
      case .view: "/v1/page"
      default: "/v1/track"
      }
    return segment(path: path, text: object(event), expectation: .accepted, events: [event])
  }

  /// A batch that was cut off on its way.
  func malformedBody(_ events: [DemoEvent], sentAt: Int64) -> DemoRequest {
    var request = batch(events, sentAt: sentAt, expectation: .refused)
    request.body.removeLast(request.body.count / 3)
    request.events = []
    request.malformedCount = 1
    return request
  }

  private func segment(
    path: String, text: String, expectation: DemoRequest.Expectation, events: [DemoEvent],
    malformedCount: Int = 0
  ) -> DemoRequest {
    DemoRequest(
      method: "POST", target: path,
      headers: [
        HTTPHeader("Authorization", "Basic \(Base64.encode("\(writeKey):".utf8))"),
        HTTPHeader("Content-Type", "application/json"),
        HTTPHeader("User-Agent", "smartcontent-demo"),
      ],
      body: Array(text.utf8), expectation: expectation, events: events,
      malformedCount: malformedCount)
  }

  private func object(_ event: DemoEvent) -> String {
    var members = [
      "\"messageId\":\"\(event.id)\"", "\"timestamp\":\"\(Timestamp.format(event.time))\"",
    ]
    if let id = event.person.anonymousID { members.append("\"anonymousId\":\"\(id)\"") }
    if let id = event.person.userID { members.append("\"userId\":\"\(id)\"") }
    let visitor = DemoVisitor(event.person)
    members.append(
      "\"context\":{\"userAgent\":\"\(visitor.agent)\",\"locale\":\"en-GB\",\"location\":{\"country\":\"\(visitor.country)\"},"
        + "\"campaign\":{\"source\":\"\(visitor.source)\",\"medium\":\"\(visitor.medium)\"}}")
    switch event.action {
    case .identify:
      members.append("\"type\":\"identify\",\"traits\":{\"plan\":\"free\"}")
    case .view:
      members.append("\"type\":\"page\",\"name\":\"\(event.place.content)\"")
      members.append("\"properties\":{\(properties(event))}")
    default:
      members.append("\"type\":\"track\",\"event\":\"\(Self.name(event.action))\"")
      members.append("\"properties\":{\(properties(event))}")
    }
    return "{\(members.joined(separator: ","))}"
  }

  private func properties(_ event: DemoEvent) -> String {
    var members = [
      "\"campaign_id\":\"\(event.place.campaign)\"", "\"content_id\":\"\(event.place.content)\"",
      "\"variant_id\":\"\(event.place.variant)\"", "\"channel\":\"\(event.place.channel)\"",
    ]
    if case .engagement(let dwellMs) = event.action {
      members.append("\"dwell_ms\":\(dwellMs)")
    }
    if case .conversion(let micros, let currency) = event.action {
      members.append("\"revenue\":\(Self.decimal(micros)),\"currency\":\"\(currency)\"")
    }
    return members.joined(separator: ",")
  }

  private func malformedObject(id: String, form: Int) -> String {
    let start = "{\"messageId\":\"\(id)\",\"type\":\"track\""
    return form.isMultiple(of: 2)
      // A track event without its name.
      ? "\(start),\"anonymousId\":\"nobody\",\"properties\":{\"content_id\":\"lost\"}}"
      // Nobody did it.
      : "\(start),\"event\":\"Content Clicked\",\"properties\":{\"content_id\":\"lost\"}}"
  }

  private static func name(_ action: DemoEvent.Action) -> String {
    switch action {
    case .impression: "Content Impression"
    case .view: "Content Viewed"
    case .click: "Content Clicked"
    case .engagement: "Content Engaged"
    case .conversion: "Order Completed"
    case .identify: "identify"
    case .custom: "Wishlist Opened"
    }
  }

  private static func kind(_ action: DemoEvent.Action) -> String {
    switch action {
    case .impression: EventKind.impression.name
    case .view: EventKind.view.name
    case .click: EventKind.click.name
    case .engagement: EventKind.engagement.name
    case .conversion: EventKind.conversion.name
    case .identify: EventKind.identify.name
    case .custom: EventKind.custom.name
    }
  }

  /// Prices have cents, so two digits are exact.
  private static func decimal(_ micros: Int64) -> String {
    let cents = micros / 10_000
    let rest = cents % 100
    return "\(cents / 100).\(rest < 10 ? "0" : "")\(rest)"
  }

  /// RFC 3986: everything that is not unreserved is escaped.
  private static func escaped(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"):
        bytes.append(byte)
      default:
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
