import HTTPServer
import Testing

@Suite("HTTP server: limits")
struct HTTPServerLimitTests {
  private static let get = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"

  private static func routes(admission: (@Sendable () -> FastResponse?)? = nil) -> Routes {
    var routes = Routes()
    routes.fast(.get, "/ping") { _, _ in FastResponse(pong) }
    routes.fast(.get, "/never") { _, _ in nil }
    routes.fast(.post, "/body", options: RouteOptions(maxBodyBytes: 1000)) { _, _ in
      FastResponse(pong)
    }
    routes.fast(.post, "/large", options: RouteOptions(maxBodyBytes: 60_000_000)) { _, _ in
      FastResponse(pong)
    }
    routes.fast(
      .post, "/ingest",
      options: RouteOptions(maxBodyBytes: 1000, bodyTooLarge: .badRequest, admission: admission)
    ) { _, _ in FastResponse(pong) }
    return routes
  }

  @Test("A body that is stated too long is refused before it is sent")
  func statedTooLong() async throws {
    try await withServer(Self.routes()) { _, port in
      let api = try RawConnection(port: port)
      try await api.send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
      let answer = try await api.response()
      #expect(answer.status == 413)
      #expect(answer.header("connection") == "close")
      let ingest = try RawConnection(port: port)
      try await ingest.send("POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
      #expect(try await ingest.response().status == 400)
    }
  }

  @Test("A client that sends its too long body to the end reads the refusal, not a reset")
  func tooLongSentWhole() async throws {
    try await withServer(Self.routes()) { server, port in
      let connection = try RawConnection(port: port)
      try await connection.send(
        "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n")
      for _ in 0..<30 { try await connection.send([UInt8](repeating: 0x20, count: 100_000)) }
      let answer = try await connection.response()
      #expect(answer.status == 400)
      #expect(answer.text.contains("body_too_large"))
      #expect(try await connection.untilClosed() == [])
      #expect(server.bufferedBodyBytes == 0)
    }
  }

  @Test("A chunked body that grows too long is refused")
  func chunkedTooLong() async throws {
    try await withServer(Self.routes()) { server, port in
      let connection = try RawConnection(port: port)
      let chunk = "200\r\n" + String(repeating: "x", count: 512) + "\r\n"
      try await connection.send(
        "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
      #expect(try await connection.response().status == 413)
      #expect(server.bufferedBodyBytes == 0)
    }
  }

  @Test("A header that is too long or has too many fields is a 400, which nobody sends again")
  func headerLimits() async throws {
    try await withServer(
      Self.routes(),
      configure: {
        $0.maxHeaderBytes = 2000
        $0.maxHeaderFields = 20
      }
    ) { _, port in
      let long = String(repeating: "a", count: 3000)
      let many = (0..<30).map { "X-\($0): 1\r\n" }.joined()
      for head in [
        "GET /ping?\(long) HTTP/1.1\r\n", "GET /ping HTTP/1.1\r\nX: \(long)\r\n",
        "GET /ping HTTP/1.1\r\n\(many)",
      ] {
        let connection = try RawConnection(port: port)
        try await connection.send(head + "\r\n")
        #expect(try await connection.response().status == 400)
        #expect(try await connection.untilClosed() == [])
      }
    }
  }

  @Test("A header that never ends, and a connection that never asks, are closed")
  func slowHeader() async throws {
    try await withServer(Self.routes(), configure: { $0.headerTimeoutMs = 100 }) { server, port in
      let slow = try RawConnection(port: port)
      try await slow.send("GET /ping HTTP/1.1\r\nHost:")
      let silent = try RawConnection(port: port)
      #expect(try await slow.untilClosed() == [])
      #expect(try await silent.untilClosed() == [])
      await eventually { server.openConnections == 0 }
    }
  }

  @Test("A header that never ends is closed as soon on a connection that was kept")
  func slowHeaderLater() async throws {
    try await withServer(
      Self.routes(),
      configure: {
        $0.headerTimeoutMs = 100
        $0.idleTimeoutMs = 60_000
      }
    ) { server, port in
      let connection = try RawConnection(port: port)
      try await connection.send(Self.get)
      #expect(try await connection.response().text == "pong")
      try await connection.send("GET /ping HTTP/1.1\r\nHost:")
      #expect(try await connection.untilClosed() == [])
      await eventually { server.openConnections == 0 }
    }
  }

  @Test("A page of another origin reads that its body came too slowly")
  func slowBodyOfPage() async throws {
    var routes = Routes()
    let options = RouteOptions(maxBodyBytes: 1000, crossOrigin: .mirrored)
    routes.fast(.post, "/body", options: options) { _, _ in FastResponse(pong) }
    try await withServer(routes, configure: { $0.bodyTimeoutMs = 100 }) { server, port in
      let connection = try RawConnection(port: port)
      try await connection.send(
        "POST /body HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nContent-Length: 10\r\n\r\nabc"
      )
      let answer = try await connection.response()
      #expect(answer.status == 408)
      #expect(answer.header("access-control-allow-origin") == "https://a.example")
      #expect(try await connection.untilClosed() == [])
      #expect(server.bufferedBodyBytes == 0)
    }
  }

  @Test("A route hears of what the server refuses in its name")
  func told() async throws {
    let heard = Shared<[String]>([])
    var routes = Routes()
    let options = RouteOptions(
      maxBodyBytes: 1000, bodyTooLarge: .badRequest,
      refused: { refusal, request in
        let name = request?.header("x-name") ?? "-"
        heard.change { $0.append("\(refusal.rawValue) \(name)") }
      })
    routes.fast(.post, "/body", options: options) { _, _ in FastResponse(pong) }
    routes.fast(.get, "/never", options: options) { _, _ in nil }
    try await withServer(
      routes,
      configure: {
        $0.bodyTimeoutMs = 100
        $0.answerTimeoutMs = 100
        $0.maxBufferedBodyBytes = 1024
      }
    ) { server, port in
      func send(_ text: String, _ status: Int) async throws {
        let connection = try RawConnection(port: port)
        try await connection.send(text)
        #expect(try await connection.response().status == status)
      }
      let head = "POST /body HTTP/1.1\r\nHost: x\r\nX-Name: n\r\n"
      try await send(head + "Content-Length: 1001\r\n\r\n", 400)
      let chunk = "200\r\n" + String(repeating: "x", count: 512) + "\r\n"
      try await send(head + "Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk, 400)
      try await send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n", 503)
      try await send("GET /p\r\n\r\n", 400)
      try await send(head + "Content-Length: 10\r\n\r\nabc", 408)
      #expect(server.refusedHeads == 1)
    }
    #expect(
      heard.value == [
        "body_too_large n", "body_too_large n", "answer_timeout -", "body_timeout n",
      ])
  }

  @Test("A body that does not come is a 408")
  func slowBody() async throws {
    try await withServer(Self.routes(), configure: { $0.bodyTimeoutMs = 100 }) { server, port in
      let connection = try RawConnection(port: port)
      try await connection.send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
      #expect(try await connection.response().status == 408)
      #expect(try await connection.untilClosed() == [])
      await eventually { server.openConnections == 0 && server.bufferedBodyBytes == 0 }
    }
  }

  @Test("A header or a body that trickles in is cut off at its deadline, however much comes")
  func trickle() async throws {
    try await withServer(
      Self.routes(),
      configure: {
        $0.headerTimeoutMs = 100
        $0.bodyTimeoutMs = 100
        $0.maxHeaderBytes = 1_048_576
      }
    ) { server, port in
      for head in [
        "GET /ping HTTP/1.1\r\nX: ",
        "POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n",
      ] {
        let connection = try RawConnection(port: port)
        try await connection.send(head)
        await eventually { server.openConnections == 1 }
        let deadline = ContinuousClock.now + .seconds(10)
        do {
          while server.openConnections > 0 && ContinuousClock.now < deadline {
            try await connection.send("a")
          }
        } catch is RawConnection.Failure {
          // Cut off while it sent.
        }
        await eventually { server.openConnections == 0 && server.bufferedBodyBytes == 0 }
      }
    }
  }

  @Test("An idle connection is closed")
  func idle() async throws {
    try await withServer(Self.routes(), configure: { $0.idleTimeoutMs = 100 }) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send(Self.get)
      #expect(try await connection.response().text == "pong")
      #expect(try await connection.untilClosed() == [])
    }
  }

  @Test("A request that its route never answers is a 503")
  func neverAnswered() async throws {
    try await withServer(Self.routes(), configure: { $0.answerTimeoutMs = 100 }) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
      let answer = try await connection.response()
      #expect(answer.status == 503)
      #expect(answer.header("retry-after") == "1")
    }
  }

