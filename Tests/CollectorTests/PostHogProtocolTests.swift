@testable import Collector
import Events
import Foundation
import Testing

@Suite("PostHog protocol")
struct PostHogProtocolTests {
  private func send(
    _ json: String, path: String = "POST /batch/", query: String = ""
  ) throws -> Reading {
    try read(path, query: query, body: Array(json.utf8))
  }

  private func batch(_ events: String..., rest: String = "") throws -> Reading {
    try send(#"{"batch":[\#(events.joined(separator: ","))],"api_key":"dev"\#(rest)}"#)
  }

  /// An event of person `u1` with these properties.
  private func capture(_ name: String, _ properties: String = "{}", id: String = "i1") -> String {
    #"{"event":"\#(name)","distinct_id":"u1","uuid":"\#(id)","#
      + #""timestamp":"2026-11-01T12:00:00.5+00:00","properties":\#(properties)}"#
  }

  private func key(_ id: String) -> Key128 { EventIdentity.personKey(site: "default", id: id) }

  @Test("An event with mapped properties has each in its place")
  func captured() throws {
    let json = capture(
      "Content Clicked",
      #"{"campaign_id":"x","content_id":7,"variant_id":true,"channel":null,"$lib":"web","a":[{}]}"#)
    let event = try #require(
      try batch(json, rest: #","sent_at":"2026-11-01T12:00:01Z""#).events.first)
    #expect(event.kind == .click)
    #expect(event.name == "Content Clicked")
    #expect(event.id == "i1")
    #expect(event.eventTime == 1_793_534_400_500_000)
    #expect(event.sentAt == 1_793_534_401_000_000)
    #expect(event.receivedAt == testNow)
    #expect(event.source == "posthog/dev")
    #expect(event.key == EventIdentity.dedupeKey(site: "default", source: "dev", eventID: "i1"))
    #expect(event.person == key("u1") && event.user == key("u1"))
    #expect(text(event.payload) == json)
    #expect(
      try dimensions(event)
        == DimensionTuple(site: "default", campaign: "x", content: "7", variant: "true"))
  }

  @Test(
    "Where the key and the time of sending stand changes nothing",
    arguments: [
      (#""api_key":"dev","historical_migration":false,"#, ""), ("", #","api_key":"dev""#),
      (#""token":"dev","#, #","sentAt":"2026-11-01T12:00:01Z""#),
      (#""api_key":"other","#, #","api_key":"dev""#),
      (#""api_key":"dev","#, #","batch":"none""#), (#""api_key":"dev","properties":{},"#, ""),
    ])
  func places(_ front: String, _ back: String) throws {
    let events = [capture("Content Clicked"), "7", capture("", id: "i2"), capture("x", id: "i3")]
    let list = events.joined(separator: ",")
    func read(_ front: String, _ back: String) throws -> Reading {
      try send(#"{\#(front)"batch":[\#(list)]\#(back)}"#)
    }
    let expected = try read("", #","api_key":"dev""#)
    let reading = try read(front, back)
    #expect(reading.events == expected.events && reading.events.count == 2)
    #expect(reading.rejected.map(\.place) == expected.rejected.map(\.place))
    let sent = #""sent_at":"2026-11-01T12:00:01Z""#
    for reading in [try read(front + sent + ",", back), try read(front, back + "," + sent)] {
      #expect(reading.events.map(\.sentAt) == [1_793_534_401_000_000, 1_793_534_401_000_000])
    }
    #expect(try send(#"{\#(front)"batch":[\#(list)]\#(back),}"#).events.isEmpty)
  }

  @Test(
    "Names are kinds by the mapping, by PostHog's own meaning, or by the kind's name",
    arguments: [
      ("Content Impression", "{}", .impression), ("Order Completed", "{}", .conversion),
      ("$pageview", "{}", .view), ("$screen", "{}", .view), ("$identify", "{}", .identify),
      ("$autocapture", #"{"$event_type":"click"}"#, .click),
      ("$autocapture", #"{"$event_type":"change"}"#, .custom), ("$autocapture", "{}", .custom),
      ("$set", "{}", .custom), ("$groupidentify", "{}", .custom), ("$pageleave", "{}", .custom),
      ("click", "{}", .click), ("impression", "{}", .impression), ("signed up", "{}", .custom),
      ("alias", "{}", .custom), ("identify", "{}", .custom),
    ] as [(String, String, EventKind)])
  func kinds(_ name: String, _ properties: String, _ kind: EventKind) throws {
    let event = try #require(try batch(capture(name, properties)).events.first)
    #expect(event.kind == kind)
    #expect(event.name == name)
  }

  @Test(
    "A feature flag that was asked for is an exposure to a campaign's variant",
    arguments: [
      (#""test""#, "test"), ("true", "true"), ("false", "false"), ("null", ""),
    ])
  func featureFlag(_ response: String, _ variant: String) throws {
    let properties = #"{"$feature_flag":"new-page","$feature_flag_response":\#(response)}"#
    let event = try #require(
      try batch(capture("$feature_flag_called", properties)).events.first)
    #expect(event.kind == .exposure)
    let tuple = try dimensions(event)
    #expect(tuple.campaign == "new-page" && tuple.variant == variant)
  }

  @Test("A site's mapping goes before PostHog's own meaning of a name")
  func mappingFirst() throws {
    var mapping = standardMapping
    mapping.names = ["$pageview": .impression, "$create_alias": .click]
    let reader = PostHogEvent.Reader(
      key: WriteKey(key: "k", site: "s", mapping: CompiledMapping(mapping)), receivedAt: testNow,
      sentAt: 0, defaultName: nil, uniqueID: { "unique" })
    func kind(_ json: String) throws -> EventKind {
      try Array(json.utf8).withUnsafeBytes {
        var scanner = JSONScanner($0)
        return try reader.read(&scanner, in: $0, place: "p").kind
      }
    }
    #expect(try kind(capture("$pageview")) == .impression)
    #expect(try kind(capture("$create_alias", #"{"alias":"a"}"#)) == .alias)
  }

  @Test(
    "An event's person and user follow from what its client says about its ids",
    arguments: [
      // A server's SDK knows users.
      ("$pageview", #""distinct_id":"u1","properties":{}"#, "u1", "u1"),
      ("$pageview", #""distinct_id":17"#, "17", "17"),
      ("$pageview", #""$distinct_id":"u1""#, "u1", "u1"),
      ("$pageview", #""properties":{"distinct_id":"u1"}"#, "u1", "u1"),
      ("$pageview", #""distinct_id":"","properties":{"distinct_id":"u1"}"#, "u1", "u1"),
      ("$pageview", #""distinct_id":"u1","properties":{"distinct_id":"u2"}"#, "u1", "u1"),
      // A browser's device is who it was before it signed in.
      (
        "$pageview", #""distinct_id":"u1","properties":{"$device_id":"d1"}"#, "d1", "u1"
      ),
      ("$pageview", #""distinct_id":"d1","properties":{"$device_id":"d1"}"#, "d1", nil),
      (
        "$pageview",
        #""distinct_id":"a2","properties":{"$device_id":"d1","$is_identified":false}"#, "a2", nil
      ),
      (
        "$pageview", #""distinct_id":"a2","properties":{"$process_person_profile":false}"#, "a2",
        nil
      ),
      ("$pageview", #""distinct_id":"a2","options":{"process_person_profile":false}"#, "a2", nil),
      // Signing in links the two.
      (
        "$identify",
        #""distinct_id":"u1","properties":{"$anon_distinct_id":"a1","$device_id":"d1"}"#, "a1", "u1"
      ),
      ("$identify", #""distinct_id":"u1","properties":{"$device_id":"d1"}"#, "d1", "u1"),
      ("$identify", #""distinct_id":"u1""#, "u1", "u1"),
      (
        "$identify",
        #""distinct_id":"u1","properties":{"$anon_distinct_id":"a1","$is_identified":false}"#,
        "a1", "u1"
      ),
    ] as [(String, String, String, String?)])
  func persons(_ name: String, _ members: String, _ person: String, _ user: String?) throws {
    let event = try #require(
      try batch(#"{"event":"\#(name)","uuid":"i",\#(members)}"#).events.first)
    #expect(event.person == key(person))
    #expect(event.user == user.map(key) ?? .zero)
  }

  @Test(
    "Of an alias, the id that an SDK made up is the earlier one, else the distinct id",
    arguments: [
      ("$create_alias", "anon_1", "user_1", "anon_1", "user_1"),
      ("$create_alias", uuid, "user_1", uuid, "user_1"),
      ("$create_alias", "user_1", uuid, uuid, "user_1"),
      ("$create_alias", uuid, uuid.uppercased(), uuid, uuid.uppercased()),
      ("$merge_dangerously", "user_1", "user_2", "user_2", "user_1"),
    ])
  func aliases(
    _ name: String, _ id: String, _ alias: String, _ person: String, _ user: String
  ) throws {
    let event = try #require(
      try batch(
        #"{"event":"\#(name)","distinct_id":"\#(id)","properties":{"alias":"\#(alias)"}}"#
      ).events.first)
    #expect(event.kind == .alias)
    #expect(event.person == key(person))
    #expect(event.user == key(user))
  }

  private static let uuid = "0192f3d2-0000-7abc-8000-00000000000f"

  @Test("Without cookies every event is a person of its own")
  func cookieless() throws {
    let reading = try batch(
      #"{"event":"$pageview","distinct_id":"$posthog_cookieless","uuid":"i1"}"#,
      #"{"event":"$create_alias","distinct_id":"$posthog_cookieless","uuid":"i2"}"#)
    #expect(reading.events.map(\.person) == [key("i1"), key("i2")])
    #expect(reading.events.map(\.user) == [.zero, .zero])
    #expect(reading.events.map(\.kind) == [.view, .custom])
  }

  @Test("The campaign of the address counts where the mapping finds none")
  func utmCampaign() throws {
    func campaign(_ properties: String) throws -> String {
      try dimensions(try #require(try batch(capture("click", properties)).events.first)).campaign
    }
    #expect(try campaign(#"{"utm_campaign":"nl"}"#) == "nl")
    #expect(try campaign(#"{"utm_campaign":"nl","campaign_id":"x"}"#) == "x")
    #expect(try campaign(#"{"campaign_id":"x","utm_campaign":"nl"}"#) == "x")
    #expect(try campaign(#"{"campaign_id":null,"utm_campaign":"nl"}"#) == "nl")
    #expect(try campaign(#"{"utm_campaign":["nl"]}"#) == "")
  }

  @Test("A conversion has its money")
  func money() throws {
    let event = try #require(
      try batch(capture("Order Completed", #"{"revenue":"9.99","currency":"eur"}"#)).events.first)
    #expect(event.revenueMicros == 9_990_000)
    #expect(try dimensions(event).currency == "EUR")
  }

  @Test(
    "Times are ISO 8601, milliseconds or an age; only a clock that was read is corrected",
    arguments: [
      ("", testNow, 0),
      (#","timestamp":"2026-11-01T12:00:00Z""#, 1_793_534_400_000_000, 5_000_000),
      (#","timestamp":1793534400123"#, 1_793_534_400_123_000, 5_000_000),
      (#","timestamp":null,"offset":2500"#, testNow - 2_500_000, 0),
      (#","timestamp":"2026-11-01T12:00:00Z","offset":9"#, 1_793_534_400_000_000, 5_000_000),
      (
        #","timestamp":"2026-11-01T12:00:00Z","properties":{"$ignore_sent_at":true}"#,
        1_793_534_400_000_000, 0
      ),
      (
        #","timestamp":"2026-11-01T12:00:00Z","options":{"disable_skew_correction":true}"#,
        1_793_534_400_000_000, 0
      ),
    ] as [(String, Int64, Int64)])
  func times(_ members: String, _ time: Int64, _ sentAt: Int64) throws {
    let event = try #require(
      try batch(
        #"{"event":"x","distinct_id":"u"\#(members)}"#, rest: #","sent_at":"1970-01-01T00:00:05Z""#
      ).events.first)
    #expect(event.eventTime == time)
    #expect(event.sentAt == sentAt)
  }

  @Test("The time of sending comes in the body, in v1's header, or in the query in milliseconds")
  func sentAt() throws {
    let body = Array(#"[\#(capture("x"))]"#.utf8)
    func sentAt(_ query: String, _ headers: [String: String] = [:]) throws -> Int64? {
      try read("POST /e/", query: "token=dev" + query, body: body, headers: headers)
        .events.first?.sentAt
    }
    #expect(try sentAt("&_=1793534401000&ver=1.2") == 1_793_534_401_000_000)
    #expect(try sentAt("&_=1793534401") == 0, "seconds are too coarse")
    #expect(try sentAt("&_=later") == 0)
    #expect(
      try sentAt("", ["posthog-request-timestamp": "2026-11-01T12:00:01Z"])
        == 1_793_534_401_000_000)
  }

  @Test("One event, an array and a batch are read alike, at every address, with and without slash")
  func forms() throws {
    let event = capture("click")
    let keyed = String(event.dropLast()) + #","api_key":"dev"}"#
    for path in PostHogProtocol.v0Paths.flatMap({ [$0, $0 + "/"] }) {
      for body in [
        keyed, "[\(keyed)]", "[\(keyed),\(keyed)]", #"{"token":"dev","batch":[\#(event)]}"#,
      ] {
        let reading = try send(body, path: "POST " + path)
        #expect(reading.events.first?.kind == .click, "\(path) \(body)")
        #expect(reading.rejected.isEmpty)
      }
    }
  }

  @Test("A profile needs no name at its own address alone")
  func engage() throws {
    let body = #"{"$distinct_id":"u1","$set":{"plan":"pro"},"token":"dev"}"#
    #expect(try send(body, path: "POST /engage/").events.first?.name == "$identify")
    #expect(try send(body, path: "POST /e/").refused?.code == .noEventName)
  }

  @Test(
    "The key is the project's, in the body, in the query or as Bearer; the body's counts first",
    arguments: [
      (#"{"api_key":"wk_demo","batch":[E]}"#, "", nil, "shop"),
      (#"{"token":"wk_demo","batch":[E]}"#, "", nil, "shop"),
      (#"{"batch":[E],"api_key":"wk_demo"}"#, "api_key=dev", "Bearer dev", "shop"),
      (#"[{"event":"x","distinct_id":"u","api_key":"wk_demo"}]"#, "", nil, "shop"),
      (#"[{"event":"x","distinct_id":"u","properties":{"token":"wk_demo"}}]"#, "", nil, "shop"),
      (#"{"event":"x","distinct_id":"u","properties":{"token":"wk_demo"}}"#, "", nil, "shop"),
      (#"{"batch":[{"event":"x","distinct_id":"u","token":"wk_demo"}]}"#, "", nil, "shop"),
      ("[E]", "api_key=wk_demo", nil, "shop"), ("[E]", "a=b&token=wk%5Fdemo", "Bearer dev", "shop"),
      ("[E]", "", "Bearer wk_demo", "shop"), ("[E]", "k=wk_demo", nil, "shop"),
      ("[E]", "", nil, "unknown"),
      (#"{"api_key":"nope","batch":[E]}"#, "api_key=dev", nil, "unknown"),
      (#"{"api_key":7,"batch":[E]}"#, "", nil, "unknown"),
      (#"{"api_key":"","batch":[E]}"#, "", "Bearer dev", "default"),
    ] as [(String, String, String?, String)])
  func keys(_ body: String, _ query: String, _ authorization: String?, _ site: String) throws {
    let body = body.replacingOccurrences(of: "E", with: capture("x"))
    let reading = try read(
      "POST /batch/", query: query, body: Array(body.utf8), authorization: authorization)
    let found =
      reading.isUnknownKey ? "unknown" : try dimensions(try #require(reading.events.first)).site
    #expect(found == site, "\(body)")
  }

  @Test("Events of several projects in one request are refused")
  func manyKeys() throws {
    let reading = try send(
      #"[{"event":"x","distinct_id":"u","token":"dev"},{"event":"x","distinct_id":"u","token":"wk_demo"}]"#
    )
    #expect(reading.problem == "many_write_keys")
  }

  @Test(
    "What cannot be an event is refused by itself, and the others are accepted",
    arguments: [
      ("1", .notAnObject), ("null", .notAnObject), ("[]", .notAnObject), ("{}", .noEventName),
      (#"{"distinct_id":"u"}"#, .noEventName), (#"{"event":"","distinct_id":"u"}"#, .noEventName),
      (#"{"event":null,"distinct_id":"u"}"#, .noEventName),
      (#"{"event":7,"distinct_id":"u"}"#, .wrongFieldType),
      (#"{"event":"x"}"#, .noIdentity), (#"{"event":"x","distinct_id":""}"#, .noIdentity),
      (#"{"event":"x","distinct_id":null,"properties":null}"#, .noIdentity),
      (#"{"event":"x","distinct_id":["u"]}"#, .wrongFieldType),
      (#"{"event":"x","distinct_id":"u","properties":7}"#, .wrongFieldType),
      (#"{"event":"x","distinct_id":"u","uuid":{}}"#, .wrongFieldType),
      (#"{"event":"x","distinct_id":"u","timestamp":"yesterday"}"#, .badTimestamp),
      (#"{"event":"x","distinct_id":"u","timestamp":true}"#, .badTimestamp),
      (#"{"event":"x","distinct_id":"u","offset":-1}"#, .badTimestamp),
      (#"{"event":"x","distinct_id":"u","offset":"1"}"#, .badTimestamp),
      (#"{"event":"x","distinct_id":"u","offset":99999999999999}"#, .badTimestamp),
      (#"{"event":"$create_alias","distinct_id":"u"}"#, .noIdentity),
      (#"{"event":"$create_alias","properties":{"alias":"u"}}"#, .noIdentity),
      (#"{"event":"x","distinct_id":"u\u0000"}"#, .nulCharacter),
      (
        #"{"event":"Conversion","distinct_id":"u","properties":{"revenue":"$9"}}"#, .badRevenue
      ),
      (
        #"{"event":"Conversion","distinct_id":"u","properties":{"revenue":1,"currency":"x"}}"#,
        .badCurrency
      ),
    ] as [(String, RejectionCode)])
  func rejected(_ json: String, _ code: RejectionCode) throws {
    let reading = try batch(capture("x"), json, capture("x"))
    #expect(reading.events.count == 2)
    #expect(reading.rejected.count == 1)
    let rejection = try #require(reading.rejected.first)
    #expect(rejection.code == code)
    #expect(rejection.index == 1)
    #expect(rejection.place == "/batch/ batch[1]")
    #expect(text(rejection.body) == json)
  }

  @Test("One event that is refused is the request's refusal")
  func refusedWhole() throws {
    let body = #"{"event":"x","api_key":"dev"}"#
    let refused = try #require(try send(body, path: "POST /capture").refused)
    #expect(refused.code == .noIdentity)
    #expect(refused.place == "/capture")
    #expect(text(refused.body) == body)
  }

  @Test("Text limits count unescaped bytes")
  func textLimits() throws {
    for id in [String(repeating: "x", count: 256), String(repeating: "\\u0041", count: 256)] {
      #expect(try batch(capture("x", id: id)).events.count == 1)
      #expect(try batch(capture("x", id: id + "A")).rejected.first?.code == .textTooLong)
      #expect(try batch(capture(id + "A")).rejected.first?.code == .textTooLong)
    }
  }

  @Test("An event of 900 KiB is accepted, a longer one is refused")
  func eventLimit() throws {
    let room = 900 * 1024 - capture("x", #"{"y":""}"#).utf8.count
    func event(_ padding: Int) -> String {
      capture("x", #"{"y":"\#(String(repeating: "z", count: padding))"}"#)
    }
    #expect(try batch(event(room)).events.count == 1)
    #expect(try batch(event(room + 1)).rejected.first?.code == .eventTooLarge)
  }

  @Test("A batch of 5000 events is accepted; more than 10,000 are refused as a whole")
  func eventCount() throws {
    let many = (0..<5000).map { capture("x", id: "i\($0)") }.joined(separator: ",")
    let reading = try send(#"{"batch":[\#(many)],"api_key":"dev"}"#)
    #expect(Set(reading.events.map(\.key)).count == 5000)
    func ones(_ count: Int) -> String {
      #"{"api_key":"dev","batch":[\#(Array(repeating: "1", count: count).joined(separator: ","))]}"#
    }
    #expect(try send(ones(10_000)).rejected.count == 10_000)
    #expect(try send(ones(10_001)).problem == "too_many_events")
  }

  @Test("An empty batch and an empty array are accepted")
  func empty() throws {
    for reading in [try batch(), try send("[]", query: "token=dev")] {
      #expect(reading.events.isEmpty && reading.rejected.isEmpty && reading.refused == nil)
      #expect(!reading.isUnknownKey && reading.problem == nil)
    }
  }

  @Test("An event without an id has one that its copies share and its neighbours do not")
  func derivedIDs() throws {
    let timed = #"{"event":"x","distinct_id":"u","timestamp":"2026-11-01T12:00:00Z"}"#
    let first = try batch(timed, timed, rest: #","sent_at":"2026-11-01T12:00:01Z""#)
    let second = try batch(timed, timed, rest: #","sent_at":"2026-11-01T12:00:09Z""#)
    #expect(first.events.map(\.id) == second.events.map(\.id))
    #expect(Set(first.events.map(\.id)).count == 2)
    func single(_ sentAt: String) throws -> String? {
      try send(
        #"{"api_key":"dev","event":"x","distinct_id":"u","sent_at":"\#(sentAt)","#
          + #""timestamp":"2026-11-01T12:00:00Z"}"#, path: "POST /e/"
      ).events.first?.id
    }
    #expect(try single("2026-11-01T12:00:01Z") == single("2026-11-01T12:00:09Z"))
    #expect(
      try batch(#"{"event":"x","distinct_id":"u","properties":{"$insert_id":"n1"}}"#).events.first?
        .id
        == "n1")
  }

  @Test("Of events with neither id nor time, each is an event of its own")
  func untimed() throws {
    let untimed = #"{"event":"x","distinct_id":"u"}"#
    #expect(try batch(untimed, untimed).events.map(\.id) == ["unique-1", "unique-2"])
  }

  @Test("A body cut anywhere is refused as a whole")
  func cutAnywhere() throws {
    let body = Array(
      #"{"api_key":"dev","batch":[\#(capture("x", #"{"a":"\u00e9"}"#)),{}]}"#.utf8)
    for length in 0..<body.count {
      let cut = Array(body.prefix(length))
      #expect(try read("POST /batch/", body: cut).problem == "malformed_json", "\(length)")
      let known = try read("POST /batch/", body: cut, authorization: "Bearer dev")
      #expect(known.refused?.code == .malformedJSON, "\(length)")
      #expect(known.refused?.body == cut)
    }
    #expect(try read("POST /batch/", body: body).events.count == 1)
  }

  @Test("A body changed at any byte is never a crash", arguments: [0x00, 0x22, 0x5c, 0x80, 0x7d])
  func changedAnywhere(byte: UInt8) throws {
    let body = Array(#"{"api_key":"dev","batch":[\#(capture("x", #"{"a":"\n☃"}"#))]}"#.utf8)
    for index in body.indices {
      var changed = body
      changed[index] = byte
      for path in ["POST /batch/", "POST /i/v1/analytics/events"] {
        _ = try read(path, body: changed, authorization: basicDev)
      }
    }
  }

  @Test("What is no request at all says what one is", arguments: ["7", "true", #""x""#, "", "  "])
  func noRequest(_ body: String) throws {
    #expect(
      try read("POST /batch/", body: Array(body.utf8), authorization: basicDev).refused?.code
        == .malformedJSON)
  }

  @Test("A second batch in a body is refused")
  func secondBatch() throws {
    #expect(
      try read(
        "POST /batch/", body: Array(#"{"batch":[],"batch":[]}"#.utf8), authorization: basicDev
      ).refused?.code == .malformedJSON)
  }

  @Test(
    "An event of hundreds of kilobytes is read again from its dead letter", arguments: [60, 600])
  func readLongAgain(kilobytes: Int) throws {
    let note = String(repeating: "\\\"note\\\" ", count: kilobytes * 1000 / 9)
    let rejection = try #require(
      try batch(#"{"event":"x","properties":{"note":"\#(note)"}}"#).rejected.first)
    let letter = DeadLetter(
      code: rejection.code.rawValue, detail: rejection.detail,
      place: "posthog \(rejection.place)",
      body: Array(#"{"distinct_id":"u","#.utf8) + rejection.body.dropFirst())
    let stored = try letter.payload.withUnsafeBytes { try DeadLetter(payload: $0) }
    let outcome = DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
      stored, site: "default", source: "posthog/dev", receivedAt: 5, uniqueID: "n")
    guard case .accepted(let events) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(events.first.map { $0.payload.count > kilobytes * 990 } == true)
  }

  @Test("Dead letters of every form can be read again, wherever in a batch they stood")
  func readAgain() throws {
    let broken = #"{"event":"x","properties":{}}"#
    let rejected = [
      try #require(try batch(capture("x"), broken).rejected.first),
      try #require(
        try send(#"[\#(capture("x")),\#(broken)]"#, path: "POST /e/", query: "token=dev")
          .rejected.first),
      try #require(try send(#"{"event":"x","api_key":"dev"}"#, path: "POST /capture/").refused),
    ]
    for rejection in rejected {
      let letter = DeadLetter(
        code: rejection.code.rawValue, detail: rejection.detail,
        place: "posthog \(rejection.place)",
        body: rejection.body.replacing(
          Array(#""event""#.utf8), with: Array(#""distinct_id":"u","event""#.utf8)))
      let outcome = DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
        letter, site: "default", source: "posthog/dev", receivedAt: 5, uniqueID: "n")
      guard case .accepted(let events) = outcome else {
        Issue.record("\(rejection.place): \(outcome)")
        continue
      }
      #expect(events.map(\.name) == ["x"])
      #expect(events.map(\.receivedAt) == [5])
    }
  }
}
