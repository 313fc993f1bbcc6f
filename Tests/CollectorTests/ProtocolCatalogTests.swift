import Collector
import Events
import HTTPServer
import Testing

/// Laws that hold for every protocol of the catalog.
@Suite("Protocol catalog")
struct ProtocolCatalogTests {
  static let endpoints = ProtocolCatalog.all.flatMap(\.endpoints).map {
    "\($0.method.name) \($0.path)"
  }

  /// The same numbers for the same seed.
  private struct Generator {
    var state: UInt64
    mutating func next(below bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
  }

  @Test("Names and addresses are unique")
  func unique() {
    let names = ProtocolCatalog.all.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(Set(Self.endpoints).count == Self.endpoints.count)
  }

  @Test("Any bytes become events, a rejection or a refusal, never a crash", arguments: endpoints)
  func anyBytes(endpoint: String) throws {
    var generator = Generator(state: 42)
    let pieces: [String] = [
      "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u00e9", "null", "true", "1", "-", "e9", " ",
      "\"batch\":[", "\"type\":\"track\"", "\"event\":\"Conversion\"", "\"userId\":\"u\"",
      "\"properties\":{", "\"revenue\":", "\"timestamp\":", "\"sentAt\":", "\"writeKey\":\"dev\"",
      "\"distinct_id\":\"u\"", "\"api_key\":\"dev\"", "\"events\":[", "\"client_id\":\"c\"",
      "\"name\":\"click\"", "\"params\":{", "data=", "eyJldmVudCI6", "H4sIAAAA",
      "k=dev", "&", "=", "%", "%41", "t=", "click", "\u{0}", "é", "😀",
      "\"data\":[", "\"aid\":\"dev\"", "\"e\":\"pv\"", "e=pv", "ue_px=", "cx=e30", "ttm=",
      "u=https://",
      "\"requests\":[", "\"?idsite=dev&rec=1&", "rec=1", "c_n=", "cdt=",
      "\"specversion\":\"1.0\"", "\"id\":\"1\"", "\"source\":\"/s\"", "\"data_base64\":",
      "\"e\":[", "\"k\":\"dev\"",
    ]
    for _ in 0..<2000 {
      var text = ""
      for _ in 0..<generator.next(below: 14) { text += pieces[generator.next(below: pieces.count)] }
      for authorization in [nil, basicDev] {
        let reading = try read(
          endpoint, query: text, body: Array(text.utf8), authorization: authorization)
        for event in reading.events {
          #expect(event.id.utf8.count <= 256 && !event.id.isEmpty)
          #expect(try dimensions(event).site == "default")
        }
      }
    }
  }

  @Test("Reading is pure: the same input gives the same events", arguments: endpoints)
  func pure(endpoint: String) throws {
    // What any of the protocols asks for.
    let query =
      "k=dev&t=click&cid=x&uid=u&ts=1767225600123&e=pv&rec=1&u=https%3A%2F%2Fexample.org%2F"
    let event =
      #"{"type":"track","event":"Conversion","name":"purchase","userId":"u","anonymousId":"a","#
      + #""distinct_id":"u","properties":{"value":"1.5"}"#
    let others =
      #","client_id":"c","data":[{"e":"pv"}],"requests":["?rec=1"],"specversion":"1.0","#
      + #""id":"1","source":"/s""#
    let body = Array(
      (event + others + #","batch":["# + event + #"}],"events":["# + event + "}]}").utf8)
    let redirects = RedirectPolicy(isSigned: { _, _, _ in false }, hosts: ["example.org"])
    func once() throws -> Reading {
      try read(
        endpoint, query: query, body: body, authorization: basicDev, redirects: redirects)
    }
    let first = try once()
    let second = try once()
    #expect(first.events.map(\.key) == second.events.map(\.key))
    #expect(first.events.map(\.payload) == second.events.map(\.payload))
    #expect(first.events.isEmpty == Self.storesNothing(endpoint))
  }

  /// Some addresses only say what would become of a request.
  private static func storesNothing(_ endpoint: String) -> Bool { endpoint.contains("/debug/") }

  @Test("Every answer to a stored request is exactly 200")
  func answers() {
    for ingest in ProtocolCatalog.all {
      let answer = ingest.answer(
        StoredAnswer(position: "1~0.1", positionHeader: [], rejected: []))
      #expect(answer.status == .ok, "\(ingest.name)")
    }
  }
}