  @Test("A connection beyond the limit is told to come back, and may once there is room")
  func maxConnections() async throws {
    try await withServer(Self.routes(), configure: { $0.maxConnections = 1 }) { server, port in
      var first: RawConnection? = try RawConnection(port: port)
      try await first?.send(Self.get)
      #expect(try await first?.response().text == "pong")
      let second = try RawConnection(port: port)
      try await second.send(Self.get)
      let answer = try await second.response()
      #expect(answer.status == 503)
      #expect(answer.header("retry-after") == "1")
      #expect(answer.header("connection") == "close")
      #expect(server.refusedConnections == 1)
      first = nil
      await eventually { server.openConnections == 0 }
      let third = try RawConnection(port: port)
      try await third.send(Self.get)
      #expect(try await third.response().text == "pong")
    }
  }

  @Test("A refusal at admission drops the body and keeps the connection")
  func admission() async throws {
    let problem = Problem(
      .serviceUnavailable, code: "overloaded", detail: "Later.", retryAfterSeconds: 2)
    let routes = Self.routes(admission: { FastResponse(problem) })
    try await withServer(routes) { server, port in
      let connection = try RawConnection(port: port)
      for _ in 0..<2 {
        try await connection.send(
          "POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        let answer = try await connection.response()
        #expect(answer.status == 503)
        #expect(answer.header("retry-after") == "2")
      }
      #expect(server.openConnections == 1)
    }
  }

  @Test("Bodies beyond the server's memory are refused and the memory is given back")
  func bufferedBodies() async throws {
    try await withServer(Self.routes(), configure: { $0.maxBufferedBodyBytes = 1024 }) {
      server, port in
      let waiting = try RawConnection(port: port)
      try await waiting.send(
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
          + String(repeating: "x", count: 900))
      await eventually { server.bufferedBodyBytes == 900 }
      let second = try RawConnection(port: port)
      try await second.send(
        "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n"
          + String(repeating: "x", count: 200))
      #expect(try await second.response().status == 503)
      await eventually { server.bufferedBodyBytes == 900 }
      try await waiting.send(String(repeating: "x", count: 100))
      #expect(try await waiting.response().text == "pong")
      await eventually { server.bufferedBodyBytes == 0 }
    }
  }

  @Test("A parameter outside its range is refused at the start")
  func parameters() async throws {
    await #expect(throws: ServerParameterError.self) {
      try await withServer(Self.routes(), configure: { $0.eventLoops = 0 }) { _, _ in }
    }
  }

  @Test("A port that is taken is an error that names it")
  func portTaken() async throws {
    try await withServer(Self.routes()) { _, port in
      await #expect(throws: BindError.self) {
        try await withServer(Self.routes(), configure: { $0.port = port }) { _, _ in }
      }
    }
  }
}
