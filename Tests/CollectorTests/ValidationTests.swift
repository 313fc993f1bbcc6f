import Collector
import Events
import HTTPServer
import Metrics
import Testing

@Suite("Validation of requests, and the live debugger")
struct ValidationTests {
  /// Removes a property, and keeps out who asks for it, as the gates of consent and privacy do.
  private struct Redacting: EventGate {
    func admit(
      _ event: inout IncomingEvent, _ request: borrowing RequestFacts, _ key: WriteKey
    ) throws(Refusal) -> GateVerdict {
      if request.header("dnt") == "1" { return .drop(reason: "do_not_track") }
      event.payload = event.payload.replacing(
        Array(#","email":"ann@example.org""#.utf8), with: [])
      return .pass
    }
  }

  private static let auth = "Authorization: \(basicDev)\r\n"

  private func withCollector(
    _ body: (Int, ScriptedPublisher, EventDebugger) async throws -> Void
  ) async throws {
    let publisher = ScriptedPublisher.storing
    let debugger = EventDebugger()
    try await RunningCollector.run(
      clock: .system, publisher: publisher,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: testKeys, gates: [Redacting(), SchemaGate(SchemaGateTests.schemas)],
          debugger: debugger, pipeline: pipeline, producer: RunningCollector.producer,
          metrics: registry
        ).add(to: &routes)
        DebugRoutes(debugger, keyID: { testKeys.find($0)?.id }, check: { _ in })
          .declare(on: &routes)
      }
    ) { port, _ in try await body(port, publisher, debugger) }
  }

  private let batch =
    #"{"batch":[{"type":"page","userId":"u","messageId":"m","properties":{"campaign_id":"c","email":"ann@example.org"}},"#
    + #"{"type":"track","event":"Order Completed","userId":"u","properties":{"revenue":"7","currency":"EUR"}},"#
    + #"{"type":"page"}]}"#

