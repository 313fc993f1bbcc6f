@testable import Collector
import Events
import Testing

@Suite("Segment protocol")
struct SegmentProtocolTests {
  private func batch(_ events: String..., sentAt: String? = nil) throws -> Reading {
    let tail = sentAt.map { #","sentAt":"\#($0)""# } ?? ""
    return try read(
      "/v1/batch", body: Array(#"{"batch":[\#(events.joined(separator: ","))]\#(tail)}"#.utf8),
      authorization: basicDev)
  }

  private func track(_ name: String, _ properties: String, id: String = "m1") -> String {
    #"{"type":"track","event":"\#(name)","userId":"u1","messageId":"\#(id)","#
      + #""timestamp":"2026-11-01T12:00:00.5Z","properties":\#(properties)}"#
  }

  @Test("A track call with mapped properties is an event")
  func trackCall() throws {
    let json = track(
      "Content Clicked",
      #"{"campaign_id":"x","content_id":7,"variant_id":true,"channel":null,"more":[{"a":1}]}"#)
    let event = try #require(
      try batch(json, sentAt: "2026-11-01T12:00:01Z").events.first)
    #expect(event.kind == .click)
    #expect(event.name == "Content Clicked")
    #expect(event.id == "m1")
    #expect(event.eventTime == 1_793_534_400_500_000)
    #expect(event.sentAt == 1_793_534_401_000_000)
    #expect(event.receivedAt == testNow)
    #expect(event.source == "segment/dev")
    #expect(text(event.payload) == json)
    #expect(
      try dimensions(event)
        == DimensionTuple(site: "default", campaign: "x", content: "7", variant: "true"))
  }

  @Test(
    "Names and calls map to kinds",
    arguments: [
      (#""type":"track","event":"Content Impression""#, .impression, "Content Impression"),
      (#""type":"track","event":"Content Viewed""#, .view, "Content Viewed"),
      (#""type":"track","event":"Content Engaged""#, .engagement, "Content Engaged"),
      (#""type":"track","event":"Order Completed""#, .conversion, "Order Completed"),
      (#""type":"track","event":"Conversion""#, .conversion, "Conversion"),
      (#""type":"track","event":"content clicked""#, .custom, "content clicked"),
      (#""type":"track","event":"Content\u0020Clicked""#, .click, "Content Clicked"),
      (#""type":"page","name":"Home""#, .view, "page"), (#""type":"screen""#, .view, "screen"),
      (#""type":"identify""#, .identify, "identify"), (#""type":"group""#, .custom, "group"),
      (#""type":"alias","userId":"u1""#, .alias, "alias"),
    ] as [(String, EventKind, String)])
  func kinds(_ members: String, _ kind: EventKind, _ name: String) throws {
    let event = try #require(try batch(#"{\#(members),"anonymousId":"a1"}"#).events.first)
    #expect(event.kind == kind)
    #expect(event.name == name)
  }

  @Test(
    "An experiment that was viewed is an exposure to a campaign's variant",
    arguments: [
      (#"{"experiment_id":"e1","variation_id":"b"}"#, "e1", "b"),
      (#"{"experiment_id":7,"experiment_name":"x","variation_name":"Control"}"#, "7", "Control"),
      (#"{"variation_name":"Control","variation_id":"a","experiment_id":"e1"}"#, "e1", "a"),
      (#"{"experiment_id":"e1","campaign_id":"c","variant_id":"v","variation_id":"b"}"#, "c", "v"),
    ])
  func exposure(_ properties: String, _ campaign: String, _ variant: String) throws {
    let event = try #require(try batch(track("Experiment Viewed", properties)).events.first)
    #expect(event.kind == .exposure)
    #expect(
      try dimensions(event)
        == DimensionTuple(site: "default", campaign: campaign, variant: variant))
  }

  @Test("The person is the anonymous id, else the user id; numbers are texts")
  func person() throws {
    func person(_ members: String) throws -> Key128? {
      try batch(#"{"type":"page",\#(members)}"#).events.first?.person
    }
    let a1 = EventIdentity.personKey(site: "default", id: "a1")
    #expect(try person(#""anonymousId":"a1","userId":"u1""#) == a1)
    #expect(try person(#""anonymousId":null,"userId":"a1""#) == a1)
    #expect(try person(#""anonymousId":"","userId":"a1""#) == a1)
    #expect(
      try person(#""userId":12345678901234567890"#)
        == EventIdentity.personKey(site: "default", id: "12345678901234567890"))
  }

  @Test("The user is the user id; an alias's person is the earlier id")
  func user() throws {
    func ids(_ type: String, _ members: String) throws -> [Key128] {
      let event = try #require(try batch(#"{"type":"\#(type)",\#(members)}"#).events.first)
      return [event.person, event.user]
    }
    func key(_ id: String) -> Key128 { EventIdentity.personKey(site: "default", id: id) }
    #expect(try ids("page", #""anonymousId":"a1","userId":"u1""#) == [key("a1"), key("u1")])
    #expect(try ids("page", #""anonymousId":"a1","userId":"""#) == [key("a1"), .zero])
    #expect(try ids("page", #""userId":"u1","previousId":"p1""#) == [key("u1"), key("u1")])
    #expect(try ids("alias", #""userId":"u1","previousId":"p1""#) == [key("p1"), key("u1")])
    #expect(
      try ids("alias", #""userId":"u1","previousId":"p1","anonymousId":"a1""#)
        == [key("p1"), key("u1")])
    #expect(
      try ids("alias", #""userId":"u1","previousId":"","anonymousId":"a1""#)
        == [key("a1"), key("u1")])
  }

  @Test(
    "Money is exact",
    arguments: [
      (#""revenue":9.99"#, 9_990_000, "USD"), (#""revenue":"9.99""#, 9_990_000, "USD"),
      (#""value":0.1,"currency":"eur""#, 100_000, "EUR"),
      (#""value":5,"revenue":7"#, 7_000_000, "USD"), (#""revenue":7,"value":5"#, 7_000_000, "USD"),
      (#""revenue":null,"value":5"#, 5_000_000, "USD"), (#""revenue":-3.5"#, -3_500_000, "USD"),
      (#""revenue":1e3"#, 1_000_000_000, "USD"), (#""revenue":0"#, 0, "USD"),
      (#""revenue":0.30000000000000004"#, 300_000, "USD"),
      (#""revenue":999999999.999999"#, 999_999_999_999_999, "USD"),
      (#""revenue":12.3456785"#, 12_345_678, "USD"), (#""other":1"#, 0, ""),
      (#""currency":"EUR""#, 0, ""),
    ] as [(String, Int64, String)])
  func money(_ properties: String, _ micros: Int64, _ currency: String) throws {
    let event = try #require(
      try batch(track("Order Completed", "{\(properties)}")).events.first)
    #expect(event.revenueMicros == micros)
    #expect(try dimensions(event).currency == currency)
  }

  @Test("Times are ISO 8601 or milliseconds; without one it is the time of receipt")
  func times() throws {
    func time(_ members: String) throws -> Int64? {
      try batch(#"{"type":"page","userId":"u"\#(members)}"#).events.first?.eventTime
    }
    #expect(try time("") == testNow)
    #expect(try time(#","timestamp":null"#) == testNow)
    #expect(try time(#","timestamp":1767225600123"#) == 1_767_225_600_123_000)
    #expect(try time(#","timestamp":1793534400"#) == 1_793_534_400_000_000, "seconds")
    #expect(try time(#","timestamp":"""#) == testNow)
    for number in ["0", "1", "-1793534400", "315532799", "4102444800000000", "1793534400000000"] {
      #expect(try time(#","timestamp":\#(number)"#) == nil, "\(number)")
    }
    #expect(try time(#","timestamp":"2026-11-01T14:00:00.123456+02:00""#) == 1_793_534_400_123_456)
    #expect(try time(#","originalTimestamp":"2026-11-01T12:00:00Z""#) == 1_793_534_400_000_000)
  }

  @Test(
    "What cannot be an event is refused by itself, and the others are accepted",
    arguments: [
      ("1", .notAnObject), ("null", .notAnObject), ("[]", .notAnObject),
      (#"{"userId":"u"}"#, .noType), (#"{"type":"open","userId":"u"}"#, .unknownType),
      (#"{"type":"page"}"#, .noIdentity), (#"{"type":"alias","userId":"u"}"#, .noIdentity),
      (#"{"type":"alias","previousId":"p","anonymousId":"a"}"#, .noIdentity),
      (#"{"type":"page","userId":"","anonymousId":null}"#, .noIdentity),
      (#"{"type":"page","userId":["u"]}"#, .wrongFieldType),
      (#"{"type":"track","userId":"u"}"#, .noEventName),
      (#"{"type":"track","event":"","userId":"u"}"#, .noEventName),
      (#"{"type":"track","event":7,"userId":"u"}"#, .wrongFieldType),
      (#"{"type":"page","userId":"u","timestamp":"yesterday"}"#, .badTimestamp),
      (#"{"type":"page","userId":"u","timestamp":true}"#, .badTimestamp),
      (#"{"type":"page","userId":"u\u0000"}"#, .nulCharacter),
      (
        #"{"type":"track","event":"Conversion","userId":"u","properties":{"revenue":"$9"}}"#,
        .badRevenue
      ),
      (
        #"{"type":"track","event":"Conversion","userId":"u","properties":{"revenue":1,"currency":"x"}}"#,
        .badCurrency
      ),
    ] as [(String, RejectionCode)])
  func rejected(_ json: String, _ code: RejectionCode) throws {
    let good = #"{"type":"page","userId":"u"}"#
    let reading = try batch(good, json, good)
    #expect(reading.events.count == 2)
    let rejection = try #require(reading.rejected.first)
    #expect(reading.rejected.count == 1)
    #expect(rejection.code == code)
    #expect(rejection.index == 1)
    #expect(rejection.place == "/v1/batch batch[1]")
    #expect(text(rejection.body) == json)
  }

  @Test("Text limits count unescaped bytes")
  func textLimits() throws {
    let longest = String(repeating: "x", count: 256)
    let escaped = String(repeating: "\\u0041", count: 256)
    for id in [longest, escaped] {
      #expect(try batch(#"{"type":"page","userId":"\#(id)"}"#).events.count == 1)
      #expect(
        try batch(#"{"type":"page","userId":"\#(id)A"}"#).rejected.first?.code == .textTooLong)
      #expect(
        try batch(#"{"type":"track","event":"\#(id)A","userId":"u"}"#).rejected.first?.code
          == .textTooLong)
    }
  }

  @Test("An event of 32 KB is accepted, a longer one is refused")
  func eventLimit() throws {
    let frame = #"{"type":"page","userId":"u","x":""}"#
    let room = 32 * 1024 - frame.utf8.count
    func event(_ padding: Int) -> String {
      #"{"type":"page","userId":"u","x":"\#(String(repeating: "y", count: padding))"}"#
    }
    #expect(try batch(event(room)).events.count == 1)
    let rejection = try #require(try batch(event(room + 1)).rejected.first)
    #expect(rejection.code == .eventTooLarge)
    #expect(rejection.body.count == DeadLetter.sampleByteCountMax)
  }

  @Test("More than 2500 events in a batch are refused as a whole")
  func eventCount() throws {
    func body(_ count: Int) -> [UInt8] {
      Array(#"{"batch":[\#(Array(repeating: "1", count: count).joined(separator: ","))]}"#.utf8)
    }
    #expect(
      try read("/v1/batch", body: body(2500), authorization: basicDev).rejected.count == 2500)
    #expect(
      try read("/v1/batch", body: body(2501), authorization: basicDev).problem
        == "too_many_events")
  }

  @Test("The key comes by Basic authorization, in the body or as bearer; they count in this order")
  func keys() throws {
    let page = #""type":"page","userId":"u""#
    func key(_ body: String, _ authorization: String?) throws -> String {
      let reading = try read(
        "/v1/page", body: Array(body.utf8), authorization: authorization)
      return reading.isUnknownKey ? "unknown" : try dimensions(reading.events[0]).site
    }
    #expect(try key("{\(page)}", basicDev) == "default")
    #expect(try key("{\(page)}", "basic d2tfZGVtbzo=") == "shop")
    #expect(try key("{\(page)}", "Basic d2tfZGVtbzpwYXNzd29yZA") == "shop")
    #expect(try key(#"{\#(page),"writeKey":"wk_demo"}"#, nil) == "shop")
    #expect(try key(#"{\#(page),"writeKey":"wk_demo"}"#, "Bearer x") == "shop")
    #expect(try key("{\(page)}", "Bearer wk_demo") == "shop")
    #expect(try key(#"{\#(page),"writeKey":"wk_demo"}"#, basicDev) == "default")
    #expect(try key(#"{\#(page),"writeKey":"dev"}"#, "Basic bm9wZTo=") == "unknown")
    #expect(try key("{\(page)}", nil) == "unknown")
    #expect(try key(#"{\#(page),"writeKey":7}"#, nil) == "unknown")
    #expect(try key("{\(page)}", "Basic !!!") == "unknown")
  }

  @Test("Single calls, with and without a trailing slash, are events of their path's type")
  func singleCalls() throws {
    for (path, kind) in [
      ("/v1/page", EventKind.view), ("/v1/screen/", .view), ("/v1/identify", .identify),
      ("/v1/group/", .custom), ("/v1/alias", .alias), ("/v1/p", .view), ("/v1/i/", .identify),
    ] {
      let reading = try read(
        path, body: Array(#"{"userId":"u","anonymousId":"a"}"#.utf8), authorization: basicDev)
      #expect(reading.events.first?.kind == kind, "\(path)")
    }
    let bad = try read("/v1/track", body: Array(#"{"userId":"u"}"#.utf8), authorization: basicDev)
    #expect(bad.refused?.code == .noEventName)
    #expect(bad.refused?.place == "/v1/track")
  }

  @Test("An event without an id gets the same one when it is sent again")
  func derivedIdentity() throws {
    func id(_ event: String, _ sentAt: String) throws -> [String] {
      try batch(event, event, sentAt: sentAt).events.map(\.id)
    }
    let event = #"{"type":"page","userId":"u","a":1}"#
    let first = try id(event, "2026-11-01T12:00:00Z")
    #expect(first[0] != first[1], "two equal events of one batch are two")
    #expect(try id(event, "2026-11-01T12:00:09Z") == first)
    #expect(try id(event.replacingOnce("1", "2"), "2026-11-01T12:00:00Z") != first)
    func single(_ members: String) throws -> String? {
      try read(
        "/v1/page", body: Array("{\(members)}".utf8), authorization: basicDev
      ).events.first?.id
    }
    let one = try single(#""userId":"u","sentAt":"2026-11-01T12:00:00Z","a":1"#)
    #expect(try single(#""userId":"u","sentAt":"2026-11-01T12:00:09Z","a":1"#) == one)
    #expect(try single(#""userId":"u","sentAt":"2026-11-01T12:00:09Z","a":2"#) != one)
    #expect(one?.utf8.count == 32)
  }

  @Test("Escapes and other alphabets are unescaped in what is read and kept in the payload")
  func unicode() throws {
    let json = track(
      "Content Viewed",
      #"{"campaign_id":"caf\u00e9 \ud83d\ude00 \"☃\" \ud800","content\u005fid":"c"}"#)
    let event = try #require(try batch(json).events.first)
    #expect(try dimensions(event).campaign == "café 😀 \"☃\" \u{fffd}")
    #expect(try dimensions(event).content == "c")
    #expect(text(event.payload) == json)
  }

  @Test("A body that is not JSON, cut at any byte, is refused and clear")
  func cutAnywhere() throws {
    let body = Array(
      (#"{"batch":[\#(track("Content Clicked", #"{"campaign_id":"\u00e9","n":-1.5e3}"#)), {}],"#
        + #" "sentAt":"2026-11-01T12:00:00Z","writeKey":"dev"}"#).utf8)
    for length in 0..<body.count {
      let cut = Array(body.prefix(length))
      let known = try read("/v1/batch", body: cut, authorization: basicDev)
      #expect(known.refused?.code == .malformedJSON, "\(length)")
      #expect(known.refused?.body == cut)
      #expect(try read("/v1/batch", body: cut).problem == "malformed_json", "\(length)")
    }
    #expect(try read("/v1/batch", body: body).events.count == 1)
  }

  @Test("A body changed at any byte is never a crash", arguments: [0x00, 0x22, 0x5c, 0x80, 0x7d])
  func changedAnywhere(byte: UInt8) throws {
    let body = Array(
      #"{"batch":[\#(track("Content Clicked", #"{"campaign_id":"a\n☃","n":[1,true]}"#))]}"#.utf8)
    for index in body.indices {
      var changed = body
      changed[index] = byte
      for path in ["/v1/batch", "/v1/track"] {
        _ = try read(path, body: changed, authorization: basicDev)
      }
    }
  }

  @Test("Invalid UTF-8 anywhere is not JSON")
  func invalidUTF8() throws {
    let body =
      Array(#"{"batch":[{"type":"page","userId":"u","x":""#.utf8) + [0xff]
      + Array(#""}]}"#.utf8)
    #expect(
      try read("/v1/batch", body: body, authorization: basicDev).refused?.code == .malformedJSON)
  }

  @Test(
    "A body without a batch is refused as a whole",
    arguments: ["{}", #"{"batch":{}}"#, #"{"batch":null}"#, "[]", "7"])
  func noBatch(_ body: String) throws {
    #expect(
      try read("/v1/batch", body: Array(body.utf8), authorization: basicDev).refused?.code
        == .malformedJSON)
  }

  @Test("An empty batch is accepted")
  func emptyBatch() throws {
    let reading = try batch()
    #expect(reading.events.isEmpty && reading.rejected.isEmpty && reading.refused == nil)
  }

  @Test("A dead letter keeps its reason, place and bytes, and its identity when sent again")
  func deadLetter() throws {
    let rejection = try #require(try batch("7").rejected.first)
    let first = rejection.event(
      protocolName: "segment", site: "default", source: "dev", receivedAt: 1)
    let second = rejection.event(
      protocolName: "segment", site: "default", source: "dev", receivedAt: 2)
    #expect(first.key == second.key)
    #expect(first.name == "event_not_object")
    #expect(
      text(first.payload)
        == #"{"code":"event_not_object","detail":"an event is a JSON object","#
        + #""place":"segment /v1/batch batch[0]","bytes":1,"body":"7"}"#)
    let raw = DeadLetter(code: "c", detail: "d", place: "p", body: [0xff, 0x00, 0x01, 0x02])
    #expect(text(raw.payload).hasSuffix(#""body_base64":"/wABAg=="}"#))
  }
}

extension String {
  fileprivate func replacingOnce(_ old: Character, _ new: Character) -> String {
    guard let index = firstIndex(of: old) else { return self }
    return self[..<index] + String(new) + self[self.index(after: index)...]
  }
}
