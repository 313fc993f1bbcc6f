import Collector
import Events
import HTTPServer
import Testing

@Suite("Snowplow protocol")
struct SnowplowProtocolTests {
  private static let post = "POST /com.snowplowanalytics.snowplow/tp2"

  private func get(_ query: String, headers: [String: String] = [:]) throws -> Reading {
    try read("GET /i", query: "aid=dev&" + query, headers: headers)
  }

  private func event(_ query: String, headers: [String: String] = [:]) throws -> IncomingEvent {
    try #require(try get(query, headers: headers).events.first, "\(query)")
  }

  private func batch(_ events: String..., query: String = "") throws -> Reading {
    let body =
      #"{"schema":"iglu:x/payload_data/jsonschema/1-0-4","data":["#
      + events.joined(separator: ",") + "]}"
    return try read(Self.post, query: query, body: Array(body.utf8))
  }

  /// Base 64 of addresses.
  private func encoded(_ json: String, padded: Bool = false) -> String {
    let text = Base64.encode(Array(json.utf8)).map { letter -> Character in
      letter == "+" ? "-" : letter == "/" ? "_" : letter
    }
    return String(text.filter { padded || $0 != "=" })
      .replacing("=", with: "%3D")
  }

  private func selfDescribing(_ name: String, _ data: String, vendor: String = "com.acme") -> String
  {
    #"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","data":"#
      + #"{"schema":"iglu:\#(vendor)/\#(name)/jsonschema/1-0-0","data":\#(data)}}"#
  }

