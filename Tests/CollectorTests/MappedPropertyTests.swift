import Events
import Testing

@testable import Collector

@Suite("Properties that the mapping names, in every protocol")
struct MappedPropertyTests {
  /// Protocols whose events have properties that their senders choose, and where those stand.
  enum Way: String, CaseIterable {
    case segment, posthog, ga4, cloudevents, snowplow

    var path: String {
      switch self {
      case .segment, .posthog: "$.properties."
      case .ga4: "$.params."
      case .cloudevents: "$.data."
      case .snowplow: "$."
      }
    }

    /// A request with one event.
    ///
    /// - Parameters:
    ///   - properties: a JSON object.
    func send(_ name: String, _ properties: String) throws -> Reading {
      switch self {
      case .segment:
        try request(
          "POST /v1/batch",
          #"{"writeKey":"dev","batch":[{"type":"track","event":"\#(name)","userId":"u","properties":\#(properties)}]}"#
        )
      case .posthog:
        try request(
          "POST /batch/",
          #"{"api_key":"dev","batch":[{"event":"\#(name)","distinct_id":"u","properties":\#(properties)}]}"#
        )
      case .ga4:
        try request(
          "POST /mp/collect",
          #"{"client_id":"u","events":[{"name":"\#(name)","params":\#(properties)}]}"#,
          query: "measurement_id=dev")
      case .cloudevents:
        try request(
          "POST /v1/cloudevents",
          #"[{"specversion":"1.0","id":"1","source":"/s","type":"\#(name)","userid":"u","data":\#(properties)}]"#,
          query: "k=dev", contentType: "application/cloudevents-batch+json")
      case .snowplow:
        try request(
          "POST /com.snowplowanalytics.snowplow/tp2",
          #"{"data":[{"e":"ue","aid":"dev","duid":"u","ue_pr":"\#(escaped(selfDescribing(name, properties)))"}]}"#
        )
      }
    }

    private func selfDescribing(_ name: String, _ data: String) -> String {
      #"{"schema":"iglu:a/unstruct_event/jsonschema/1-0-0","data":{"schema":"iglu:a/\#(name)/jsonschema/1-0-0","data":\#(data)}}"#
    }

    private func escaped(_ json: String) -> String {
      json.replacing(#"\"#, with: #"\\"#).replacing(#"""#, with: #"\""#)
    }

    private func request(
      _ address: String, _ body: String, query: String = "",
      contentType: String = "application/json"
    ) throws -> Reading {
      try read(
        address, query: query, body: Array(body.utf8), headers: ["content-type": contentType])
    }
  }

  private static let long = String(repeating: "x", count: 257)

