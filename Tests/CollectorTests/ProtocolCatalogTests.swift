import Collector
import Events
import Foundation
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
      + "&userId=u&anonymousId=a&event=x"
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

  @Test("The documentation says of every reason what to do")
  func documented() throws {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { folder.deleteLastPathComponent() }
    let page = try String(
      contentsOf: folder.appendingPathComponent("Docs/sending.md"), encoding: .utf8)
    for code in RejectionCode.allCases {
      #expect(
        page.contains("`\(code.rawValue)`"), "add \(code.rawValue) to the table of Docs/sending.md")
    }
  }

  // MARK: Dead letters

  @Test("A refused event of any protocol is read again from its dead letter, and refused the same")
  func refusedAgain() throws {
    for ingest in ProtocolCatalog.all {
      let sample = try #require(
        RefusedSample.all[ingest.name],
        "add a request of \(ingest.name) with a refused event to RefusedSample.all")
      let rejections = try sample.read(bad: [0, 2]).refusals
      #expect(!rejections.isEmpty)
      for rejection in rejections {
        guard case .refused(let again) = sample.readAgain(rejection, ingest.name) else {
          Issue.record(
            "\(ingest.name) \(rejection.place): \(sample.readAgain(rejection, ingest.name))")
          continue
        }
        #expect(again.code == rejection.code && again.detail == rejection.detail)
        #expect(again.place == rejection.place && again.id == rejection.id)
        #expect(again.body == rejection.body)
      }
    }
  }

  @Test("What is accepted now is the event that it would have been the first time")
  func acceptedNow() throws {
    for (name, sample) in RefusedSample.all {
      let first = try sample.read(bad: []).events
      for rejection in try sample.read(bad: [0, 2]).refusals {
        let mended = rejection.body.replacing(Array(sample.bad.utf8), with: Array(sample.good.utf8))
        guard case .accepted(let events) = sample.readAgain(rejection, name, body: mended) else {
          Issue.record("\(name) \(rejection.place)")
          continue
        }
        let before = sample.isBatch ? first[rejection.index] : first[0]
        #expect(events.count == 1, "\(name)")
        let event = try #require(events.first)
        #expect(event.id == before.id && event.key == before.key, "\(name) \(rejection.place)")
        #expect(event.person == before.person && event.user == before.user)
        #expect(event.eventTime == before.eventTime && event.receivedAt == before.receivedAt)
        #expect(event.payload == before.payload)
      }
    }
  }
}

/// A request of a protocol whose events can be made wrong one by one.
struct RefusedSample {
  var address: String
  var query = ""
  var prefix = ""
  /// An event without an id of its own, where the protocol derives one.
  var event: String
  var suffix = ""
  /// What of it is right, and what is not.
  var good: String
  var bad: String
  var isBatch = true

  static let all: [String: RefusedSample] = [
    "pixel": RefusedSample(
      address: "GET /p.gif", event: "k=dev&uid=u&eid=e1&ts=1795424400000",
      good: "ts=1795424400000", bad: "ts=yesterday", isBatch: false),
    "segment": RefusedSample(
      address: "POST /v1/batch", prefix: #"{"writeKey":"dev","batch":["#,
      event:
        #"{"type":"track","event":"x","userId":"u","timestamp":"2026-11-23T09:00:00Z"}"#,
      suffix: "]}", good: "2026-11-23T09:00:00Z", bad: "yesterday"),
    "posthog": RefusedSample(
      address: "POST /batch/", prefix: #"{"api_key":"dev","batch":["#,
      event: #"{"event":"x","distinct_id":"u","timestamp":"2026-11-23T09:00:00Z"}"#,
      suffix: "]}", good: "2026-11-23T09:00:00Z", bad: "yesterday"),
    "ga4": RefusedSample(
      address: "POST /mp/collect", query: "measurement_id=dev",
      prefix: #"{"client_id":"c","user_id":"u","events":["#,
      event: #"{"name":"x","timestamp_micros":1795424400000000,"params":{"a":1}}"#,
      suffix: "]}", good: "1795424400000000", bad: "-1"),
    "snowplow": RefusedSample(
      address: "POST /com.snowplowanalytics.snowplow/tp2",
      prefix: #"{"schema":"iglu:x/payload_data/jsonschema/1-0-4","data":["#,
      event: #"{"e":"pv","aid":"dev","duid":"d","dtm":"1795424400000"}"#, suffix: "]}",
      good: "1795424400000", bad: "yesterday"),
    "matomo": RefusedSample(
      address: "POST /matomo.php", prefix: #"{"requests":["#,
      event: #""?idsite=dev&rec=1&rand=7&_id=a&cdt=1795424400""#, suffix: "]}",
      good: "cdt=1795424400", bad: "cdt=yesterday"),
    "cloudevents": RefusedSample(
      address: "POST /v1/cloudevents", query: "k=dev", prefix: "[",
      event:
        #"{"specversion":"1.0","id":"1","source":"/s","type":"x","time":"2026-11-23T09:00:00Z"}"#,
      suffix: "]", good: "2026-11-23T09:00:00Z", bad: "yesterday"),
    "beacon": RefusedSample(
      address: "POST /v1/e", prefix: #"{"k":"dev","e":["#,
      event: #"{"t":"click","uid":"u","ts":1795424400000}"#, suffix: "]}",
      good: "1795424400000", bad: #""yesterday""#),
    "redirect": RefusedSample(
      address: "GET /r/c",
      event: "k=dev&u=https%3A%2F%2Fexample.org%2F&uid=u&eid=e1&ts=1795424400000",
      good: "ts=1795424400000", bad: "ts=yesterday", isBatch: false),
  ]

  /// - Parameter bad: the places of three events of which are wrong.
  func read(bad places: Set<Int>) throws -> Reading {
    let text = text(bad: places)
    return address.hasPrefix("GET")
      ? try CollectorTests.read(
        address, query: text,
        redirects: RedirectPolicy(isSigned: { _, _, _ in false }, hosts: ["example.org"]))
      : try CollectorTests.read(address, query: query, body: Array(text.utf8))
  }

  /// The query or body.
  func text(bad places: Set<Int>) -> String {
    let events = (0..<(isBatch ? 3 : 1)).map { index in
      places.contains(index) ? event.replacing(good, with: bad) : event
    }
    return prefix + events.joined(separator: ",") + suffix
  }

  func readAgain(
    _ rejection: Rejection, _ name: String, body: [UInt8]? = nil
  ) -> DeadLetterReading.Outcome {
    DeadLetterReading(mapping: CompiledMapping(standardMapping)).read(
      DeadLetter(
        code: rejection.code.rawValue, detail: rejection.detail,
        place: "\(name) \(rejection.place)", body: body ?? rejection.body),
      site: "default", source: "\(name)/dev", receivedAt: testNow, uniqueID: "again")
  }
}

extension Reading {
  var refusals: [Rejection] { rejected + [refused].compactMap(\.self) }
}
