@testable import Collector
import Events
import Testing

@Suite("Matomo protocol")
struct MatomoProtocolTests {
  private func get(_ query: String) throws -> Reading {
    try read("GET /matomo.php", query: "idsite=dev&rec=1&" + query)
  }

  private func event(_ query: String) throws -> IncomingEvent {
    try #require(try get(query).events.first, "\(query)")
  }

  private func bulk(_ requests: String..., rest: String = "", query: String = "") throws -> Reading
  {
    try read(
      "POST /matomo.php", query: query,
      body: Array(#"{"requests":[\#(requests.joined(separator: ","))]\#(rest)}"#.utf8))
  }

  @Test(
    "What a request is about gives its kind and name",
    arguments: [
      ("", .view, "pageview"), ("action_name=Home&url=https://a.example/", .view, "pageview"),
      ("c_n=Ad&c_p=a.png&c_t=https://b.example/&ca=1&url=x", .impression, "content impression"),
      ("c_n=Ad&c_p=a.png&c_i=click&ca=1&url=x", .click, "content interaction"),
      ("c_n=Ad&c_i=", .impression, "content impression"),
      ("e_c=Videos&e_a=Play&e_n=Film&url=x", .custom, "Play"),
      ("e_c=x&e_a=click", .click, "click"), ("e_c=x&e_a=Content+Viewed", .view, "Content Viewed"),
      ("idgoal=1&revenue=5&url=x&action_name=y", .conversion, "goal"),
      ("revenue=5", .conversion, "goal"), ("idgoal=0&ec_id=o1&revenue=5", .conversion, "order"),
      ("idgoal=0&revenue=5&ec_items=%5B%5D", .custom, "cart"),
      ("ping=1&url=x&action_name=y", .engagement, "ping"),
      ("link=https://b.example/&url=https://b.example/", .click, "outlink"),
      ("download=a.pdf", .click, "download"), ("search=shoes&url=x", .custom, "search"),
      ("ca=1&url=x", .custom, "action"),
    ] as [(String, EventKind, String)])
  func kinds(_ query: String, _ kind: EventKind, _ name: String) throws {
    let event = try event(query)
    #expect(event.kind == kind)
    #expect(event.name == name)
  }

  @Test("Content is the name, its variant the piece, unless the mapping finds them")
  func content() throws {
    func tuple(_ query: String) throws -> DimensionTuple { try dimensions(try event(query)) }
    let address = "&url=https%3A%2F%2Fa.example%2F%3Fmtm_campaign%3Dspring"
    #expect(
      try tuple("c_n=Ad&c_p=a.png" + address)
        == DimensionTuple(site: "default", campaign: "spring", content: "Ad", variant: "a.png"))
    #expect(
      try tuple(
        "c_n=Ad&c_p=a.png&content_id=c&variant_id=v&campaign_id=m&channel=mail" + address)
        == DimensionTuple(
          site: "default", campaign: "m", content: "c", variant: "v", channel: "mail"))
    #expect(try tuple("e_c=x&e_a=click&e_n=Film").content == "Film")
    #expect(try tuple("idgoal=1&_rcn=autumn").campaign == "autumn")
    #expect(try tuple("idgoal=1&_rcn=autumn" + address).campaign == "spring")
    for name in ["pk_campaign", "utm_campaign", "mtm_cpn"] {
      #expect(try tuple("url=https%3A%2F%2Fa.example%3F\(name)%3Dx").campaign == "x")
    }
    let long = String(repeating: "x", count: 257)
    #expect(try tuple("c_n=Ad&c_p=\(long)") == DimensionTuple(site: "default", content: "Ad"))
  }

  @Test("A conversion has its money")
  func money() throws {
    #expect(try event("idgoal=1&revenue=9.99").revenueMicros == 9_990_000)
    #expect(try dimensions(try event("idgoal=1&revenue=9.99")).currency == "USD")
    #expect(try event("e_c=x&e_a=conversion&e_v=1.5").revenueMicros == 1_500_000)
    #expect(try event("e_c=x&e_a=click&e_v=1.5").revenueMicros == 0)
  }

  @Test("The person is the visitor, the user who has signed in; with neither it is the event")
  func person() throws {
    func key(_ id: String) -> Key128 { EventIdentity.personKey(site: "default", id: id) }
    func ids(_ query: String) throws -> [Key128] {
      let event = try event(query)
      return [event.person, event.user]
    }
    #expect(try ids("_id=a&cid=c&uid=u") == [key("c"), key("u")])
    #expect(try ids("_id=a") == [key("a"), .zero])
    #expect(try ids("uid=u") == [key("u"), key("u")])
    #expect(try ids("") == [key("unique-1"), .zero])
  }

