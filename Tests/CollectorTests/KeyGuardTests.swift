import Events
import Metrics
import Testing

@testable import Collector

@Suite("Policies of keys over HTTP")
struct KeyGuardTests {
  private static func key(_ name: String, _ policy: KeyPolicy) -> WriteKey {
    WriteKey(
      key: name, id: "id-\(name)", site: "default", policy: policy,
      mapping: CompiledMapping(standardMapping))
  }

  /// Anew each time: keys remember what they have sent.
  private static var keys: WriteKeyTable {
    WriteKeyTable([
      key("dev", KeyPolicy()),
      key("listed", KeyPolicy(origins: ["https://www.example.org", "https://*.example.net"])),
      key("slow", KeyPolicy(eventsPerSecondMax: 10)),
    ])
  }

  private static let pixel = "/p.gif?uid=u&k="
  private static let event = #"{"type":"page","userId":"u"}"#

  private static func basic(_ key: String) -> String {
    "Authorization: Basic \(Base64.encode(Array("\(key):".utf8)))\r\n"
  }

  private static func batch(_ count: Int, key: String? = nil) -> [UInt8] {
    let events = Array(repeating: event, count: count).joined(separator: ",")
    return Array(#"{"batch":[\#(events)],"writeKey":"\#(key ?? "")"}"#.utf8)
  }

  private func rejected(
    _ metrics: MetricRegistry, _ protocolName: String, _ key: String, _ reason: String
  ) -> Int {
    metrics.counter(CollectorMetrics.rejectedRequests).with(protocolName, key, reason).value
  }

  @Test(
    "Pages that are not listed get 403 and may read why; listed ones are served",
    arguments: [
      (nil, true), ("https://www.example.org", true), ("https://shop.example.net", true),
      ("https://www.example.org.evil.example", false), ("http://www.example.org", false),
      ("null", false),
    ])
  func origins(origin: String?, isAllowed: Bool) async throws {
    let publisher = ScriptedPublisher.storing
    try await RunningCollector.run(keys: Self.keys, publisher: publisher) { port, metrics in
      let header = origin.map { "Origin: \($0)\r\n" } ?? ""
      let inBody = header + "Content-Type: text/plain\r\n"
      let answers = [
        try await RawRequest.send("GET", Self.pixel + "listed", headers: header, port: port),
        try await RawRequest.send(
          "POST", "/v1/batch", headers: header + Self.basic("listed"), body: Self.batch(1),
          port: port),
        try await RawRequest.send(
          "POST", "/v1/b", headers: inBody, body: Self.batch(1, key: "listed"), port: port),
      ]
      for answer in answers {
        #expect(answer.status == (isAllowed ? 200 : 403))
        let mirrored = origin.map { "access-control-allow-origin: \($0)" }
        #expect(answer.head.contains("access-control-") == (origin != nil))
        if let mirrored { #expect(answer.head.contains(mirrored)) }
        if !isAllowed { #expect(answer.body.contains(#""code":"origin_not_allowed""#)) }
      }
      let count = isAllowed ? 0 : 1
      #expect(rejected(metrics, "pixel", "id-listed", "origin_not_allowed") == count)
      #expect(rejected(metrics, "segment", "id-listed", "origin_not_allowed") == 2 * count)
      // Other keys have lists of their own, or none.
      let other = try await RawRequest.send("GET", Self.pixel + "dev", headers: header, port: port)
      #expect(other.status == 200)
    }
    #expect(publisher.frames.isEmpty == false)
  }

  @Test("A preflight is answered for any page, which then may read why it is refused")
  func preflight() async throws {
    try await RunningCollector.run(keys: Self.keys) { port, _ in
      for target in ["/p.gif?k=listed", "/v1/batch?k=listed", "/v1/batch", "/p.gif?k=unknown"] {
        let answer = try await RawRequest.send(
          "OPTIONS", target,
          headers: "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n",
          port: port)
        #expect(answer.status == 200)
        #expect(answer.head.contains("access-control-allow-origin: https://evil.example"))
      }
      for (target, status) in [("/v1/batch?k=listed", 403), ("/v1/batch?k=nobody", 401)] {
        let answer = try await RawRequest.send(
          "POST", target, headers: "Origin: https://evil.example\r\n", body: Self.batch(1),
          port: port)
        #expect(answer.status == status)
        #expect(answer.head.contains("access-control-allow-origin: https://evil.example"))
      }
    }
  }

  @Test(
    "An image, which has no origin, is held against the page that it says to be on",
    arguments: [
      ("https://www.example.org/a?b=https://evil.example/", 200), ("https://www.example.org", 200),
      ("https://shop.example.net:443/x", 200), ("https://evil.example/", 403),
      ("https://evil.example/https://www.example.org/", 403), ("about:blank", 403), ("", 200),
    ])
  func referer(page: String, status: Int) async throws {
    try await RunningCollector.run(keys: Self.keys) { port, _ in
      let header = "Referer: \(page)\r\n"
      for key in ["listed", "dev"] {
        let answer = try await RawRequest.send(
          "GET", Self.pixel + key, headers: header, port: port)
        #expect(answer.status == (key == "dev" ? 200 : status))
      }
      // What is no image says its origin, or is no page.
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", headers: header + Self.basic("listed"), body: Self.batch(1),
        port: port)
      #expect(answer.status == 200)
    }
  }

  @Test("What the server refuses by itself is counted by protocol, key and reason, and shown")
  func refusedByServer() async throws {
    let debugger = EventDebugger()
    let ring = Self.keys
    try await RunningCollector.run(
      clock: .system, publisher: .storing,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: ring, debugger: debugger, pipeline: pipeline, producer: RunningCollector.producer,
          metrics: registry
        ).add(to: &routes)
        DebugRoutes(debugger, check: { _ in }).declare(on: &routes)
      }
    ) { port, metrics in
      _ = try await RawRequest.send("GET", "/v1/debug/events", port: port)
      let long = [UInt8](repeating: 0x20, count: 6_000_000)
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", headers: Self.basic("dev"), body: long, port: port)
      #expect(answer.status == 400)
      #expect(rejected(metrics, "segment", "id-dev", "body_too_large") == 1)
      let requests = metrics.counter(CollectorMetrics.requests)
      #expect(requests.with("segment", "rejected").value == 1)
      let events = Array(repeating: #"{"name":"a"}"#, count: 30).joined(separator: ",")
      for (target, headers, body, protocolName, reason) in [
        (
          "/mp/collect?measurement_id=dev&api_secret=x", "",
          #"{"client_id":"1","events":[\#(events)]}"#, "ga4", "too_many_events"
        ),
        (
          "/v1/batch", Self.basic("dev") + "Content-Encoding: gzip\r\n", "no gzip", "segment",
          "bad_compression"
        ),
        (
          "/v1/cloudevents", Self.basic("dev") + "Content-Type: text/plain\r\n", "x",
          "cloudevents", "no_cloudevent"
        ),
      ] {
        let answer = try await RawRequest.send(
          "POST", target, headers: headers, body: Array(body.utf8), port: port)
        #expect(answer.status == 400, "\(answer.body)")
        #expect(rejected(metrics, protocolName, "id-dev", reason) == 1, "\(answer.body)")
      }
      let shown = try await RawRequest.send("GET", "/v1/debug/events", port: port)
      #expect(shown.body.contains("body_too_large") && shown.body.contains("id-dev"))
    }
  }

  @Test("A key beyond its rate gets 429 until its time has come; other keys are served")
  func rate() async throws {
    let clock = ScriptedClock()
    try await RunningCollector.run(keys: Self.keys, clock: clock.clock) { port, metrics in
      func send(_ count: Int, _ key: String) async throws -> RawRequest.Answer {
        try await RawRequest.send(
          "POST", "/v1/batch", headers: Self.basic(key), body: Self.batch(count), port: port)
      }
      // 45 events at 10 a second: 2 seconds' worth may come at once, the rest is owed.
      #expect(try await send(45, "slow").status == 200)
      let refused = try await send(1, "slow")
      #expect(refused.status == 429)
      #expect(refused.head.contains("\r\nretry-after: 3\r\n"))
      #expect(refused.head.contains("\r\nx-ratelimit-reset: 3\r\n"))
      #expect(refused.head.contains("content-type: application/problem+json"))
      #expect(refused.body.contains(#""code":"rate_limited""#))
      #expect(!refused.body.contains("slow"))
      #expect(try await send(45, "dev").status == 200)
      #expect(
        try await RawRequest.send("GET", Self.pixel + "slow", port: port).status == 429)
      clock.advance(micros: 2_400_000)
      let later = try await send(1, "slow")
      #expect(later.status == 429)
      #expect(later.head.contains("\r\nretry-after: 1\r\n"))
      clock.advance(micros: 200_000)
      #expect(try await send(1, "slow").status == 200)
      #expect(rejected(metrics, "segment", "id-slow", "rate_limited") == 2)
      #expect(rejected(metrics, "pixel", "id-slow", "rate_limited") == 1)
      let requests = metrics.counter(CollectorMetrics.requests)
      #expect(requests.with("segment", "limited").value == 2)
      #expect(metrics.counter(CollectorMetrics.keyEvents).with("id-slow").value == 46)
      #expect(metrics.counter(CollectorMetrics.keyEvents).with("id-dev").value == 45)
    }
  }

