@testable import Collector
import Events
import Foundation
import HTTPServer
import Logging
import Metrics
import Ports
import Testing

@Suite("Ingest over HTTP")
struct IngestRoutesTests {
  /// Runs a collector on a free port in front of the publisher.
  func withCollector(
    _ publisher: ScriptedPublisher = .storing, redirects: RedirectPolicy = .none,
    spool: Spool? = nil, configure: (inout IngestParameters) -> Void = { _ in },
    _ body: (Int, MetricRegistry) async throws -> Void
  ) async throws {
    var log = Logger(label: "test")
    log.logLevel = .critical
    let registry = MetricRegistry()
    let producer = Key128(low: 7, high: 9)
    var parameters = IngestParameters()
    parameters.frameBytesMax = 64 * 1024
    parameters.longFrameBytes = 16 * 1024
    configure(&parameters)
    let pipeline = try IngestPipeline(
      parameters,
      target: IngestTarget(
        generation: IngestGeneration(number: 1, streams: IngestPipelineTests.streams),
        deadLetterStream: "dead-letters",
        producer: producer), publisher: publisher, spool: spool, metrics: registry, log: log)
    pipeline.start()
    var routes = Routes()
    IngestRoutes(
      keys: testKeys, redirects: redirects, pipeline: pipeline, producer: producer,
      metrics: registry
    ).add(to: &routes)
    let server = Server(
      ServerParameters(host: "127.0.0.1", port: 0, eventLoops: 2), routes: routes, log: log)
    let port = try await server.start()
    do {
      try await body(port, registry)
    } catch {
      try await server.shutdown(withinMs: 0)
      await pipeline.stop(withinMs: 0)
      throw error
    }
    try await server.shutdown(withinMs: 0)
    await pipeline.stop(withinMs: 0)
  }

  private static let auth = "Authorization: \(basicDev)\r\n"
  private static let goodEvent = #"{"type":"page","userId":"u","messageId":"m"}"#

  @Test("A pixel is answered with the GIF, uncached, and its position")
  func pixel() async throws {
    try await withCollector { port, registry in
      let answer = try await RawRequest.send(
        "GET", "/p.gif?k=dev&eid=e1&uid=u1", headers: "Origin: https://a.example\r\n", port: port)
      #expect(answer.status == 200)
      #expect(answer.head.contains("content-type: image/gif"))
      #expect(answer.head.contains("no-store"))
      #expect(answer.head.contains("content-length: 43"))
      #expect(answer.head.contains("access-control-allow-origin: https://a.example"))
      #expect(answer.head.contains("smartcontent-position: 1~"))
      #expect(answer.body.hasPrefix("GIF89a"))
      #expect(registry.counter(CollectorMetrics.events).with("pixel").value == 1)
    }
  }

  @Test("What waits in the spool is a 200 that says so and has no position")
  func spooled() async throws {
    try await withFolder { folder in
      let away = ScriptedPublisher { _, _ in .unavailable("no server") }
      try await withCollector(away, spool: try openSpool(folder)) { port, registry in
        let pixel = try await RawRequest.send("GET", "/p.gif?k=dev&eid=e1&uid=u1", port: port)
        #expect(pixel.status == 200)
        #expect(pixel.head.contains("smartcontent-spooled: true"))
        #expect(!pixel.head.contains("smartcontent-position"))
        let batch = try await RawRequest.send(
          "POST", "/v1/batch", headers: Self.auth,
          body: Array("{\"batch\":[\(Self.goodEvent)]}".utf8),
          port: port)
        #expect(batch.status == 200)
        #expect(batch.body == #"{"success":true,"spooled":true}"#)
        #expect(registry.counter(CollectorMetrics.spoolFrames).with("spooled").value == 2)
        #expect(registry.counter(CollectorMetrics.events).with("segment").value == 1)
      }
    }
  }

  @Test("HEAD of a pixel counts nothing")
  func head() async throws {
    let publisher = ScriptedPublisher.storing
    try await withCollector(publisher) { port, _ in
      let answer = try await RawRequest.send("HEAD", "/p.gif?k=dev&eid=e1", port: port)
      #expect(answer.status == 200)
      #expect(answer.head.contains("content-length: 43"))
      #expect(answer.body.isEmpty)
    }
    #expect(publisher.frames.isEmpty)
  }

