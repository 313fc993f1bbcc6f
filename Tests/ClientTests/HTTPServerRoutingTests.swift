import HTTPServer
import Testing

@Suite("HTTP server: routing")
struct HTTPServerRoutingTests {
  private static var routes: Routes {
    var routes = Routes()
    routes.fast(.get, "/ping") { _, _ in FastResponse(pong) }
    routes.on(.get, "/v1/content/{id}/metrics") { request in
      .text("content \(request.parameters["id"] ?? "-")")
    }
    routes.on(.get, "/v1/content/all/metrics") { _ in .text("all") }
    routes.on(.post, "/echo") { request in
      HTTPResponse(
        status: .ok, headers: [(name: "X-Query", value: request.query)],
        body: .bytes(request.body))
    }
    routes.on(.get, "/problem") { _ in
      throw Problem(.conflict, code: "busy", detail: "Say \"please\".", retryAfterSeconds: 3)
    }
    routes.on(.get, "/crash") { _ in throw CancellationError() }
    routes.fast(.get, "/p.gif", options: RouteOptions(crossOrigin: .mirrored)) { _, _ in
      FastResponse(pong)
    }
    return routes
  }

  private func get(_ target: String, method: String = "GET", headers: String = "") async throws
    -> RawConnection.Response
  {
    let response = Shared<RawConnection.Response?>(nil)
    try await withServer(Self.routes) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send("\(method) \(target) HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
      let answer = try await connection.response(toHead: method == "HEAD")
      response.change { $0 = answer }
    }
    return try #require(response.value)
  }

  @Test("A fast route answers with its body, its fields and a date")
  func fastRoute() async throws {
    let answer = try await get("/ping?a=b")
    #expect(answer.status == 200)
    #expect(answer.text == "pong")
    #expect(answer.header("content-type") == "text/plain")
    #expect(answer.header("date")?.hasSuffix(" GMT") == true)
  }

  @Test("HEAD is answered by the GET route without its body")
  func head() async throws {
    let answer = try await get("/ping", method: "HEAD")
    #expect(answer.status == 200)
    #expect(answer.header("content-length") == "4")
  }

  @Test("An unknown path is a 404 problem, also with a trailing slash")
  func notFound() async throws {
    for path in ["/nope", "/ping/", "/", "/v1/content//metrics", "/v1/content/x/metrics/"] {
      let answer = try await get(path)
      #expect(answer.status == 404, "\(path)")
      #expect(answer.header("content-type") == "application/problem+json")
      #expect(answer.text.contains(#""code":"not_found""#))
    }
  }

  @Test("A wrong method is a 405 problem that names the allowed ones")
  func methodNotAllowed() async throws {
    for method in ["POST", "DELETE", "PROPFIND"] {
      let answer = try await get("/ping", method: method)
      #expect(answer.status == 405)
      #expect(answer.header("allow") == "GET, HEAD, OPTIONS")
    }
  }

  @Test("OPTIONS names the allowed methods")
  func options() async throws {
    let answer = try await get("/echo", method: "OPTIONS")
    #expect(answer.status == 200)
    #expect(answer.header("allow") == "POST, OPTIONS")
    #expect(answer.header("access-control-allow-origin") == nil)
  }

  @Test("A parameter is percent-decoded; an exact path wins over a pattern")
  func parameters() async throws {
    #expect(try await get("/v1/content/a%20b%2Fc/metrics").text == "content a b/c")
    #expect(try await get("/v1/content/a+b/metrics").text == "content a+b")
    #expect(try await get("/v1/content/all/metrics").text == "all")
    #expect(try await get("/v1/content/%zz/metrics").status == 400)
    #expect(try await get("/v1/content/%ff/metrics").status == 400)
  }

  @Test("The absolute form of a target is the same route")
  func absoluteForm() async throws {
    #expect(try await get("http://example.org/ping?x=1").text == "pong")
    #expect(try await get("http://example.org").status == 404)
  }

  @Test("A thrown problem is the answer")
  func thrownProblem() async throws {
    let answer = try await get("/problem")
    #expect(answer.status == 409)
    #expect(answer.header("retry-after") == "3")
    #expect(
      answer.text
        == #"{"type":"urn:smartcontent:problem:busy","title":"Conflict","status":409,"#
        + #""detail":"Say \"please\".","code":"busy","message":"Say \"please\"."}"#)
  }

  @Test("Any other error is a 500 that tells nothing")
  func thrownError() async throws {
    let answer = try await get("/crash")
    #expect(answer.status == 500)
    #expect(answer.text.contains(#""code":"internal_error""#))
  }

  @Test("A mirrored route answers any origin, with credentials, and preflights")
  func crossOrigin() async throws {
    let origin = "Origin: https://shop.example\r\n"
    let answer = try await get("/p.gif", headers: origin)
    #expect(answer.header("access-control-allow-origin") == "https://shop.example")
    #expect(answer.header("access-control-allow-credentials") == "true")
    #expect(answer.header("vary") == "Origin")
    let preflight = try await get(
      "/p.gif", method: "OPTIONS",
      headers: origin + "Access-Control-Request-Method: POST\r\n"
        + "Access-Control-Request-Headers: content-type, x-a\r\n")
    #expect(preflight.status == 200)
    #expect(preflight.header("access-control-allow-headers") == "content-type, x-a")
    #expect(preflight.header("access-control-allow-methods") == "GET, HEAD, OPTIONS")
    #expect(preflight.header("access-control-max-age") == "600")
    let plain = try await get("/p.gif", method: "OPTIONS", headers: origin)
    #expect(
      plain.header("access-control-allow-headers") == "Content-Type, Authorization, SP-Anonymous")
    let wrong = try await get("/p.gif", method: "POST", headers: origin)
    #expect(wrong.status == 405)
    #expect(wrong.header("access-control-allow-origin") == "https://shop.example")
  }

  @Test("Other routes and requests without origin have no CORS fields")
  func sameOrigin() async throws {
    let other = try await get("/ping", headers: "Origin: https://shop.example\r\n")
    #expect(other.header("access-control-allow-origin") == nil)
    #expect(try await get("/p.gif").header("access-control-allow-origin") == nil)
  }

  @Test("A line break in a field's value cannot start another field")
  func headerInjection() async throws {
    let line = HeaderText.line("X-Name", "a\r\nSet-Cookie: b\0")
    #expect(String(decoding: line, as: UTF8.self) == "X-Name: a  Set-Cookie: b \r\n")
  }
}