  @Test("A key beyond its rate is refused before its body is read, where the request names it")
  func cheap() async throws {
    let clock = ScriptedClock()
    try await RunningCollector.run(keys: Self.keys, clock: clock.clock) { port, _ in
      let notJSON = Array("not JSON".utf8)
      let full = Self.batch(20)
      for (target, headers) in [("/v1/batch", Self.basic("slow")), ("/v1/batch?k=slow", "")] {
        _ = try await RawRequest.send("POST", target, headers: headers, body: full, port: port)
        let answer = try await RawRequest.send(
          "POST", target, headers: headers + "Content-Encoding: gzip\r\n", body: notJSON,
          port: port)
        #expect(answer.status == 429)
      }
      // In the body it has to be read first.
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", body: Self.batch(1, key: "slow"), port: port)
      #expect(answer.status == 429)
    }
  }

  @Test("Refused events count against the rate like others")
  func refusedEvents() async throws {
    let clock = ScriptedClock()
    try await RunningCollector.run(keys: Self.keys, clock: clock.clock) { port, _ in
      var statuses: [Int] = []
      for _ in 0..<22 {
        let answer = try await RawRequest.send(
          "POST", "/v1/batch", body: Array(#"{"writeKey":"slow"}"#.utf8), port: port)
        statuses.append(answer.status)
      }
      #expect(statuses == Array(repeating: 400, count: 20) + [429, 429])
    }
  }

  @Test("Rejections are counted by protocol, key and reason, and show no key")
  func metrics() async throws {
    try await RunningCollector.run(keys: Self.keys) { port, metrics in
      let body = Array(#"{"batch":[\#(Self.event),7,{"type":"page"}]}"#.utf8)
      _ = try await RawRequest.send(
        "POST", "/v1/batch", headers: Self.basic("listed"), body: body, port: port)
      _ = try await RawRequest.send("POST", "/v1/batch", body: Array("{".utf8), port: port)
      _ = try await RawRequest.send(
        "POST", "/v1/batch", headers: "Content-Encoding: br\r\n", body: body, port: port)
      _ = try await RawRequest.send("GET", Self.pixel + "wk_nobody", port: port)
      let text = String(decoding: metrics.exposition(.prometheusText), as: UTF8.self)
      for series in [
        #"rejected_events_total{protocol="segment",key="id-listed",reason="event_not_object"} 1.0"#,
        #"rejected_events_total{protocol="segment",key="id-listed",reason="no_identity"} 1.0"#,
        #"rejected_requests_total{protocol="segment",key="none",reason="malformed_json"} 1.0"#,
        #"rejected_requests_total{protocol="segment",key="none",reason="unsupported_encoding"} 1.0"#,
        #"rejected_requests_total{protocol="pixel",key="none",reason="unknown_write_key"} 1.0"#,
        #"key_events_total{key="id-listed"} 1.0"#,
      ] {
        #expect(text.contains("smartcontent_ingest_\(series)"), "\(series)")
      }
      #expect(!text.contains("wk_nobody"))
    }
  }

  @Test("Keys beyond the first fifty share one series")
  func bounded() {
    let metrics = MetricRegistry()
    let meters = KeyMeters(metrics)
    for number in 0..<200 {
      meters.meter(of: Self.key("\(number)", KeyPolicy())).events.add()
    }
    meters.meter(of: Self.key("7", KeyPolicy())).events.add()
    let events = metrics.counter(CollectorMetrics.keyEvents)
    #expect(events.with("id-7").value == 2)
    #expect(events.with("other").value == 150)
    let text = String(decoding: metrics.exposition(.prometheusText), as: UTF8.self)
    #expect(text.matches(of: /key_events_total\{/).count == 51)
  }
}
