import Collector
import Events
import Foundation
import Testing

@Suite("CloudEvents protocol")
struct CloudEventsProtocolTests {
  static let structuredType = "application/cloudevents+json"
  static let batchType = "application/cloudevents-batch+json"

  private func structured(_ json: String, type: String? = structuredType) throws -> Reading {
    try read(
      "/v1/cloudevents", body: Array(json.utf8), authorization: basicDev,
      headers: type.map { ["content-type": $0] } ?? [:])
  }

  /// One event with the required attributes and these members.
  private func event(_ members: String) throws -> IncomingEvent {
    let reading = try structured(
      #"{"specversion":"1.0","id":"1","source":"/s","type":"org.example.click"\#(members)}"#)
    return try #require(reading.events.first, "\(reading.refused?.detail ?? "")")
  }

  private func binary(
    _ fields: [(name: String, value: String)], type: String? = "application/json", body: String = ""
  ) throws -> Reading {
    let required = [
      (name: "Ce-Specversion", value: "1.0"), (name: "CE-ID", value: "1"),
      (name: "ce-source", value: "/s"), (name: "ce-type", value: "org.example.click"),
    ]
    return try read(
      "/ce", body: Array(body.utf8), authorization: basicDev,
      fields: required + fields + (type.map { [(name: "Content-Type", value: $0)] } ?? []))
  }

  // MARK: What an event means

  @Test("Attributes and data have their places in the event")
  func places() throws {
    let json =
      #"{"specversion":"1.0","id":"e-1","source":"/cms/eu","type":"org.example.conversion","#
      + #""time":"2026-11-01T12:00:00.5+01:00","subject":"not this","userid":"u1","ext":true,"#
      + #""data":{"campaign_id":"spring","content_id":"c-42","variant_id":"b","channel":"mail","#
      + #""revenue":9.99,"currency":"eur","more":[1,2]}}"#
    let event = try #require(try structured(json).events.first)
    #expect(event.kind == .conversion)
    #expect(event.name == "org.example.conversion")
    #expect(event.id == "/cms/eu e-1")
    #expect(event.source == "cloudevents/dev")
    #expect(event.eventTime == Timestamp.parse("2026-11-01T11:00:00.5Z"))
    #expect(event.receivedAt == testNow)
    #expect(event.revenueMicros == 9_990_000)
    #expect(event.person == EventIdentity.personKey(site: "default", id: "u1"))
    #expect(event.user == event.person)
    #expect(
      try dimensions(event)
        == DimensionTuple(
          site: "default", campaign: "spring", content: "c-42", variant: "b", channel: "mail",
          currency: "EUR"))
    #expect(text(event.payload) == json)
  }