  @Test(
    "A property that cannot be used costs nobody the event", arguments: Way.allCases,
    [
      (#""value":{"a":1}"#, .revenue), (#""value":"\#(long)""#, .revenue),
      (#""channel":["mail","web"]"#, .channel), (#""currency":[]"#, .currency),
      (#""campaign_id":{}"#, .campaign), (#""content_id":"\u0000""#, .content),
    ] as [(String, MappedPart)])
  func unusable(_ way: Way, _ property: (String, MappedPart)) throws {
    let reading = try way.send("Form Submitted", "{\(property.0)}")
    #expect(reading.refusals.isEmpty)
    let event = try #require(reading.events.first)
    #expect(event.notes == [.unnamed, .unusable(property.1)])
    #expect(event.notes.texts.count == 2)
    #expect(try dimensions(event) == DimensionTuple(site: "default"))
  }

  @Test("The money of a conversion has to be right, and its place is told", arguments: Way.allCases)
  func money(_ way: Way) throws {
    for (json, code, name) in [
      (#""revenue":{"a":1}"#, .badRevenue, "revenue"), (#""value":"much""#, .badRevenue, "value"),
      (#""revenue":1,"currency":"euro""#, .badCurrency, "currency"),
    ] as [(String, RejectionCode, String)] {
      let refusal = try #require(try way.send("Order Completed", "{\(json)}").refusals.first)
      #expect(refusal.code == code)
      #expect(refusal.path == way.path + name)
    }
  }

  @Test("An empty text is none", arguments: Way.allCases)
  func empty(_ way: Way) throws {
    for (json, micros, currency) in [
      (#""revenue":"""#, 0, ""), (#""revenue":"","value":5"#, 5_000_000, "USD"),
      (#""value":5,"revenue":"","currency":"""#, 5_000_000, "USD"),
    ] {
      let event = try #require(try way.send("Order Completed", "{\(json)}").events.first)
      #expect(event.kind == .conversion && event.revenueMicros == micros)
      #expect(try dimensions(event).currency == currency)
      #expect(event.notes == [])
    }
  }

  @Test("A dimension that is too long is cut, and stays another one", arguments: Way.allCases)
  func cut(_ way: Way) throws {
    func content(_ text: String) throws -> String {
      let event = try #require(
        try way.send("Content Clicked", #"{"content_id":"\#(text)"}"#).events.first)
      #expect(event.notes == (text.utf8.count > 256 ? [.cut(.content)] : []))
      return try dimensions(event).content
    }
    #expect(try content(String(repeating: "x", count: 256)) == String(repeating: "x", count: 256))
    let (first, second) = (try content(Self.long + "1"), try content(Self.long + "2"))
    #expect(first.utf8.count == 256 && first.hasPrefix("xxx") && first != second)
    #expect(try content(Self.long + "1") == first)
    #expect(try content(String(repeating: "☃", count: 100)).hasPrefix("☃☃☃"))
  }

  @Test("What is personal is not cut in two")
  func personal() throws {
    let text = String(repeating: "x ", count: 116) + "ann@example.org and much, much more of it"
    let fitting = try #require(DimensionText.fitting(text))
    #expect(fitting.utf8.count <= 256 && !fitting.contains("ann"))
    #expect(DimensionText.fitting("a\u{0}b") == nil)
  }

  @Test("Of a batch of like events each is read as if it were alone")
  func alike() throws {
    for (properties, campaign) in [
      (#"{"campaign_id":42,"experiment_id":"TEXT"}"#, "42"),
      (#"{"campaign_id":[],"experiment_id":"TEXT"}"#, nil), (#"[{"campaign_id":"TEXT"}]"#, ""),
    ] as [(String, String?)] {
      let names = ["spring", "summer", "autumn", "winter"]
      let events = names.map { name in
        #"{"type":"track","event":"Content Clicked","userId":"u","messageId":"\#(name)","properties":\#(properties.replacing("TEXT", with: name))}"#
      }
      let body = #"{"writeKey":"dev","batch":[\#(events.joined(separator: ","))]}"#
      let reading = try read("POST /v1/batch", body: Array(body.utf8))
      #expect(
        try reading.events.map { try dimensions($0).campaign } == names.map { campaign ?? $0 })
    }
  }

  // MARK: Campaigns of addresses

  private static let page =
    "https://example.org/?utm_source=news&utm_medium=email&utm_campaign=spring+sale&utm_content=post-1#x"
  private static let found = DimensionTuple(
    site: "default", campaign: "spring sale", content: "post-1", channel: "email")

  @Test(
    "Where the mapping finds nothing, the address of the page and the client's campaign count",
    arguments: [
      ("POST /v1/page", "", #"{"writeKey":"dev","userId":"u","context":{"page":{"url":"PAGE"}}}"#),
      ("POST /v1/page", "", #"{"writeKey":"dev","userId":"u","properties":{"url":"PAGE"}}"#),
      (
        "POST /v1/page", "",
        #"{"writeKey":"dev","userId":"u","context":{"campaign":{"name":"spring sale","source":"news","medium":"email","content":"post-1"}}}"#
      ),
      (
        "POST /capture", "",
        #"{"api_key":"dev","event":"$pageview","distinct_id":"u","properties":{"$current_url":"PAGE"}}"#
      ),
      (
        "POST /capture", "",
        #"{"api_key":"dev","event":"$pageview","distinct_id":"u","properties":{"utm_source":"news","utm_medium":"email","utm_campaign":"spring sale","utm_content":"post-1"}}"#
      ),
      (
        "POST /mp/collect", "measurement_id=dev",
        #"{"client_id":"u","events":[{"name":"page_view","params":{"page_location":"PAGE"}}]}"#
      ),
      ("POST /v1/e", "", #"{"k":"dev","e":[{"t":"view","aid":"u","url":"PAGE"}]}"#),
      (
        "POST /v1/cloudevents", "k=dev",
        #"[{"specversion":"1.0","id":"1","source":"/s","type":"view","data":{"url":"PAGE"}}]"#
      ),
      (
        "POST /com.snowplowanalytics.snowplow/tp2", "",
        #"{"data":[{"e":"pv","aid":"dev","duid":"u","url":"PAGE"}]}"#
      ),
      ("GET /p.gif", "k=dev&t=view&url=ENCODED", ""), ("GET /i", "aid=dev&e=pv&url=ENCODED", ""),
      ("GET /matomo.php", "idsite=dev&rec=1&url=ENCODED", ""),
    ])
  func addresses(_ address: String, _ query: String, _ body: String) throws {
    let encoded = Self.page.replacing("&", with: "%26").replacing("#", with: "%23")
      .replacing("+", with: "%2B")
    let reading = try read(
      address, query: query.replacing("ENCODED", with: encoded),
      body: Array(body.replacing("PAGE", with: Self.page).utf8),
      headers: ["content-type": "application/cloudevents-batch+json"])
    #expect(try dimensions(try #require(reading.events.first)) == Self.found)
  }

  @Test("What the mapping finds counts more than an address")
  func mapped() throws {
    for properties in [
      #"{"url":"\#(Self.page)","campaign_id":"c","channel":"web"}"#,
      #"{"campaign_id":"c","channel":"web","utm_campaign":"x","utm_medium":"y","url":"\#(Self.page)"}"#,
    ] {
      for way in Way.allCases {
        let event = try #require(try way.send("click", properties).events.first)
        #expect(
          try dimensions(event)
            == DimensionTuple(site: "default", campaign: "c", content: "post-1", channel: "web"),
          "\(way)")
      }
    }
  }

  @Test("Only events that no line of the mapping names are told so", arguments: Way.allCases)
  func unnamed(_ way: Way) throws {
    for (name, isUnnamed) in [("Form Submitted", true), ("Order Completed", false)] {
      let event = try #require(try way.send(name, "{}").events.first)
      #expect(event.notes.contains(.unnamed) == isUnnamed, "\(name)")
    }
    #expect(
      try read("GET /p.gif", query: "k=dev&t=custom&n=Form").events.first?.notes == [])
  }
}