  @Test("The GIF is the 43 bytes that trackers serve")
  func gif() throws {
    let base64 = "R0lGODlhAQABAPAAAP///wAAACH5BAUAAAAALAAAAAABAAEAAAICRAEAOw=="
    #expect(PixelProtocol.gif == Array(try #require(Data(base64Encoded: base64))))
  }

  @Test("A batch is answered with success and its position, as JSON")
  func batch() async throws {
    try await withCollector { port, _ in
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth,
        body: Array(#"{"batch":[\#(Self.goodEvent)]}"#.utf8), port: port)
      #expect(answer.status == 200)
      #expect(answer.head.contains("content-type: application/json"))
      let position = try #require(answer.body.split(separator: "\"").last { $0.contains("~") })
      #expect(Position(position) != nil)
      #expect(answer.body == #"{"success":true,"position":"\#(position)"}"#)
    }
  }

  @Test("Refused events are named in the answer and stored as dead letters")
  func rejectedEvents() async throws {
    let publisher = ScriptedPublisher.storing
    try await withCollector(publisher) { port, registry in
      let answer = try await RawRequest.send(
        "POST", "/v1/batch/", headers: Self.auth,
        body: Array(#"{"batch":[\#(Self.goodEvent),7]}"#.utf8), port: port)
      #expect(answer.status == 200)
      #expect(
        answer.body.hasSuffix(
          #","rejected":[{"index":1,"code":"event_not_object","#
            + #""message":"an event is a JSON object"}],"rejected_count":1}"#))
      #expect(answer.body.contains(#""position":"1~"#))
      let letters = try #require(publisher.frames.first { $0.stream == "dead-letters" })
      #expect(try letters.header().count == 1)
      #expect(
        registry.counter(CollectorMetrics.rejected).with(
          "segment", testKeys.find("dev")?.id ?? "", "event_not_object"
        ).value == 1)
    }
  }

  @Test("A refused request is a 400 with its reason, after its dead letter is durable")
  func refusedRequest() async throws {
    let publisher = ScriptedPublisher()
    try await withCollector(publisher) { port, _ in
      async let pending = RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth, body: Array("{".utf8), port: port)
      await eventually { publisher.unsettledCount == 1 }
      #expect(publisher.frames.map(\.stream) == ["dead-letters"])
      publisher.store()
      let answer = try await pending
      #expect(answer.status == 400)
      #expect(answer.head.contains("content-type: application/problem+json"))
      #expect(answer.body.contains(#""code":"malformed_json","message":"the JSON ends at byte 1"#))
    }
  }

  @Test("A batch of PostHog's v1 is answered event by event, also where every one is refused")
  func allDropped() async throws {
    let named = #"{"event":"x","uuid":"7"}"#
    let answers: [(events: String, status: Int, words: String)] = [
      (named, 200, #"{"results":{"7":{"result":"drop","details":"an event has a distinct_id"#),
      // One that cannot be named would not be heard of.
      (named + ",1", 400, "no_identity"),
    ]
    try await withCollector { port, _ in
      for (events, status, words) in answers {
        let answer = try await RawRequest.send(
          "POST", "/i/v1/analytics/events", headers: "Authorization: Bearer phc_demo\r\n",
          body: Array(#"{"batch":[\#(events)]}"#.utf8), port: port)
        #expect(answer.status == status)
        #expect(answer.body.contains(words), "\(answer.body)")
      }
    }
  }

  @Test("An unknown key is a 401 and stores nothing")
  func unknownKey() async throws {
    let publisher = ScriptedPublisher.storing
    try await withCollector(publisher) { port, _ in
      #expect(try await RawRequest.send("GET", "/p.gif?k=nope", port: port).status == 401)
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", body: Array(#"{"batch":[\#(Self.goodEvent)]}"#.utf8), port: port)
      #expect(answer.status == 401)
      #expect(answer.body.contains(#""code":"unknown_write_key""#))
    }
    #expect(publisher.frames.isEmpty)
  }

  @Test("Too long a batch is a 400 whatever its form")
  func tooLong() async throws {
    try await withCollector { port, _ in
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth,
        body: [UInt8](repeating: 0x20, count: 5 * 1024 * 1024 + 1), port: port)
      #expect(answer.status == 400)
      #expect(answer.body.contains("body_too_large"))
    }
  }

  @Test("A batch of RudderStack's SDKs, which end one at 4 MiB, is taken")
  func rudderBatch() async throws {
    try await withCollector { port, registry in
      var state: UInt64 = 1
      let note = (0..<1875).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return String(state | 1 << 63, radix: 16)
      }.joined()
      let events = (0..<140).map {
        #"{"type":"track","event":"x","userId":"u\#($0)","messageId":"m\#($0)","properties":{"note":"\#(note)"}}"#
      }
      let body = Array(
        #"{"batch":[\#(events.joined(separator: ","))],"sentAt":"2026-11-23T09:00:00Z"}"#.utf8)
      #expect(body.count > 4 << 20)
      for (headers, body) in [("", body), ("Content-Encoding: gzip\r\n", gzip(body))] {
        let answer = try await RawRequest.send(
          "POST", "/v1/batch", headers: Self.auth + headers, body: body, port: port)
        #expect(answer.status == 200, "\(answer.body)")
      }
      #expect(registry.counter(CollectorMetrics.events).with("segment").value == 280)
    }
  }

  @Test("A compressed batch is inflated; a bomb and a torso are a 400")
  func compressed() async throws {
    try await withCollector { port, _ in
      let headers = Self.auth + "Content-Encoding: gzip\r\n"
      let good = gzip(Array(#"{"batch":[\#(Self.goodEvent)]}"#.utf8))
      #expect(
        try await RawRequest.send("POST", "/v1/batch", headers: headers, body: good, port: port)
          .status == 200)
      #expect(
        try await RawRequest.send("POST", "/v1/batch", headers: Self.auth, body: good, port: port)
          .status == 200, "told by its first bytes")
      let bomb = gzip([UInt8](repeating: 0x20, count: 50_000_000))
      for body in [bomb, Array(good.dropLast(4))] {
        let answer = try await RawRequest.send(
          "POST", "/v1/batch", headers: headers, body: body, port: port)
        #expect(answer.status == 400)
        #expect(answer.body.contains(#""code":"bad_compression""#))
      }
    }
  }

  @Test("With the log away the answer is 503 with Retry-After, and a retry succeeds")
  func logAway() async throws {
    let publisher = ScriptedPublisher { _, _ in .unavailable("no server") }
    try await withCollector(publisher) { port, _ in
      let answer = try await RawRequest.send("GET", "/p.gif?k=dev&eid=e1", port: port)
      #expect(answer.status == 503)
      #expect(answer.head.contains("retry-after: 1"))
      #expect(answer.body.contains(#""code":"log_unavailable""#))
      publisher.becomeAutomatic { _, sequence in .stored(sequence: sequence, duplicate: true) }
      let retry = try await RawRequest.send("GET", "/p.gif?k=dev&eid=e1", port: port)
      #expect(retry.status == 200)
    }
  }

  @Test("A saturated collector refuses before it parses")
  func saturated() async throws {
    let publisher = ScriptedPublisher()
    try await withCollector(
      publisher,
      configure: {
        $0.waitingBytesMax = 65_536
        $0.waitingBytesTotalMax = 65_536
      }
    ) { port, registry in
      let padding = String(repeating: "x", count: 30_000)
      let event = #"{"type":"page","userId":"u","x":"\#(padding)"}"#
      let events = Array(repeating: event, count: 12).joined(separator: ",")
      async let pending = RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth, body: Array(#"{"batch":[\#(events)]}"#.utf8),
        port: port)
      await eventually { publisher.unsettledCount == 2 }
      let answer = try await RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth + "Origin: https://a.example\r\n",
        body: Array("not JSON".utf8), port: port)
      #expect(answer.status == 503)
      #expect(answer.head.contains("retry-after: 1"))
      let refused = registry.counter(CollectorMetrics.requests).with("segment", "refused")
      #expect(refused.value == 1)
      let reasons = registry.counter(CollectorMetrics.rejectedRequests)
      #expect(reasons.with("segment", "none", "overloaded").value == 1)
      #expect(answer.head.contains("access-control-allow-origin: https://a.example"))
      publisher.becomeAutomatic { _, sequence in .stored(sequence: sequence, duplicate: false) }
      publisher.store()
      #expect(try await pending.status == 200)
    }
  }

  @Test("A write key of which too much waits is a 429, and a full partition a 503")
  func shares() async throws {
    let publisher = ScriptedPublisher()
    try await withCollector(
      publisher,
      configure: {
        $0.waitingBytesMax = 65_536
        $0.sharePauseMs = 60_000
      }
    ) { port, registry in
      let padding = String(repeating: "x", count: 30_000)
      func batch(_ user: String, count: Int) -> [UInt8] {
        let event = #"{"type":"page","userId":"\#(user)","x":"\#(padding)"}"#
        let events = Array(repeating: event, count: count).joined(separator: ",")
        return Array(#"{"batch":[\#(events)]}"#.utf8)
      }
      let users = (0...).lazy.map { "u\($0)" }.filter { user in
        KeyGroup.partition(of: EventIdentity.personKey(site: "default", id: user), partitions: 4)
          == 0
      }
      let (hot, other) = (Array(users.prefix(2))[0], Array(users.prefix(2))[1])
      let filling = batch(hot, count: 6)
      async let pending = RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth, body: filling, port: port)
      await eventually { publisher.unsettledCount == 2 }
      let person = try await RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth, body: batch(hot, count: 1), port: port)
      #expect(person.status == 503)
      #expect(person.body.contains(#""code":"overloaded""#))
      // 60 KB wait: more than half of the partition, all by this key; the second is not even parsed.
      for body in [batch(other, count: 1), Array("no JSON".utf8)] {
        let again = try await RawRequest.send(
          "POST", "/v1/batch", headers: Self.auth, body: body, port: port)
        #expect(again.status == 429)
        #expect(again.head.contains("retry-after: 1"))
        #expect(again.body.contains(#""code":"share_exceeded""#))
      }
      let limited = registry.counter(CollectorMetrics.requests).with("segment", "limited")
      #expect(limited.value == 2)
      publisher.becomeAutomatic { _, sequence in .stored(sequence: sequence, duplicate: false) }
      publisher.store()
      #expect(try await pending.status == 200)
    }
  }

  @Test("Browsers may send from any page: preflights are answered")
  func preflight() async throws {
    try await withCollector { port, _ in
      for path in ["/p.gif", "/v1/batch", "/v1/track/"] {
        let answer = try await RawRequest.send(
          "OPTIONS", path,
          headers: "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
            + "Access-Control-Request-Headers: authorization\r\n", port: port)
        #expect(answer.status == 200)
        #expect(answer.head.contains("access-control-allow-origin: https://a.example"))
        #expect(answer.head.contains("access-control-allow-credentials: true"))
        #expect(answer.head.contains("access-control-allow-headers: authorization"))
      }
    }
  }

  @Test(
    "Captured requests are answered 200 byte for byte as they came",
    .enabled(if: Wire.folder != nil, "SKIPPED: the folder shared/wire is not beside the project"))
  func wire() async throws {
    try await withCollector { port, _ in
      for name in ["segment-plain-00.raw", "segment-gzip-00.raw"] {
        let (head, body) = try Wire.request(name)
        let closing = head.replacingOccurrences(
          of: "Connection: keep-alive", with: "Connection: close")
        let answer = try await RawRequest.send(
          Array((closing + "\r\n\r\n").utf8) + body, port: port)
        #expect(answer.status == 200)
        #expect(answer.body.hasPrefix(#"{"success":true,"position":"1~"#))
      }
    }
  }

  @Test("Every metric of the catalog is registered by a running collector")
  func metrics() async throws {
    try await withFolder { folder in
      try await withCollector(spool: try openSpool(folder)) { _, registry in
        let names = Set(registry.declarations.map(\.name))
        for metric in CollectorMetrics.catalog { #expect(names.contains(metric.name)) }
      }
    }
  }
}