  @Test(
    "The kind is what the mapping says of the whole type, else of its last word",
    arguments: [
      ("click", .click), ("org.example.click", .click), ("org.example.Content Clicked", .click),
      ("Content Viewed", .view), ("org.example.content.viewed", .custom), ("com.", .custom),
      (".impression", .impression),
    ] as [(String, EventKind)])
  func kinds(_ type: String, _ kind: EventKind) throws {
    let reading = try structured(
      #"{"specversion":"1.0","id":"1","source":"/s","type":"\#(type)"}"#)
    #expect(reading.events.first?.kind == kind)
  }

  @Test("The subject is the content where the data names none")
  func subject() throws {
    #expect(try dimensions(event(#","subject":"c-1""#)).content == "c-1")
    #expect(
      try dimensions(event(#","data":{"content_id":"c-2"},"subject":"c-1""#)).content == "c-2")
    #expect(
      try dimensions(event(#","data":{"content_id":""},"subject":"c-1""#)).content == "c-1")
    #expect(try dimensions(event("")).content == "")
  }

  @Test("The person is that of the attributes, else that of the data, else the event's own")
  func person() throws {
    func ids(_ members: String) throws -> [Key128] {
      let event = try event(members)
      return [event.person, event.user]
    }
    func key(_ id: String) -> Key128 { EventIdentity.personKey(site: "default", id: id) }
    #expect(try ids("") == [key("/s 1"), .zero])
    #expect(try ids(#","userid":"u1","anonymousid":"a1""#) == [key("a1"), key("u1")])
    #expect(try ids(#","data":{"userId":"u1","anonymousId":"a1"}"#) == [key("a1"), key("u1")])
    #expect(try ids(#","data":{"user_id":7,"anonymous_id":null}"#) == [key("7"), key("7")])
    #expect(
      try ids(#","userid":"u1","data":{"userId":"u2","anonymousId":"a2"}"#)
        == [key("u1"), key("u1")], "ids of two places are not mixed")
    let alias = try structured(
      #"{"specversion":"1.0","id":"1","source":"/s","type":"org.example.alias","userid":"u1","#
        + #""previousid":"p1"}"#)
    #expect(alias.events.first?.person == key("p1"))
    #expect(alias.events.first?.user == key("u1"))
  }

  @Test("Source and id together are the identity, however they are long")
  func identity() throws {
    func id(_ source: String, _ id: String) throws -> String {
      let reading = try structured(
        #"{"specversion":"1.0","id":"\#(id)","source":"\#(source)","type":"t"}"#)
      return try #require(reading.events.first).id
    }
    #expect(try id("/a", "b c") == "/a b c")
    #expect(try id("/a", "1") != id("/b", "1"))
    let long = String(repeating: "x", count: 252)
    #expect(try id("/a", long + "y") == "/a \(long)y", "256 bytes are an id")
    let hashes = try [
      id("/a", long + "yz"), id("/ax", long + "y"), id("/" + long, "abcdef"),
      id("/" + long + "a", "bcdef"),
    ]
    #expect(hashes.allSatisfy { $0.count == 32 && !$0.contains(" ") })
    #expect(Set(hashes).count == 4)
    #expect(try id("/a", long + "yz") == hashes[0])
  }

  @Test("An attribute that is null is not there")
  func null() throws {
    let event = try event(#","time":null,"subject":null,"userid":null,"data":null"#)
    #expect(event.eventTime == testNow)
    #expect(try dimensions(event).content == "")
  }

  @Test("Bytes in base 64 are read where their type says that they are JSON")
  func base64() throws {
    let data = Base64.encode(Array(#"{"campaign_id":"spring"}"#.utf8))
    #expect(
      try dimensions(
        event(#","datacontenttype":"application/vnd.x+json; a=b","data_base64":"\#(data)""#)
      ).campaign == "spring")
    #expect(try dimensions(event(#","data_base64":"\#(data)""#)).campaign == "")
    #expect(try dimensions(event(#","datacontenttype":"a/b","data_base64":"eA==""#)).site != "")
  }

  // MARK: Modes

  @Test("A binary event is kept in its structured form")
  func binaryForm() throws {
    let reading = try binary(
      [(name: "ce-subject", value: "c%20%E2%82%AC"), (name: "ce-userid", value: "u1")],
      body: #"{ "campaign_id": "spring" }"#)
    let event = try #require(reading.events.first)
    #expect(
      text(event.payload)
        == #"{"specversion":"1.0","id":"1","source":"/s","type":"org.example.click","#
        + #""subject":"c €","userid":"u1","datacontenttype":"application/json","#
        + #""data":{ "campaign_id": "spring" }}"#)
    #expect(event.kind == .click)
    #expect(try dimensions(event).campaign == "spring")
    #expect(try dimensions(event).content == "c €")
    #expect(event.user == EventIdentity.personKey(site: "default", id: "u1"))
  }

  @Test(
    "Data that is not JSON is kept in base 64",
    arguments: [
      ("text/xml", "<a/>", #""datacontenttype":"text/xml","data_base64":"PGEvPg==""#),
      (nil, "<a/>", #""data_base64":"PGEvPg==""#), (nil, "[1]", #""data":[1]"#),
      ("application/json", "", #""datacontenttype":"application/json""#),
      ("image/json", "7", #""datacontenttype":"image/json","data":7"#),
    ] as [(String?, String, String)])
  func binaryData(_ type: String?, _ body: String, _ members: String) throws {
    let event = try #require(try binary([], type: type, body: body).events.first)
    #expect(text(event.payload).hasSuffix(#""type":"org.example.click",\#(members)}"#))
  }

  @Test(
    "Header fields are unquoted and percent-decoded once",
    arguments: [
      ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"), ("a+b", "a+b"), ("%e2%82%ac", "€"),
      ("%2541", "%41"), (#""two words""#, "two words"), (#""a \"b\" \\ %41""#, #"a "b" \ A"#),
      ("100%", "100%"), ("%zz", "%zz"), (#"""#, #"""#), ("é", "é"), ("", ""),
    ])
  func decoding(_ field: String, _ subject: String) throws {
    let reading = try binary([(name: "ce-subject", value: field)])
    #expect(try dimensions(try #require(reading.events.first)).content == subject)
  }

  @Test(
    "A header that cannot be an event's is refused with all that came",
    arguments: [
      ([(name: "ce-subject", value: "%C0%A0")], "application/json", "", .badAttribute),
      // As the server hands on bytes that are no UTF-8: two such ids would be one.
      ([(name: "ce-subject", value: "a\u{fffd}")], "application/json", "", .badAttribute),
      ([(name: "ce-data", value: "x")], "application/json", "", .badAttribute),
      ([(name: "ce-data_base64", value: "eA==")], "text/plain", "x", .badAttribute),
      ([(name: "ce-time", value: "noon")], "application/json", "", .badTimestamp),
      ([], "application/json", "{", .malformedJSON),
    ] as [([(name: String, value: String)], String, String, RejectionCode)])
  func binaryRefused(
    _ fields: [(name: String, value: String)], _ type: String, _ body: String,
    _ code: RejectionCode
  ) throws {
    let rejection = try #require(try binary(fields, type: type, body: body).refused)
    #expect(rejection.code == code)
    #expect(rejection.place == "/ce")
    #expect(text(rejection.body).hasPrefix(#"{"specversion":"1.0","id":"1","source":"/s""#))
  }

  @Test("A batch is accepted event by event; each refused one can be sent again by itself")
  func batch() throws {
    let good = #"{"specversion":"1.0","id":"1","source":"/s","type":"click"}"#
    let bad = #"{"specversion":"1.0","id":"2","source":"/s","type":"click","time":"noon"}"#
    let reading = try read(
      "/v1/cloudevents", body: Array("[\(good), \(bad) ,7,\(good)]".utf8), authorization: basicDev,
      headers: ["content-type": "Application/CloudEvents-Batch+JSON; charset=UTF-8"])
    #expect(reading.events.map(\.id) == ["/s 1", "/s 1"])
    #expect(reading.rejected.map(\.code) == [.badTimestamp, .notAnObject])
    #expect(reading.rejected.map(\.index) == [1, 2])
    #expect(reading.rejected.map(\.place) == ["/v1/cloudevents", "/v1/cloudevents"])
    #expect(text(reading.rejected[0].body) == bad)
  }

  @Test("A batch may be empty, and has a largest size")
  func batchSizes() throws {
    let empty = try structured("[ ]", type: Self.batchType)
    #expect(empty.events.isEmpty && empty.rejected.isEmpty && empty.refused == nil)
    let one = #"{"specversion":"1.0","id":"1","source":"/s","type":"click"}"#
    let most = [String](repeating: one, count: 2500).joined(separator: ",")
    #expect(try structured("[\(most)]", type: Self.batchType).events.count == 2500)
    #expect(try structured("[\(most),1]", type: Self.batchType).problem == "too_many_events")
  }

  @Test("Without the type of CloudEvents the body tells the mode")
  func lenient() throws {
    let one = #"{"specversion":"1.0","id":"1","source":"/s","type":"click"}"#
    #expect(try structured(one, type: nil).events.count == 1)
    #expect(try structured(one, type: "application/json").events.count == 1)
    #expect(try structured(" [\(one)]", type: "application/json").events.count == 1)
    for type in ["text/plain", "application/cloudevents+avro", "application/cloudevents-batch"] {
      #expect(try structured(one, type: type).problem == "no_cloudevent")
    }
  }

  @Test("A missing or unknown key stores nothing")
  func unknownKey() throws {
    #expect(try read("/ce", body: Array("{".utf8)).isUnknownKey)
    #expect(try read("/ce", query: "k=nope").isUnknownKey)
    let one = #"{"specversion":"1.0","id":"1","source":"/s","type":"click"}"#
    let demo = try read("/ce", query: "k=wk_demo", body: Array(one.utf8))
    #expect(demo.events.first?.source == "cloudevents/web")
  }

  @Test(
    "What cannot be an event is refused with its reason",
    arguments: [
      ("7", .notAnObject), ("{", .malformedJSON), ("{} x", .missingAttribute),
      (#"{"id":"1","source":"/s","type":"t"}"#, .missingAttribute),
      (#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#, .badAttribute),
      (#"{"specversion":1.0,"id":"1","source":"/s","type":"t"}"#, .badAttribute),
      (#"{"specversion":"1.0","source":"/s","type":"t"}"#, .missingAttribute),
      (#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#, .missingAttribute),
      (#"{"specversion":"1.0","id":7,"source":"/s","type":"t"}"#, .badAttribute),
      (#"{"specversion":"1.0","id":"1","type":"t"}"#, .missingAttribute),
      (#"{"specversion":"1.0","id":"1","source":"a b","type":"t"}"#, .badAttribute),
      (#"{"specversion":"1.0","id":"1","source":"a\u0000","type":"t"}"#, .badAttribute),
      (#"{"specversion":"1.0","id":"\u0000","source":"/s","type":"t"}"#, .nulCharacter),
      (#"{"specversion":"1.0","id":"1","source":"/s","type":null}"#, .missingAttribute),
      (#"{"specversion":"1.0","id":"1","source":"/s","type":"alias"}"#, .noIdentity),
      (#"{"specversion":"1.0","id":"1","source":"/s","type":"t","userid":[]}"#, .wrongFieldType),
      (
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"eA=="}"#,
        .badAttribute
      ),
      (
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"?"}"#,
        .badAttribute
      ),
      (
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"a/json","#
          + #""data_base64":"eA=="}"#, .malformedJSON
      ),
      (
        #"{"specversion":"1.0","id":"1","source":"/s","type":"conversion","data":{"value":"x"}}"#,
        .badRevenue
      ),
      (
        #"{"specversion":"1.0","id":"1","source":"/s","type":""#
          + String(repeating: "x", count: 257) + #""}"#, .textTooLong
      ),
      (
        #"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":""#
          + String(repeating: "x", count: 65_536) + #""}"#, .eventTooLarge
      ),
    ] as [(String, RejectionCode)])
  func refused(_ json: String, _ code: RejectionCode) throws {
    let rejection = try #require(try structured(json).refused)
    #expect(rejection.code == code)
    #expect(rejection.place == "/v1/cloudevents")
    #expect(rejection.byteCount == json.utf8.count)
  }

  // MARK: Sending again

  @Test("A refused event is read again in its structured form, whatever its mode was")
  func again() throws {
    let bad = try #require(
      try binary([(name: "ce-time", value: "noon")], type: "text/xml", body: "<a/>").refused)
    let letter = DeadLetter(
      code: bad.code.rawValue, detail: bad.detail, place: "cloudevents \(bad.place)",
      body: bad.body)
    let reading = DeadLetterReading(mapping: CompiledMapping(standardMapping))
    guard
      case .refused(let again) = reading.read(
        letter, site: "default", source: "cloudevents/dev", receivedAt: testNow, uniqueID: "x")
    else {
      Issue.record("it is refused again for the same reason")
      return
    }
    #expect(again.code == .badTimestamp)
    let repaired = DeadLetter(
      code: letter.code, detail: "", place: letter.place,
      body: Array(text(bad.body).replacing("noon", with: "2026-11-01T12:00:00Z").utf8))
    guard
      case .accepted(let events) = reading.read(
        repaired, site: "default", source: "cloudevents/dev", receivedAt: testNow, uniqueID: "x")
    else {
      Issue.record("it is accepted when its reason is gone")
      return
    }
    #expect(events.first?.key == (try binary([], body: "").events.first?.key))
  }
}

@Suite(
  "Captured requests of the CloudEvents SDK for Python",
  .enabled(if: Wire.folder != nil, "SKIPPED: the folder shared/wire is not beside the project"))
struct CloudEventsWireTests {
  private func reading(_ name: String) throws -> Reading {
    let (head, body) = try Wire.request(name)
    let fields = head.components(separatedBy: "\r\n").dropFirst().map { line in
      let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
      return (name: parts[0], value: parts[1].trimmingCharacters(in: .whitespaces))
    }
    return try read("/ce", body: body, authorization: basicDev, fields: fields)
  }

  @Test("A binary and a structured request of one event are one event")
  func both() throws {
    let binary = try #require(try reading("ce-00.raw").events.first)
    let structured = try #require(try reading("ce-01.raw").events.first)
    #expect(binary.key == structured.key)
    for event in [binary, structured] {
      #expect(event.id == "/cms/eu e-1")
      #expect(event.name == "org.example.content.viewed")
      #expect(event.eventTime == Timestamp.parse("2026-11-01T12:00:00Z"))
      #expect(try dimensions(event).content == "c-42")
    }
    #expect(
      text(binary.payload)
        == #"{"id":"e-1","source":"/cms/eu","type":"org.example.content.viewed","#
        + #""specversion":"1.0","time":"2026-11-01T12:00:00Z","subject":"c-42","#
        + #""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","#
        + #""datacontenttype":"application/json","data":{"campaign": "spring \u20ac"}}"#)
    #expect(text(structured.payload).hasPrefix(#"{"id": "e-1", "source": "/cms/eu""#))
  }
}