  private func contexts(_ data: String...) -> String {
    let list = data.map { #"{"schema":"iglu:com.acme/content/jsonschema/1-0-0","data":\#($0)}"# }
    return #"{"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-1","data":["#
      + list.joined(separator: ",") + "]}"
  }

  // MARK: What the fields become

  @Test(
    "Types, actions and schemas map to kinds",
    arguments: [
      ("e=pv", .view, "page_view"), ("e=pp", .engagement, "page_ping"),
      ("e=tr", .conversion, "transaction"), ("e=ti", .custom, "transaction_item"),
      ("e=se&se_ca=x&se_ac=click", .click, "click"),
      ("e=se&se_ca=x&se_ac=Content%20Impression", .impression, "Content Impression"),
      ("e=se&se_ca=x&se_ac=Content+Clicked", .click, "Content Clicked"),
      ("e=se&se_ca=x&se_ac=share", .custom, "share"),
    ] as [(String, EventKind, String)])
  func kinds(_ query: String, _ kind: EventKind, _ name: String) throws {
    let event = try event(query)
    #expect(event.kind == kind)
    #expect(event.name == name)
  }

  @Test(
    "A self-describing event is called after its schema",
    arguments: [
      ("conversion", "com.acme", .conversion), ("impression", "com.acme", .impression),
      ("purchase", "com.acme", .custom), ("link_click", "com.acme", .custom),
      ("link_click", "com.snowplowanalytics.snowplow", .click),
      ("button_click", "com.snowplowanalytics.snowplow", .click),
    ] as [(String, String, EventKind)])
  func schemas(_ name: String, _ vendor: String, _ kind: EventKind) throws {
    let json = selfDescribing(name, "{}", vendor: vendor)
    for query in [
      "ue_px=\(encoded(json))", "ue_px=\(encoded(json, padded: true))",
      "ue_pr=\(percentEncoded(json))",
    ] {
      let event = try event("e=ue&" + query)
      #expect(event.kind == kind)
      #expect(event.name == name)
    }
  }

  @Test("Properties come from the event, then its contexts, then its fields, then the address")
  func properties() throws {
    let ofEvent = selfDescribing("x", #"{"campaign_id":"e","other":[1]}"#)
    let ofContexts = contexts(
      #"{"campaign_id":"c1","content_id":"c1"}"#, #"{"content_id":"c2","variant_id":7}"#)
    let all =
      "e=ue&ue_px=\(encoded(ofEvent))&cx=\(encoded(ofContexts))&campaign_id=f&channel=f&variant_id=f"
      + "&se_pr=s&url=https%3A%2F%2Fa.example%2F%3Futm_campaign%3Du"
    #expect(
      try dimensions(try event(all))
        == DimensionTuple(
          site: "default", campaign: "e", content: "c1", variant: "7", channel: "f"))
    #expect(
      try dimensions(
        try event(
          "e=se&se_ac=click&se_pr=c-42&url=https%3A%2F%2Fa.example%2F%3Fx%3D1%26utm_campaign%3D"
            + "spring%2Bsale%23utm_campaign%3Dno"))
        == DimensionTuple(site: "default", campaign: "spring sale", content: "c-42"))
  }

  @Test(
    "An address whose campaign is of no use costs nobody the event",
    arguments: [
      "https://a.example/", "?utm_campaign=", "?utm_campaign=%", "?utm_campaign=%00", "", "?",
      "?utm_campaign=" + String(repeating: "x", count: 257), "#utm_campaign=a",
    ])
  func addresses(_ address: String) throws {
    #expect(try dimensions(try event("e=pv&url=" + percentEncoded(address))).campaign == "")
  }

  @Test("A conversion has its money from the mapping, else from the protocol's own fields")
  func money() throws {
    let mapped = try event(
      "e=ue&ue_px=" + encoded(selfDescribing("conversion", #"{"value":9.99,"currency":"eur"}"#)))
    #expect(mapped.revenueMicros == 9_990_000)
    #expect(try dimensions(mapped).currency == "EUR")
    let structured = try event("e=se&se_ac=conversion&se_va=1.5&tr_tt=7")
    #expect(structured.revenueMicros == 1_500_000)
    #expect(try dimensions(structured).currency == "USD")
    let transaction = try event("e=tr&tr_id=o1&tr_tt=20.50&tr_cu=GBP&se_va=7")
    #expect(transaction.revenueMicros == 20_500_000)
    #expect(try dimensions(transaction).currency == "GBP")
    #expect(try event("e=se&se_ac=click&se_va=1.5").revenueMicros == 0)
    #expect(try event("e=se&se_ac=click&se_va=much").revenueMicros == 0)
  }

  @Test("The true time counts before the device's, and the time of sending is kept apart")
  func times() throws {
    let both = try event("e=pv&ttm=1790000000000&dtm=1795395809072&stm=1795395809000")
    #expect(both.eventTime == 1_790_000_000_000_000)
    #expect(both.sentAt == 1_795_395_809_000_000)
    #expect(try event("e=pv&dtm=1795395809072").eventTime == 1_795_395_809_072_000)
    #expect(try event("e=pv&stm=soon").eventTime == testNow)
    #expect(try event("e=pv&stm=soon").sentAt == 0)
  }

  @Test("The person is the browser, the user who has signed in; with neither it is the event")
  func person() throws {
    func key(_ id: String) -> Key128 { EventIdentity.personKey(site: "default", id: id) }
    func ids(_ query: String, _ headers: [String: String] = [:]) throws -> [Key128] {
      let event = try event("e=pv&eid=e1&" + query, headers: headers)
      return [event.person, event.user]
    }
    let id = "c0ffee00-0000-4000-8000-00000000abcd"
    let cookie = ["cookie": "a=b; sp=\(id); c=d"]
    #expect(try ids("uid=u&duid=d&tnuid=t", cookie) == [key("d"), key("u")])
    #expect(try ids("tnuid=t&nuid=n", cookie) == [key("t"), .zero])
    #expect(try ids("nuid=n", cookie) == [key("n"), .zero])
    #expect(try ids("", cookie) == [key(id), .zero])
    #expect(try ids("uid=u", cookie) == [key(id), key("u")])
    #expect(try ids("uid=u") == [key("u"), key("u")])
    #expect(try ids("") == [key("e1"), .zero])
    #expect(try ids("", ["cookie": "sp=me"]) == [key("e1"), .zero])
  }

  @Test("Who asks for it is known by no address, no cookie and no network id")
  func anonymous() throws {
    let event = try event(
      "e=pv&eid=e1&ip=203.0.113.9&tnuid=t&nuid=n&res=1x1",
      headers: [
        "sp-anonymous": "*", "cookie": "sp=c0ffee00-0000-4000-8000-00000000abcd",
      ])
    #expect(event.person == EventIdentity.personKey(site: "default", id: "e1"))
    #expect(
      text(event.payload)
        == #"{"aid":"dev","e":"pv","eid":"e1","res":"1x1","nuid":"00000000-0000-0000-0000-000000000000"}"#
    )
    let known = try get("e=pv&duid=d", headers: ["sp-anonymous": "*"]).events.first
    #expect(known?.person == EventIdentity.personKey(site: "default", id: "d"))
  }

  @Test("The payload has all fields as they came, the JSON in them readable")
  func payload() throws {
    let event = try event(
      "k=dev&e=ue&eid=e1&x=%22&cx=\(encoded(contexts("{}")))&stm=1795395809000"
        + "&ue_px=\(encoded(selfDescribing("x", #"{"a": [1, "é"]}"#)))",
      headers: ["cookie": "sp=C0FFEE00-0000-4000-8000-00000000ABCD"])
    #expect(
      text(event.payload)
        == #"{"aid":"dev","e":"ue","eid":"e1","x":"\"","ue":"#
        + selfDescribing("x", #"{"a": [1, "é"]}"#) + #","contexts":"# + contexts("{}")
        + #","nuid":"c0ffee00-0000-4000-8000-00000000abcd"}"#)
  }

  // MARK: Ids

  @Test("An event without an id has the same one in every copy, another cookie or not")
  func derivedID() throws {
    let first = try event("e=pv&duid=d&dtm=1795395809072&stm=1795395809000")
    let again = try event(
      "e=pv&duid=d&dtm=1795395809072&stm=1795395999000",
      headers: ["cookie": "sp=c0ffee00-0000-4000-8000-00000000abcd"])
    let other = try event("e=pv&duid=d&dtm=1795395809073&stm=1795395809000")
    #expect(first.key == again.key)
    #expect(first.key != other.key)
    let batch = try batch(
      #"{"aid":"dev","e":"pv","dtm":"1795395809072"}"#,
      #"{"aid":"dev","e":"pv","dtm":"1795395809072"}"#)
    #expect(Set(batch.events.map(\.key)).count == 2, "two of a batch are two")
  }

  @Test("An image without id and time is another event each time it is loaded")
  func uniqueID() throws {
    #expect(try event("e=pv&url=x").id == "unique-1")
    let named = try event("e=pv&eid=e1")
    #expect(named.id == "e1")
    #expect(named.key == EventIdentity.dedupeKey(site: "default", source: "dev", eventID: "e1"))
    #expect(named.source == "snowplow/dev")
  }

  // MARK: Write keys

  @Test("The app id is the write key, else k or an authorization")
  func keys() throws {
    func source(_ query: String, authorization: String? = nil) throws -> String? {
      try read("GET /i", query: query, authorization: authorization).events.first?.source
    }
    #expect(try source("e=pv&aid=wk_demo&k=dev") == "snowplow/web")
    #expect(try source("e=pv&aid=theirs&k=dev") == "snowplow/dev")
    #expect(try source("e=pv&aid=theirs", authorization: basicDev) == "snowplow/dev")
    #expect(try read("GET /i", query: "e=pv&aid=theirs").isUnknownKey)
    #expect(try read("GET /i", query: "e=pv").isUnknownKey)
    #expect(try batch(#"{"e":"pv"}"#).isUnknownKey)
    #expect(try batch(#"{"e":"pv"}"#, #"{"e":"pv","aid":"dev"}"#).events.count == 2)
    #expect(try batch(#"{"e":"pv","aid":"theirs"}"#, query: "k=dev").events.count == 1)
  }

  @Test("Another app's event in a request is refused, and cannot be sent again as if it were ours")
  func mixedKeys() throws {
    let reading = try batch(
      #"{"e":"pv","aid":"dev"}"#, #"{"e":"pv","aid":"wk_demo"}"#, #"{"e":"pv","aid":"theirs"}"#)
    #expect(reading.events.count == 1)
    #expect(reading.rejected.map(\.code) == [.mixedKeys, .mixedKeys])
    #expect(
      reading.rejected.map(\.place) == [
        "/com.snowplowanalytics.snowplow/tp2 data[1].aid",
        "/com.snowplowanalytics.snowplow/tp2 data[2].aid",
      ])
    let ours = try batch(
      #"{"e":"pv","aid":"one"}"#, #"{"e":"pv","aid":"two"}"#, query: "k=dev")
    #expect(ours.events.count == 2, "where app ids are no keys they tell nothing")
  }

  // MARK: Malformed input

  @Test(
    "What cannot be an event is refused with its reason",
    arguments: [
      ("", .noType), ("e=", .noType), ("e=ad", .unknownType), ("e=se", .noEventName),
      ("e=se&se_ac=", .noEventName), ("e=ue", .noEventName), ("e=pv&ttm=yesterday", .badTimestamp),
      ("e=pv&dtm=-1", .badTimestamp), ("e=pv&dtm=99999999999999999999", .badTimestamp),
      ("e=pv&dtm=1.5", .badTimestamp), ("e=pv&x=%", .malformedQuery),
      ("e=pv&x=%ff", .malformedQuery), ("%c3=1&e=pv", .malformedQuery),
      ("e=pv&eid=%00", .nulCharacter), ("e=pv&uid=%00", .nulCharacter),
      ("e=pv&duid=" + String(repeating: "x", count: 257), .textTooLong),
      ("e=se&se_ac=" + String(repeating: "x", count: 257), .textTooLong),
      ("e=se&se_ac=conversion&se_va=much", .badRevenue), ("e=tr&tr_tt=1,50", .badRevenue),
      ("e=tr&tr_tt=1&tr_cu=euro", .badCurrency),
      ("e=pv&cx=e", .malformedJSON), ("e=pv&cx=!!!!", .malformedJSON),
      ("e=pv&cx=e30", .malformedJSON), ("e=pv&cx=W10", .malformedJSON),
      ("e=pv&co={", .malformedJSON), ("e=pv&co={}{}", .malformedJSON),
      ("e=pv&co=1]],[[2", .malformedJSON), ("e=pv&co=null", .malformedJSON),
      ("e=ue&ue_pr={}", .malformedJSON), ("e=pv&ue_pr=1", .malformedJSON),
      (#"e=pv&co={"schema":"iglu:a/b/c/1-0-0","data":{}}"#, .malformedJSON),
      (#"e=pv&co={"schema":"iglu:a/b/c/1-0-0","data":[1]}"#, .malformedJSON),
      (
        #"e=ue&ue_pr={"schema":"iglu:a/b/c/1-0-0","data":{"schema":"b","data":{}}}"#, .malformedJSON
      ),
      (
        #"e=ue&ue_pr={"schema":"iglu:a/b/c/1-0-0","data":{"schema":"iglu:a//c/1","data":{}}}"#,
        .malformedJSON
      ),
      ("e=pv&x=" + String(repeating: "x", count: 65_536), .eventTooLarge),
    ] as [(String, RejectionCode)])
  func refused(_ query: String, _ code: RejectionCode) throws {
    let rejection = try #require(try get(query).refused, "\(query)")
    #expect(rejection.code == code)
    #expect(rejection.place == "/i")
    #expect(text(rejection.body) == String(("aid=dev&" + query).prefix(32_768)))
  }

  @Test("JSON may be as deep as the payload around it leaves room for")
  func depth() throws {
    func query(_ levels: Int) -> String {
      let deep = String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
      return "e=ue&ue_px=" + encoded(selfDescribing("x", deep))
    }
    // Two levels are those of the schemas.
    let deepest = try event(query(JSONScanner.depthMax - 4))
    let whole = Array("[".utf8) + deepest.payload + Array("]".utf8)
    try whole.withUnsafeBytes { bytes in
      var json = JSONScanner(bytes)
      try json.skipValue()
      try json.end()
    }
    #expect(try get(query(JSONScanner.depthMax - 3)).refused?.code == .malformedJSON)
    #expect(try get(query(10_000)).refused?.code == .malformedJSON)
  }

  @Test(
    "A body that is no batch is refused as a whole",
    arguments: [
      "", "{", "[]", "{}", #"{"data":{}}"#, #"{"data":[}"#, #"{"data":[],"data":[]}"#,
      #"{"data":[]} x"#, #"{"data":[{"e":"pv"}"#,
    ])
  func malformedBody(_ body: String) throws {
    let refused = try read(Self.post, query: "k=dev", body: Array(body.utf8)).refused
    #expect(refused?.code == .malformedJSON)
    #expect(refused?.place == "/com.snowplowanalytics.snowplow/tp2")
    #expect(try read(Self.post, body: Array(body.utf8)).problem == "malformed_json")
  }

  @Test("A batch is taken event by event; what is refused can be read again where it stood")
  func batchParts() throws {
    let reading = try batch(
      #"{"e":"pv","aid":"dev","eid":"e0"}"#, "7", #"  {"e": "xx", "n": null}  "#,
      #"{"e":"pv","x":{"a":1}}"#, #"{"e":"pv","eid":"e4","cd":24,"b":true,"uid":null}"#)
    #expect(reading.events.map(\.id) == ["e0", "e4"])
    #expect(text(reading.events[1].payload) == #"{"e":"pv","eid":"e4","cd":"24","b":"true"}"#)
    #expect(reading.rejected.map(\.index) == [1, 2, 3])
    #expect(reading.rejected.map(\.code) == [.notAnObject, .unknownType, .wrongFieldType])
    #expect(
      reading.rejected.map { String($0.place.split(separator: " ")[1]) }
        == ["data[1]", "data[2]", "data[3]"])
    #expect(
      reading.rejected.map { text($0.body) }
        == ["7", #"{"e": "xx", "n": null}"#, #"{"e":"pv","x":{"a":1}}"#])
    let stamped = #"{"e":"pv","aid":"dev","dtm":"1795395809072"}"#
    let there = try batch("0", "[{}]", "\"x\"", stamped)
    #expect(there.rejected.count == 3)
    let before = try batch("{}", "{}", "{}", stamped)
    #expect(there.events.map(\.key) == before.events.map(\.key))
  }

  @Test("A refused query is read again by what posts, which comes first")
  func formBody() throws {
    let reading = try read(
      Self.post, body: Array("aid=dev&e=pv&eid=e1&page=A%20B".utf8))
    #expect(reading.events.map(\.id) == ["e1"])
    let first = ProtocolCatalog.all.flatMap(\.endpoints).first { $0.path.hasSuffix("/tp2") }
    #expect(first?.method == .post)
  }

  @Test("A batch has a limit of events, and the events before it do not count")
  func tooMany() throws {
    func body(_ count: Int) -> [UInt8] {
      let events = Array(repeating: #"{"e":"pv"}"#, count: count).joined(separator: ",")
      return Array(#"{"data":[\#(events)]}"#.utf8)
    }
    #expect(try read(Self.post, query: "k=dev", body: body(2500)).events.count == 2500)
    #expect(try read(Self.post, query: "k=dev", body: body(2501)).problem == "too_many_events")
  }
}

/// For values of a query.
func percentEncoded(_ text: String) -> String {
  text.utf8.map { byte in
    let digits = String(byte, radix: 16)
    return "%" + (digits.count == 1 ? "0" : "") + digits
  }.joined()
}
