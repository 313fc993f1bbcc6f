@testable import Collector
import Events
import HTTPServer
import Ports
import Testing

@Suite("Snowplow over HTTP")
struct SnowplowRoutesTests {
  private static let post = "/com.snowplowanalytics.snowplow/tp2"
  private static let redirects = RedirectPolicy(
    isSigned: { _, _, _ in false }, hosts: ["shop.example"])
  private static let event = #"{"data":[{"e":"pv","aid":"dev","eid":"e1"}]}"#

  private func withCollector(
    _ publisher: ScriptedPublisher = .storing, _ body: (Int) async throws -> Void
  ) async throws {
    try await IngestRoutesTests().withCollector(publisher, redirects: Self.redirects) { port, _ in
      try await body(port)
    }
  }

  /// The value of `sp` in the answer's cookie.
  private func cookie(_ answer: RawRequest.Answer) -> String? {
    answer.head.firstMatch(
      of: /set-cookie: sp=([-0-9a-f]{36}); path=\/; max-age=31536000; samesite=lax; httponly/
    ).map { String($0.1) }
  }

  @Test("A post is answered with ok, a get with the GIF, and both give the browser a cookie")
  func answers() async throws {
    try await withCollector { port in
      let posted = try await RawRequest.send(
        "POST", Self.post, body: Array(Self.event.utf8), port: port)
      #expect(posted.status == 200)
      #expect(posted.body == "ok")
      #expect(posted.head.contains("smartcontent-position: 1~"))
      var ids = [try #require(cookie(posted))]
      for path in ["/i", "/ice.png", Self.post] {
        let got = try await RawRequest.send("GET", "\(path)?aid=dev&e=pv", port: port)
        #expect(got.status == 200)
        #expect(got.head.contains("content-type: image/gif"))
        #expect(got.head.contains("content-length: 43"))
        #expect(got.head.contains("cache-control: no-cache, no-store, must-revalidate"))
        ids.append(try #require(cookie(got)))
      }
      #expect(Set(ids).count == ids.count, "each browser has its own")
      for id in ids {
        #expect(Array(id)[14] == "4" && "89ab".contains(Array(id)[19]), "a random UUID")
      }
    }
  }

  @Test(
    "Trackers may post to another path where the collector is told so, and dead letters are as ever"
  )
  func otherPath() async throws {
    let path = "/com.acme/track"
    let paths = try SnowplowPaths(" \(path) ,/com.acme/v2")
    let publisher = ScriptedPublisher.storing
    try await RunningCollector.run(
      clock: .system, publisher: publisher,
      routes: { pipeline, registry, routes in
        IngestRoutes(
          keys: testKeys, snowplowPaths: paths, pipeline: pipeline,
          producer: RunningCollector.producer, metrics: registry
        ).add(to: &routes)
      }
    ) { port, _ in
      for other in [path, "/com.acme/v2"] {
        let posted = try await RawRequest.send(
          "POST", other, body: Array(Self.event.utf8), port: port)
        #expect(posted.status == 200 && posted.body == "ok")
        #expect(try await RawRequest.send("GET", "\(other)?aid=dev&e=pv", port: port).status == 200)
      }
      let refused = try await RawRequest.send(
        "POST", path, body: Array(#"{"data":[{"aid":"dev"}]}"#.utf8), port: port)
      #expect(refused.status == 400)
      let told = try await RawRequest.send(
        "POST", "/v1/validate?path=\(path)", body: Array(Self.event.utf8), port: port)
      #expect(told.status == 200 && told.body.contains("accepted"), "\(told.body)")
      #expect(try await RawRequest.send("POST", "/com.acme/v3", port: port).status == 404)
    }
    let places = try publisher.frames.flatMap { frame in
      try frame.frame.withUnsafeBytes { bytes in
        let view = try FrameView(bytes)
        guard view.header.kind == .deadLetters else { return [String]() }
        return try (0..<view.count).map { try DeadLetter(payload: view.payload($0)).place }
      }
    }
    #expect(places == ["snowplow \(Self.post) data[0]"])
  }

  @Test(
    "Paths that are other routes, or none, are refused with what is allowed",
    arguments: [
      "/i", "/v1/batch", "com.acme/v1", "/com.acme/", "/com.acme/a/b", "/com.acme/v?", post,
    ])
  func otherPaths(_ path: String) {
    #expect(throws: SnowplowPathError(path: path)) { try SnowplowPaths(path) }
  }

  @Test("A browser keeps its cookie; who asks to be anonymous gets none")
  func cookies() async throws {
    let id = "c0ffee00-0000-4000-8000-00000000abcd"
    try await withCollector { port in
      let known = try await RawRequest.send(
        "GET", "/i?aid=dev&e=pv", headers: "Cookie: x=y; sp=\(id)\r\n", port: port)
      #expect(cookie(known) == id)
      let anonymous = try await RawRequest.send(
        "GET", "/i?aid=dev&e=pv", headers: "SP-Anonymous: *\r\nCookie: sp=\(id)\r\n", port: port)
      #expect(anonymous.status == 200)
      #expect(!anonymous.head.contains("set-cookie"))
    }
  }

  @Test("HEAD counts nothing")
  func head() async throws {
    let publisher = ScriptedPublisher.storing
    try await withCollector(publisher) { port in
      for path in ["/i", Self.post] {
        let answer = try await RawRequest.send("HEAD", "\(path)?aid=dev&e=pv", port: port)
        #expect(answer.status == 200)
        #expect(answer.body.isEmpty)
      }
      let link = try await RawRequest.send(
        "HEAD", "/r/tp2?aid=dev&u=https://shop.example/a", port: port)
      #expect(link.status == 302)
      #expect(link.head.contains("location: https://shop.example/a"))
    }
    #expect(publisher.frames.isEmpty)
  }

  @Test("Browsers may ask to send anonymously from any page")
  func preflight() async throws {
    try await withCollector { port in
      for path in [Self.post, "/i"] {
        let answer = try await RawRequest.send(
          "OPTIONS", path,
          headers: "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
            + "Access-Control-Request-Headers: content-type,sp-anonymous\r\n", port: port)
        #expect(answer.status == 200)
        #expect(answer.head.contains("access-control-allow-origin: https://a.example"))
        #expect(answer.head.contains("access-control-allow-credentials: true"))
        #expect(answer.head.contains("access-control-allow-headers: content-type,sp-anonymous"))
        #expect(answer.head.contains("access-control-max-age: "))
      }
    }
  }

  @Test("A link leads on with 302 and its click is stored; a refused one leaves a dead letter")
  func link() async throws {
    let publisher = ScriptedPublisher.storing
    try await withCollector(publisher) { port in
      for query in ["eid=e1", "dtm=soon"] {
        let answer = try await RawRequest.send(
          "GET", "/r/tp2?aid=dev&\(query)&u=https%3A%2F%2Fshop.example%2Fa%20b", port: port)
        #expect(answer.status == 302)
        #expect(answer.head.contains("location: https://shop.example/a%20b\r\n"))
        #expect(answer.head.contains("cache-control: no-store"))
        #expect(cookie(answer) != nil)
      }
      let evil = try await RawRequest.send(
        "GET", "/r/tp2?aid=dev&u=https://evil.example/", port: port)
      #expect(evil.status == 400)
      #expect(!evil.head.contains("location"))
      #expect(evil.body.contains(#""code":"destination_not_allowed""#))
    }
    #expect(publisher.frames.count == 2)
    #expect(publisher.frames.last?.stream == "dead-letters")
  }

  @Test("A reader arrives although the log is away or behind")
  func logAway() async throws {
    let publisher = ScriptedPublisher()
    let target = "/r/tp2?aid=dev&u=https://shop.example/"
    try await withCollector(publisher) { port in
      async let pending = RawRequest.send("GET", target, port: port)
      await eventually { publisher.unsettledCount == 1 }
      publisher.settle { _ in .unavailable("no server") }
      let answer = try await pending
      #expect(answer.status == 302)
      #expect(answer.head.contains("location: https://shop.example/\r\n"))
      publisher.becomeAutomatic { _, _ in .unavailable("no server") }
      for _ in 0..<20 {
        #expect(try await RawRequest.send("GET", target, port: port).status == 302)
      }
    }
  }

  @Test(
    "Captured requests are answered 200 byte for byte as they came",
    .enabled(if: Wire.folder != nil, "SKIPPED: the folder shared/wire is not beside the project"))
  func wire() async throws {
    try await withCollector { port in
      for name in ["snowplow-post-b64-00.raw", "snowplow-post-plain-00.raw"] {
        let (head, body) = try Wire.request(name)
        let closing = head.replacing("Connection: keep-alive", with: "Connection: close")
        let answer = try await RawRequest.send(
          Array((closing + "\r\n\r\n").utf8) + body, port: port)
        #expect(answer.status == 200)
        #expect(answer.body == "ok")
      }
    }
  }
}