  @Test("Each event of a batch is told what would become of it, and nothing is stored")
  func validate() async throws {
    try await withCollector { port, publisher, _ in
      let answer = try await RawRequest.send(
        "POST", "/v1/validate?path=/v1/batch", headers: Self.auth, body: Array(batch.utf8),
        port: port)
      #expect(answer.status == 200)
      let report = try JSONTree(Array(answer.body.utf8))
      #expect(report["accepted"] == .integer(1) && report["rejected"] == .integer(2))
      #expect(report["would_answer"] == .integer(200) && report["protocol"] == .string("segment"))
      guard case .array(let events)? = report["events"] else {
        Issue.record("\(answer.body)")
        return
      }
      #expect(events.map { $0["index"] } == [.integer(0), .integer(1), .integer(2)])
      #expect(
        events.map { $0["outcome"] } == ["accepted", "rejected", "rejected"].map { .string($0) })
      #expect(events[0]["event"]?["dimensions"]?["campaign"] == .string("c"))
      #expect(
        events[0]["changes"]
          == (try JSONTree(
            Array(#"[{"path":"payload.properties.email","change":"removed"}]"#.utf8))))
      #expect(!answer.body.contains("ann@example.org"))
      #expect(events[1]["path"] == .string("$.properties.revenue"))
      #expect(events[1]["expected"] == .string("a number"))
      #expect(events[1]["fix"] == .string("send a number"))
      #expect(events[2]["code"] == .string("no_identity"))
      #expect(events[2]["place"] == .string("/v1/batch batch[2]"))
      #expect(publisher.frames.isEmpty)
    }
  }

  @Test(
    "An endpoint of GET has its query in the path or beside it",
    arguments: [
      "path=/p.gif%3Fk%3Ddev%26cid%3Dspring%26uid%3Du", "path=/p.gif&k=dev&cid=spring&uid=u",
      "k=dev&cid=spring&path=%2Fp.gif&uid=u",
    ])
  func pixel(query: String) async throws {
    try await withCollector { port, publisher, _ in
      let answer = try await RawRequest.send("POST", "/v1/validate?\(query)", port: port)
      #expect(answer.status == 200)
      #expect(answer.body.contains(#""campaign":"spring""#), "\(answer.body)")
      #expect(answer.body.contains(#""kind":"impression""#))
      #expect(publisher.frames.isEmpty)
    }
  }

  @Test("An unknown path is answered with those there are, and a key is needed")
  func unknown() async throws {
    try await withCollector { port, _, _ in
      let answer = try await RawRequest.send("POST", "/v1/validate?path=/v2/batch", port: port)
      #expect(answer.status == 400)
      #expect(answer.body.contains("unknown_path") && answer.body.contains(#""/v1/batch""#))
      let byHeader = try await RawRequest.send(
        "POST", "/v1/validate", headers: "SmartContent-Path: /v1/batch\r\n",
        body: Array(batch.utf8), port: port)
      #expect(byHeader.status == 401)
      let dropped = try await RawRequest.send(
        "POST", "/v1/validate?path=/v1/batch", headers: Self.auth + "DNT: 1\r\n",
        body: Array(batch.utf8), port: port)
      #expect(dropped.body.contains(#""outcome":"dropped","reason":"do_not_track""#))
    }
  }

  // MARK: The debugger

  @Test("Who looks on sees what becomes of events and why, without what gates removed")
  func debug() async throws {
    try await withCollector { port, _, _ in
      func events(_ query: String = "") async throws -> JSONTree {
        let answer = try await RawRequest.send("GET", "/v1/debug/events\(query)", port: port)
        #expect(answer.status == 200 && !answer.body.contains("ann@example.org"))
        return try JSONTree(Array(answer.body.utf8))
      }
      func send() async throws {
        _ = try await RawRequest.send(
          "POST", "/v1/batch", headers: Self.auth, body: Array(batch.utf8), port: port)
      }
      // Nobody looks on yet.
      try await send()
      #expect(try await events()["events"] == .array([]))
      try await send()
      _ = try await RawRequest.send("GET", "/p.gif?k=none", port: port)
      _ = try await RawRequest.send(
        "POST", "/v1/batch", headers: Self.auth + "DNT: 1\r\n", body: Array(batch.utf8), port: port)
      guard case .array(let all)? = try await events()["events"] else { return }
      #expect(
        all.map { $0["outcome"] }
          == [
            "accepted", "rejected", "rejected", "refused", "rejected", "dropped", "dropped",
          ].map { .string($0) })
      #expect(all[0]["event"]?["dimensions"]?["campaign"] == .string("c"))
      #expect(all[3]["code"] == .string("unknown_write_key"))
      #expect(all[5]["code"] == .string("do_not_track"))
      let after = try await events("?after=3&outcome=dropped")
      guard case .array(let some)? = after["events"] else { return }
      #expect(some.count == 2 && after["last"] == .integer(7))
      #expect(try await events("?key=other")["events"] == .array([]))
      // By the key itself, and by its id; who names none that is known has sent by none of them.
      for key in ["dev", testKeys.find("dev")?.id ?? ""] {
        guard case .array(let own)? = try await events("?key=\(key)")["events"] else { return }
        #expect(own.count == 6)
      }
      #expect(try await events("?key=wk_demo")["events"] == .array([]))
      let wrong = try await RawRequest.send("GET", "/v1/debug/events?outcome=x", port: port)
      #expect(wrong.status == 400)
    }
  }

  @Test("Who looks on sees who probably sent each event, and why")
  func verdicts() async throws {
    let debugger = EventDebugger()
    try await RunningCollector.run(
      clock: .system, publisher: ScriptedPublisher.storing,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: testKeys, gates: [PrivacyGate(), BotGate(BotGateTests.rules)], debugger: debugger,
          pipeline: pipeline, producer: RunningCollector.producer, metrics: registry
        ).add(to: &routes)
        DebugRoutes(debugger, check: { _ in }).declare(on: &routes)
      }
    ) { port, _ in
      _ = try await RawRequest.send("GET", "/v1/debug/events", port: port)
      let cases: [(agent: String, label: String, isBot: Bool, reasons: [String])] = [
        (
          "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/126.0.0.0",
          "Chrome 126/Linux/desktop/HeadlessChrome", true, ["headless"]
        ),
        (
          "python-requests/2.31", "python-requests 2/other/other/python-requests", false,
          ["http-library"]
        ),
        (
          "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
          "Firefox 128/Linux/desktop", false, []
        ),
      ]
      for (number, sender) in cases.enumerated() {
        let answer = try await RawRequest.send(
          "GET", "/p.gif?k=dev&t=view&uid=u\(number)&eid=e\(number)",
          headers: "User-Agent: \(sender.agent)\r\n", port: port)
        #expect(answer.status == 200)
      }
      let page = try await RawRequest.send("GET", "/v1/debug/events", port: port)
      guard case .array(let shown)? = try JSONTree(Array(page.body.utf8))["events"] else {
        Issue.record("\(page.body)")
        return
      }
      try #require(shown.count == cases.count)
      for (entry, sender) in zip(shown, cases) {
        let event = entry["event"]
        #expect(event?["agent"] == .string(sender.label))
        #expect(event?["bot"]?["is_bot"] == .bool(sender.isBot))
        #expect(event?["bot"]?["rules_version"] == .integer(3))
        #expect(event?["bot"]?["reasons"] == .array(sender.reasons.map { .string($0) }))
      }
    }
  }
}