  @Test(
    "The time is a date, seconds, or an age",
    arguments: [
      ("", testNow), ("cdt=2011-04-05%2000:11:42", 1_301_962_302_000_000),
      ("cdt=2011-04-05+00:11:42", 1_301_962_302_000_000), ("cdt=1301962302", 1_301_962_302_000_000),
      ("cdo=60", testNow - 60_000_000), ("cdt=1301962302&cdo=60", 1_301_962_302_000_000),
    ] as [(String, Int64)])
  func times(_ query: String, _ time: Int64) throws {
    #expect(try event(query).eventTime == time)
  }

  @Test("Ids follow from all fields, of which rand is another one each time")
  func derivedID() throws {
    let first = try event("url=x&rand=1&h=12&cdo=5")
    #expect(try event("url=x&rand=1&h=12&cdo=65").key == first.key, "a queued copy, later")
    #expect(try event("url=x&rand=2&h=12&cdo=5").key != first.key)
    #expect(try event("url=x&h=12").id == "unique-1", "an image in a page is loaded often")
    let batch = try bulk(#""?idsite=dev&rec=1&rand=1""#, #""?idsite=dev&rec=1&rand=1""#)
    #expect(Set(batch.events.map(\.key)).count == 2)
  }

  @Test("The payload has all fields but the secret")
  func payload() throws {
    let event = try event("k=dev&token_auth=secret&url=a%20b&cdo=1&rand=1")
    #expect(
      text(event.payload) == #"{"idsite":"dev","rec":"1","url":"a b","rand":"1"}"#)
    #expect(event.source == "matomo/dev")
  }

  @Test("A form is read with the query before it")
  func form() throws {
    let reading = try read(
      "POST /piwik.php", query: "idsite=dev", body: Array("rec=1&c_n=Ad&rand=1".utf8))
    #expect(reading.events.map(\.kind) == [.impression])
  }

  @Test("The site is the write key, else k or an authorization")
  func keys() throws {
    func source(_ query: String, authorization: String? = nil) throws -> String? {
      try read("GET /matomo.php", query: query, authorization: authorization).events.first?.source
    }
    #expect(try source("rec=1&idsite=wk_demo&k=dev") == "matomo/web")
    #expect(try source("rec=1&idsite=7&k=dev") == "matomo/dev")
    #expect(try source("rec=1&idsite=7", authorization: basicDev) == "matomo/dev")
    #expect(try read("GET /matomo.php", query: "rec=1&idsite=7").isUnknownKey)
    #expect(try read("GET /matomo.php", query: "").isUnknownKey)
    #expect(try bulk(#""?rec=1&idsite=7""#).isUnknownKey)
    let mixed = try bulk(
      #""?rec=1&idsite=dev""#, #""?rec=1&idsite=wk_demo""#, #""?rec=1&idsite=7""#, #""?rec=1""#)
    #expect(mixed.events.count == 2)
    #expect(
      mixed.rejected.map(\.place)
        == ["/matomo.php requests[1].idsite", "/matomo.php requests[2].idsite"])
    #expect(try bulk(#""rec=1&idsite=1""#, #""rec=1&idsite=2""#, query: "k=dev").events.count == 2)
  }

  @Test(
    "What cannot be an event is refused with its reason",
    arguments: [
      ("rec=0", .malformedQuery), ("x=%", .malformedQuery), ("x=%ff", .malformedQuery),
      ("cdt=soon", .badTimestamp), ("cdt=-5", .badTimestamp), ("cdt=99999999999999", .badTimestamp),
      ("cdo=-1", .badTimestamp), ("cdo=9999999999", .badTimestamp), ("cdo=x", .badTimestamp),
      ("uid=%00", .nulCharacter), ("_id=" + String(repeating: "x", count: 257), .textTooLong),
      ("e_a=" + String(repeating: "x", count: 257), .textTooLong),
      ("idgoal=1&revenue=much", .badRevenue),
      ("x=" + String(repeating: "x", count: 65_536), .eventTooLarge),
    ] as [(String, RejectionCode)])
  func refused(_ query: String, _ code: RejectionCode) throws {
    let rejection = try #require(try get(query).refused, "\(query)")
    #expect(rejection.code == code)
    #expect(rejection.place == "/matomo.php")
    #expect(text(rejection.body) == String(("idsite=dev&rec=1&" + query).prefix(32_768)))
    #expect(try read("GET /matomo.php", query: "idsite=dev").refused?.code == .malformedQuery)
  }

  @Test("A batch is taken event by event; what is refused can be read again where it stood")
  func batchParts() throws {
    let reading = try bulk(
      #""?idsite=dev&rec=1&rand=1&c_n=A\u0064""#, "7", #""?rec=0""#,
      #""idsite=dev&rec=1&rand=2&url=é""#, #"{"rec":1}"#, rest: #","send_image":0"#)
    #expect(reading.events.map(\.kind) == [.impression, .view])
    #expect(try dimensions(reading.events[0]).content == "Ad")
    #expect(reading.rejected.map(\.index) == [1, 2, 4])
    #expect(reading.rejected.map(\.code) == [.wrongFieldType, .malformedQuery, .wrongFieldType])
    #expect(
      reading.rejected.map(\.place)
        == ["/matomo.php requests[1]", "/matomo.php requests[2]", "/matomo.php requests[4]"])
    #expect(reading.rejected.map { text($0.body) } == ["7", #""?rec=0""#, #"{"rec":1}"#])
    let there = try bulk("0", #""?idsite=dev&rec=1&rand=1""#)
    let before = try bulk(#""?""#, #""?idsite=dev&rec=1&rand=1""#)
    #expect(there.events.map(\.key) == before.events.map(\.key))
  }

  @Test(
    "A body that is no batch is refused as a whole",
    arguments: [
      "{", "{}", #"{"requests":{}}"#, #"{"requests":[}"#, #"{"requests":[],"requests":[]}"#,
      #"{"requests":[]} x"#,
    ])
  func malformedBody(_ body: String) throws {
    let refused = try read("POST /matomo.php", query: "k=dev", body: Array(body.utf8)).refused
    #expect(refused?.code == .malformedJSON)
    #expect(try read("POST /matomo.php", body: Array(body.utf8)).problem == "malformed_json")
  }

  @Test("The secret of the sender's Matomo gets into no dead letter")
  func secret() throws {
    func letters(_ reading: Reading) -> [String] {
      (reading.rejected + (reading.refused.map { [$0] } ?? [])).map { text($0.body) }
    }
    let secret = "token_auth=33dc3f25"
    #expect(
      letters(try get("\(secret)&cdt=soon&token%5Fauth=x"))
        == ["idsite=dev&rec=1&cdt=soon"])
    #expect(
      letters(
        try read(
          "POST /matomo.php", query: secret, body: Array("idsite=dev&\(secret)&x=1".utf8)))
        == ["idsite=dev&x=1"])
    #expect(
      letters(
        try bulk(
          #""?idsite=dev&\#(secret)&x=\"""#, #""?token_auth=33dc3f25&x=1""#,
          #"{"a":1,"token_auth":"33dc3f25"}"#))
        == [#""?idsite=dev&x=\"""#, #""x=1""#, #"{"a":1,""#])
    let torn = try read(
      "POST /matomo.php", query: "k=dev",
      body: Array(#"{"token_auth":"33dc3f25","requests":["#.utf8)
    ).refused
    #expect(torn.map { text($0.body) } == #"{""#)
    #expect(torn?.byteCount == 37)
  }

  @Test("A request has a limit of events")
  func tooMany() throws {
    func body(_ count: Int) -> [UInt8] {
      let requests = Array(repeating: #""rec=1""#, count: count).joined(separator: ",")
      return Array(#"{"requests":[\#(requests)]}"#.utf8)
    }
    let address = "POST /matomo.php"
    #expect(try read(address, query: "k=dev", body: body(2500)).events.count == 2500)
    #expect(try read(address, query: "k=dev", body: body(2501)).problem == "too_many_events")
  }

  // MARK: Over HTTP

  @Test("An event is answered with the GIF, or with 204 and nothing; many with how many were taken")
  func answers() async throws {
    try await IngestRoutesTests().withCollector { port, _ in
      let image = try await RawRequest.send("GET", "/matomo.php?idsite=dev&rec=1", port: port)
      #expect(image.status == 200)
      #expect(image.head.contains("content-type: image/gif"))
      let none = try await RawRequest.send(
        "POST", "/piwik.php", body: Array("idsite=dev&rec=1&send_image=0".utf8), port: port)
      #expect(none.status == 204)
      #expect(!none.head.contains("content-length"))
      #expect(none.head.contains("smartcontent-position: 1~"))
      #expect(none.body.isEmpty)
      let many = try await RawRequest.send(
        "POST", "/matomo.php",
        body: Array(#"{"requests":["?idsite=dev&rec=1",7,"?rec=1"]}"#.utf8), port: port)
      #expect(many.status == 200)
      #expect(
        many.body == #"{"status":"success","tracked":2,"invalid":1,"invalid_indices":[1]}"#)
      let all = try await RawRequest.send(
        "POST", "/matomo.php?k=dev", body: Array(#"{"requests":[7]}"#.utf8), port: port)
      #expect(all.status == 400)
    }
  }

  @Test("A connection goes on behind an answer without a body")
  func keepAlive() async throws {
    try await IngestRoutesTests().withCollector { port, _ in
      let first = "GET /matomo.php?idsite=dev&rec=1&send_image=0 HTTP/1.1\r\nHost: x\r\n\r\n"
      let second =
        "GET /matomo.php?idsite=dev&rec=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
      let answers = try await RawRequest.send(Array((first + second).utf8), port: port)
      #expect(answers.status == 204)
      #expect(answers.body.lowercased().contains("http/1.1 200 ok"))
    }
  }
}
