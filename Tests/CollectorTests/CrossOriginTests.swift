import Collector
import HTTPServer
import Metrics
import Ports
import Testing

/// Pages of any origin send, and read why they were refused: else a browser shows them a network that fails,
/// and they send again.
@Suite("Pages of other origins, on every way in and with every refusal")
struct CrossOriginTests {
  private static let page = "Origin: https://a.example\r\n"
  private static let endpoints = ProtocolCatalog.all.flatMap { ingest in
    ingest.endpoints.map { (ingest, $0) }
  }
  private static let others = [
    "/v1/validate", "/v1/projects/dev/settings", "/array/dev/config", "/array/dev/config.js",
    "/sourceConfig", "/sourceConfig/",
  ]

  private func expectReadable(_ answer: RawRequest.Answer, _ statuses: [Int], _ what: String) {
    #expect(statuses.contains(answer.status), "\(what): \(answer.status) \(answer.body)")
    for field in [
      "access-control-allow-origin: https://a.example", "access-control-allow-credentials: true",
      "access-control-expose-headers: retry-after", "vary: origin",
    ] {
      #expect(answer.head.contains(field), "\(what): \(answer.head)")
    }
  }

  @Test("Preflights are answered, also those that name no header")
  func preflights() async throws {
    try await RunningCollector.run(keys: testKeys) { port, _ in
      for path in Set(Self.endpoints.map(\.1.path)).sorted() + Self.others {
        let asked = try await RawRequest.send(
          "OPTIONS", path,
          headers: Self.page + "Access-Control-Request-Method: POST\r\n"
            + "Access-Control-Request-Headers: content-type,x-retry-count\r\n", port: port)
        expectReadable(asked, [200], path)
        #expect(asked.head.contains("access-control-allow-headers: content-type,x-retry-count"))
        #expect(asked.head.contains("access-control-max-age: "))
        let plain = try await RawRequest.send("OPTIONS", path, headers: Self.page, port: port)
        expectReadable(plain, [200], path)
        #expect(
          plain.head.contains(
            "access-control-allow-headers: content-type, authorization, sp-anonymous"))
        #expect(plain.head.contains("access-control-allow-methods: "))
      }
    }
  }

  @Test("Refusals of what was sent can be read")
  func refusals() async throws {
    try await RunningCollector.run(keys: testKeys) { port, _ in
      for (ingest, endpoint) in Self.endpoints {
        let (method, path) = (endpoint.method.name, endpoint.path)
        func send(_ what: String, _ headers: String = "", _ body: String = "", _ statuses: [Int])
          async throws
        {
          let answer = try await RawRequest.send(
            method, path, headers: Self.page + headers, body: Array(body.utf8), port: port)
          expectReadable(answer, statuses, "\(method) \(path) \(what)")
        }
        // A link without an address leads nowhere.
        try await send("without a key", "", "", endpoint.isLink ? [400] : [400, 401])
        let wrong = try await RawRequest.send("PUT", path, headers: Self.page, port: port)
        expectReadable(wrong, [405], "PUT \(path)")
        let tooLong =
          "\(method) \(path) HTTP/1.1\r\nHost: x\r\n\(Self.page)Content-Length: \(ingest.bodyBytesMax + 1)\r\n\r\n"
        expectReadable(
          try await RawRequest.send(Array(tooLong.utf8), port: port), [400], "\(path) too long")
        guard method == "POST" else { continue }
        try await send("with another encoding", "Content-Encoding: br\r\n", "x", [400])
        try await send("with no gzip", "Content-Encoding: gzip\r\n", "x", [400])
        // What only says what is wrong says that.
        let statuses = path.hasPrefix("/debug/") ? [200] : [400]
        try await send("with no JSON", "Authorization: \(basicDev)\r\n", "{", statuses)
      }
      for path in Self.others.dropFirst() {
        let answer = try await RawRequest.send(
          "GET", path.replacing("/dev", with: "/nobody"), headers: Self.page, port: port)
        expectReadable(answer, [401, 404], path)
      }
    }
  }

  @Test("That nothing can be stored now can be read, and when to come again")
  func unavailable() async throws {
    let away = ScriptedPublisher { _, _ in .unavailable("no server") }
    try await RunningCollector.run(keys: testKeys, publisher: away) { port, registry in
      let requests = [
        ("GET", "/p.gif?k=dev", ""), ("POST", "/v1/t?k=dev", #"{"event":"x","userId":"u"}"#),
        ("POST", "/e/", #"{"api_key":"dev","event":"x","distinct_id":"u"}"#),
        ("GET", "/i?aid=dev&e=pv", ""), ("GET", "/matomo.php?idsite=dev&rec=1", ""),
      ]
      for (method, target, body) in requests {
        let answer = try await RawRequest.send(
          method, target, headers: Self.page, body: Array(body.utf8), port: port)
        expectReadable(answer, [503], target)
        #expect(answer.head.contains("retry-after: "))
      }
      let reasons = registry.counter(CollectorMetrics.rejectedRequests)
      let key = testKeys.find("dev")?.id ?? ""
      for name in ["pixel", "segment", "posthog", "snowplow", "matomo"] {
        #expect(reasons.with(name, key, "log_unavailable").value == 1, "\(name)")
      }
    }
  }
}
