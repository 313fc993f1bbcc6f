@testable import Collector
import Events
@testable import HTTPServer
import Testing

@Suite("GA4 Measurement Protocol")
struct GA4ProtocolTests {
  private func send(
    _ json: String, path: String = "/mp/collect", query: String = "measurement_id=dev&api_secret=s"
  ) throws -> Reading {
    try read(path, query: query, body: Array(json.utf8))
  }

  /// A request of client `c1` with these events.
  private func request(_ events: String..., rest: String = "") throws -> Reading {
    try send(#"{"client_id":"c1","events":[\#(events.joined(separator: ","))]\#(rest)}"#)
  }

  private func key(_ id: String) -> Key128 { EventIdentity.personKey(site: "default", id: id) }

  @Test("A request's event has each member in its place, and is kept as a request by itself")
  func collected() throws {
    let event =
      #"{ "name":"purchase","params":{"campaign_id":"x","content_id":7,"value":9.99,"#
      + #""currency":"eur","session_id":"123","engagement_time_msec":100,"items":[{"a":1}]}}"#
    let reading = try send(
      #"{"client_id": "c1","timestamp_micros":"1793534400123456","events":[{"name":"scroll"}, "#
        + event + #"],"user_id":"u1","user_properties":{"tier":{"value":"gold"}}}"#)
    #expect(reading.rejected.isEmpty)
    #expect(reading.events.map(\.name) == ["scroll", "purchase"])
    let purchase = try #require(reading.events.last)
    #expect(purchase.kind == .conversion)
    #expect(purchase.eventTime == 1_793_534_400_123_456)
    #expect(purchase.sentAt == 0)
    #expect(purchase.person == key("c1"))
    #expect(purchase.user == key("u1"))
    #expect(purchase.source == "ga4/dev")
    #expect(purchase.revenueMicros == 9_990_000)
    #expect(
      try dimensions(purchase)
        == DimensionTuple(
          site: "default", campaign: "x", content: "7", variant: "", channel: "", currency: "EUR"))
    #expect(
      text(purchase.payload)
        == #"{"client_id":"c1","timestamp_micros":"1793534400123456","user_id":"u1","#
        + #""user_properties":{"tier":{"value":"gold"}},"events":["# + event + "]}")
  }

  @Test(
    "Google's names are kinds, after the site's mapping",
    arguments: [
      ("page_view", .view), ("screen_view", .view), ("view_promotion", .impression),
      ("select_content", .click), ("select_promotion", .click), ("click", .click),
      ("user_engagement", .engagement), ("scroll", .engagement), ("purchase", .conversion),
      ("view_item", .custom), ("refund", .custom), ("alias", .custom),
      ("Content Clicked", .click), ("Order Completed", .conversion),
    ] as [(String, EventKind)])
  func kinds(_ name: String, _ kind: EventKind) throws {
    #expect(try request(#"{"name":"\#(name)"}"#).events.first?.kind == kind)
  }

  @Test("Google's own params count where the mapping finds none")
  func ownParams() throws {
    func campaign(_ params: String) throws -> String? {
      try request(#"{"name":"click","params":{\#(params)}}"#).events.first
        .map { try dimensions($0).campaign }
    }
    #expect(try campaign(#""campaign":"Summer_fun","source":"google""#) == "Summer_fun")
    #expect(try campaign(#""campaign":"Summer_fun","campaign_id":"x""#) == "x")
    #expect(try campaign("") == "")
  }

  @Test("A client or a user is enough; an app's installation is a client")
  func persons() throws {
    func ids(_ members: String) throws -> [Key128] {
      let event = try #require(
        try send(#"{\#(members),"events":[{"name":"click"}]}"#).events.first)
      return [event.person, event.user]
    }
    #expect(try ids(#""client_id":"c1""#) == [key("c1"), .zero])
    #expect(try ids(#""client_id":12.34"#) == [key("12.34"), .zero])
    #expect(try ids(#""app_instance_id":"a1","user_id":"u1""#) == [key("a1"), key("u1")])
    #expect(try ids(#""user_id":"u1""#) == [key("u1"), key("u1")])
  }

  @Test("Times are microseconds, of the event before the request's, else of receipt")
  func times() throws {
    func time(_ rest: String, _ own: String = "") throws -> Int64? {
      try request(#"{"name":"click"\#(own)}"#, rest: rest).events.first?.eventTime
    }
    #expect(try time("") == testNow)
    #expect(try time(#","timestamp_micros":null"#) == testNow)
    #expect(try time(#","timestamp_micros":1793534400123456"#) == 1_793_534_400_123_456)
    #expect(
      try time(#","timestamp_micros":1793534400123456"#, #","timestamp_micros":1793534400000000"#)
        == 1_793_534_400_000_000)
  }

  @Test("The key is the measurement id, the app's id, or the project's own way")
  func keys() throws {
    let body = Array(#"{"client_id":"c1","events":[{"name":"click"}]}"#.utf8)
    func site(_ query: String, _ authorization: String? = nil) throws -> String {
      let reading = try read("/mp/collect", query: query, body: body, authorization: authorization)
      return try reading.isUnknownKey ? "unknown" : dimensions(reading.events[0]).site
    }
    #expect(try site("api_secret=x&measurement_id=wk_demo") == "shop")
    #expect(try site("firebase_app_id=wk%5Fdemo") == "shop")
    #expect(try site("", "Bearer wk_demo") == "shop")
    #expect(try site("measurement_id=nope", basicDev) == "unknown")
    #expect(try site("measurement_id=") == "unknown")
    #expect(try site("") == "unknown")
  }

  private static let longName = String(repeating: "n", count: 41)

  @Test(
    "What cannot be an event is refused by itself, and the others are accepted",
    arguments: [
      ("1", .notAnObject), ("null", .notAnObject), ("{}", .noEventName),
      (#"{"name":""}"#, .noEventName), (#"{"name":7}"#, .wrongFieldType),
      (#"{"name":"\#(longName)"}"#, .textTooLong),
      (#"{"name":"x\u0000"}"#, .nulCharacter),
      (#"{"name":"x","params":7}"#, .wrongFieldType),
      (#"{"name":"x","params":{"\#(longName)":1}}"#, .textTooLong),
      (#"{"name":"x","params":{\#(params(26))}}"#, .eventTooLarge),
      (#"{"name":"x","timestamp_micros":1.5}"#, .badTimestamp),
      (#"{"name":"x","timestamp_micros":-1}"#, .badTimestamp),
      (#"{"name":"purchase","params":{"value":"$9"}}"#, .badRevenue),
      (#"{"name":"purchase","params":{"value":9,"currency":"euro"}}"#, .badCurrency),
    ] as [(String, RejectionCode)])
  func rejected(_ json: String, _ code: RejectionCode) throws {
    let reading = try request(#"{"name":"click"}"#, json, #"{"name":"click"}"#)
    #expect(reading.events.count == 2)
    let rejection = try #require(reading.rejected.first)
    #expect(reading.rejected.count == 1)
    #expect(rejection.code == code)
    #expect(rejection.index == 1)
    #expect(rejection.place == "/mp/collect events[1]")
    #expect(text(rejection.body) == #"{"client_id":"c1","events":[\#(json)]}"#)
  }

  private static func params(_ count: Int) -> String {
    (0..<count).map { #""p\#($0)":\#($0)"# }.joined(separator: ",")
  }

  @Test("The limits themselves are allowed")
  func limits() throws {
    let name = String(repeating: "n", count: 40)
    #expect(
      try request(#"{"name":"\#(name)","params":{\#(Self.params(25))}}"#).events.count == 1)
    func ones(_ count: Int) throws -> Reading {
      try send(
        #"{"client_id":"c","events":[\#(Array(repeating: "1", count: count).joined(separator: ","))]}"#
      )
    }
    #expect(try ones(25).rejected.count == 25)
    #expect(try ones(26).problem == "too_many_events")
  }

  @Test(
    "A request that is none is refused as a whole",
    arguments: [
      ("", .malformedJSON), ("{", .malformedJSON), ("[]", .notAnObject), ("7", .notAnObject),
      (#"{"client_id":"c"}"#, .malformedJSON),
      (#"{"client_id":"c","events":{}}"#, .malformedJSON),
      (#"{"client_id":"c","events":null}"#, .malformedJSON),
      (#"{"events":[]}"#, .noIdentity), (#"{"client_id":"","events":[]}"#, .noIdentity),
      (#"{"client_id":["c"],"events":[]}"#, .wrongFieldType),
      (#"{"client_id":"c","events":[],"timestamp_micros":"now"}"#, .badTimestamp),
      (#"{"client_id":"c","events":[]} x"#, .malformedJSON),
    ] as [(String, RejectionCode)])
  func refused(_ json: String, _ code: RejectionCode) throws {
    let refused = try #require(try send(json).refused)
    #expect(refused.code == code)
    #expect(refused.place == "/mp/collect")
    #expect(text(refused.body) == json)
  }

  @Test("A request without events is accepted")
  func empty() throws {
    let reading = try request()
    #expect(reading.events.isEmpty && reading.rejected.isEmpty && reading.refused == nil)
  }

  @Test("Copies of a request with a time are the same events; without one each is its own")
  func ids() throws {
    func ids(_ rest: String) throws -> [String] {
      try request(#"{"name":"click"}"#, #"{"name":"click"}"#, rest: rest).events.map(\.id)
    }
    let timed = #","timestamp_micros":1793534400123456"#
    #expect(try ids(timed) == ids(timed))
    #expect(Set(try ids(timed)).count == 2)
    #expect(try ids(timed) != ids(#","timestamp_micros":1793534400123457"#))
    #expect(try ids("") == ["unique-1", "unique-2"])
  }

  @Test("A refused event can be read again with what its request said")
  func readAgain() throws {
    let rejection = try #require(
      try request(#"{"params":{}}"#, rest: #","user_id":"u1""#).rejected.first)
    let letter = DeadLetter(
      code: rejection.code.rawValue, detail: rejection.detail, place: "ga4 \(rejection.place)",
      body: rejection.body.replacing(
        Array(#""params""#.utf8), with: Array(#""name":"click","params""#.utf8)))
    let outcome = DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
      letter, site: "default", source: "ga4/dev", receivedAt: 5, uniqueID: "n")
    guard case .accepted(let events) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(events.map(\.person) == [key("c1")])
    #expect(events.map(\.user) == [key("u1")])
  }

  // MARK: Validating

  private func messages(_ json: String) throws -> String {
    let reading = try send(json, path: "/debug/mp/collect")
    #expect(reading.events.isEmpty && reading.rejected.isEmpty && reading.refused == nil)
    let answer = try #require(reading.reply.stored)
    let response = answer(StoredAnswer(position: "1~", positionHeader: [], rejected: []))
    #expect(response.status == .ok)
    return text(try #require(response.body))
  }

  @Test("What would be wrong with a request is said, and nothing is stored")
  func debug() throws {
    #expect(
      try messages(#"{"client_id":"c","events":[{"name":"click"}]}"#)
        == #"{"validationMessages":[]}"#)
    #expect(
      try messages(#"{"client_id":"c","events":[{"name":"click"},{"params":{}},{"name":7}]}"#)
        == #"{"validationMessages":[{"fieldPath":"events[1]","#
        + #""description":"an event has name, the name of the event","#
        + #""validationCode":"VALUE_REQUIRED"},{"fieldPath":"events[2]","#
        + #""description":"name is the name of the event, a text","#
        + #""validationCode":"VALUE_INVALID"}]}"#)
    #expect(try messages("{").contains(#""validationCode":"VALUE_INVALID""#))
    #expect(try messages(#"{"events":[]}"#).contains(#""validationCode":"VALUE_REQUIRED""#))
    let many = Array(repeating: #"{"name":"x"}"#, count: 26).joined(separator: ",")
    #expect(
      try messages(#"{"client_id":"c","events":[\#(many)]}"#)
        .contains(#""validationCode":"EXCEEDED_MAX_ENTITIES""#))
    #expect(try send("{}", path: "/debug/mp/collect", query: "measurement_id=x").isUnknownKey)
  }

  @Test("A body cut or changed anywhere is never a crash")
  func anywhere() throws {
    let body = Array(
      #"{"client_id":"c","events":[{"name":"purchase","params":{"value":"1.5","n":[1,"é"]}}]}"#.utf8
    )
    for length in 0..<body.count {
      let cut = try read(
        "/mp/collect", query: "measurement_id=dev", body: Array(body.prefix(length)))
      #expect(cut.refused?.code == .malformedJSON, "\(length)")
    }
    for index in body.indices {
      for byte: UInt8 in [0x00, 0x22, 0x5c, 0x80, 0x7d] {
        var changed = body
        changed[index] = byte
        _ = try read("/mp/collect", query: "measurement_id=dev", body: changed)
      }
    }
  }
}
