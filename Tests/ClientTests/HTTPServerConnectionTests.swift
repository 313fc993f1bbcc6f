import HTTPServer
import Synchronization
import Testing

@Suite("HTTP server: connections")
struct HTTPServerConnectionTests {
  private static let get = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"

  private static func pingRoutes() -> Routes {
    var routes = Routes()
    routes.fast(.get, "/ping") { _, _ in FastResponse(pong) }
    routes.on(.get, "/slow") { _ in .text("slow") }
    routes.fast(.post, "/body", options: RouteOptions(maxBodyBytes: 1000)) { request, _ in
      let count = request.withBody { $0.byteCount }
      return FastResponse(pong, body: Array("\(count)".utf8))
    }
    routes.fast(
      .post, "/ingest", options: RouteOptions(maxBodyBytes: 1000, bodyTooLarge: .badRequest)
    ) { _, _ in FastResponse(pong) }
    return routes
  }

  private static func answer(_ text: String) -> FastResponse {
    FastResponse(pong, body: Array(text.utf8))
  }

  @Test("A connection serves request after request")
  func keepAlive() async throws {
    try await withServer(Self.pingRoutes()) { server, port in
      let connection = try RawConnection(port: port)
      for _ in 0..<3 {
        try await connection.send(Self.get)
        #expect(try await connection.response().text == "pong")
      }
      #expect(server.openConnections == 1)
    }
  }

  @Test("Pipelined answers come in the order of the requests, whatever order they are ready in")
  func pipelining() async throws {
    let kept = Shared<[Responder]>([])
    var routes = Self.pingRoutes()
    routes.fast(.get, "/keep") { _, responder in
      kept.change { $0.append(responder) }
      return nil
    }
    try await withServer(routes) { _, port in
      let connection = try RawConnection(port: port)
      let keep = "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"
      let slow = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
      try await connection.send(keep + Self.get + keep + slow + keep)
      await eventually { kept.value.count == 3 }
      var batch = ResponseBatch()
      for (index, responder) in kept.value.enumerated().reversed() {
        batch.add(responder, Self.answer("kept \(index)"))
      }
      batch.deliver()
      var texts: [String] = []
      for _ in 0..<5 { texts.append(try await connection.response().text) }
      #expect(texts == ["kept 0", "pong", "kept 1", "slow", "kept 2"])
    }
  }

  @Test("Hundreds of pipelined requests are all answered although reads are held in between")
  func manyPipelined() async throws {
    try await withServer(Self.pingRoutes(), configure: { $0.maxPipelinedRequests = 4 }) { _, port in
      let connection = try RawConnection(port: port)
      let slow = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
      try await connection.send(String(repeating: slow + Self.get, count: 300))
      for _ in 0..<300 {
        #expect(try await connection.response().text == "slow")
        #expect(try await connection.response().text == "pong")
      }
    }
  }

  @Test("One batch answers the waiting requests of many connections")
  func batch() async throws {
    let kept = Shared<[Responder]>([])
    var routes = Routes()
    routes.fast(.get, "/keep") { _, responder in
      kept.change { $0.append(responder) }
      return nil
    }
    try await withServer(routes) { _, port in
      let connections = try (0..<20).map { _ in try RawConnection(port: port) }
      for connection in connections {
        try await connection.send("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n")
      }
      await eventually { kept.value.count == 20 }
      var batch = ResponseBatch()
      for responder in kept.value { batch.add(responder, Self.answer("done")) }
      batch.deliver()
      for connection in connections { #expect(try await connection.response().text == "done") }
      // A second answer to the same request is ignored.
      kept.value.first?.complete(Self.answer("again"))
    }
  }

  @Test("An answer after the client has gone is ignored")
  func clientGone() async throws {
    let kept = Shared<[Responder]>([])
    var routes = Self.pingRoutes()
    routes.fast(.get, "/keep") { _, responder in
      kept.change { $0.append(responder) }
      return nil
    }
    try await withServer(routes) { server, port in
      var connection: RawConnection? = try RawConnection(port: port)
      try await connection?.send("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n")
      await eventually { kept.value.count == 1 }
      connection = nil
      for responder in kept.value { responder.complete(Self.answer("late")) }
      await eventually { server.openConnections == 0 }
      let other = try RawConnection(port: port)
      try await other.send(Self.get)
      #expect(try await other.response().text == "pong")
    }
  }

  @Test("Connection: close and HTTP/1.0 end the connection; HTTP/1.0 can ask to keep it")
  func closing() async throws {
    try await withServer(Self.pingRoutes()) { _, port in
      let closing = try RawConnection(port: port)
      try await closing.send("GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
      let answer = try await closing.response()
      #expect(answer.header("connection") == "close")
      #expect(try await closing.untilClosed() == [])
      let old = try RawConnection(port: port)
      try await old.send("GET /ping HTTP/1.0\r\n\r\n")
      #expect(try await old.response().text == "pong")
      #expect(try await old.untilClosed() == [])
      let kept = try RawConnection(port: port)
      for _ in 0..<2 {
        try await kept.send("GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(try await kept.response().header("connection") == "keep-alive")
      }
    }
  }

  @Test("A client that closes its sending half still gets its answers")
  func halfClosed() async throws {
    try await withServer(Self.pingRoutes()) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
      connection.halfClose()
      #expect(try await connection.response().text == "slow")
      #expect(try await connection.untilClosed() == [])
    }
  }

  @Test("A request for an upgrade is answered and ends the connection")
  func upgrade() async throws {
    try await withServer(Self.pingRoutes()) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send(
        "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
      #expect(try await connection.response().text == "pong")
      #expect(try await connection.untilClosed() == [])
    }
  }

  @Test("Bytes that are not HTTP are a 400 and the end")
  func malformed() async throws {
    try await withServer(Self.pingRoutes()) { _, port in
      for bytes in ["\u{16}\u{3}\u{1}", "GET\r\n\r\n", "GET /ping HTTP/1.1\r\nA b: c\r\n\r\n"] {
        let connection = try RawConnection(port: port)
        try await connection.send(bytes)
        let answer = try await connection.response()
        #expect(answer.status == 400, "\(bytes.debugDescription)")
        #expect(answer.header("connection") == "close")
      }
    }
  }

  @Test("A good request before a malformed one is still answered")
  func goodThenMalformed() async throws {
    try await withServer(Self.pingRoutes()) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send(Self.get + "nonsense\r\n\r\n")
      #expect(try await connection.response().text == "pong")
      #expect(try await connection.response().status == 400)
      #expect(try await connection.untilClosed() == [])
    }
  }

  @Test("Chunked and split bodies arrive whole")
  func bodies() async throws {
    try await withServer(Self.pingRoutes()) { server, port in
      let connection = try RawConnection(port: port)
      try await connection.send(
        "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
          + "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
      #expect(try await connection.response().text == "7")
      try await connection.send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
      for _ in 0..<10 { try await connection.send(String(repeating: "x", count: 100)) }
      #expect(try await connection.response().text == "1000")
      #expect(server.bufferedBodyBytes == 0)
    }
  }

  @Test("Answers that are longer than a socket takes at once arrive whole and in order")
  func longAnswers() async throws {
    var routes = Self.pingRoutes()
    let long = (0..<3).map { number in
      [UInt8](repeating: UInt8(ascii: "a") + UInt8(number), count: 6_000_000)
    }
    for number in long.indices {
      routes.fast(.get, "/long\(number)") { _, _ in FastResponse(pong, body: long[number]) }
    }
    try await withServer(routes) { _, port in
      let connection = try RawConnection(port: port)
      for _ in 0..<2 {
        for number in long.indices {
          try await connection.send("GET /long\(number) HTTP/1.1\r\nHost: x\r\n\r\n")
        }
        try await connection.send(Self.get)
        for number in long.indices {
          let answer = try await connection.response()
          #expect(answer.text == String(decoding: long[number], as: UTF8.self))
        }
        #expect(try await connection.response().text == "pong")
      }
    }
  }

  @Test("100 Continue is sent only where the body is welcome")
  func expectContinue() async throws {
    try await withServer(Self.pingRoutes()) { _, port in
      let welcome = try RawConnection(port: port)
      let expect = "Host: x\r\nExpect: 100-continue\r\nContent-Length:"
      try await welcome.send("POST /body HTTP/1.1\r\n\(expect) 2\r\n\r\n")
      #expect(try await welcome.response().status == 100)
      try await welcome.send("ab")
      #expect(try await welcome.response().text == "2")
      let tooLong = try RawConnection(port: port)
      try await tooLong.send("POST /body HTTP/1.1\r\n\(expect) 2000\r\n\r\n")
      #expect(try await tooLong.response().status == 413)
    }
  }

  @Test("Every answered request is observed once, with its declared path")
  func observer() async throws {
    let seen = Shared<[String]>([])
    try await withServer(
      Self.pingRoutes(),
      observer: { record in
        seen.change {
          $0.append(
            "\(record.method.name) \(record.route) \(record.status.code) "
              + "\(record.requestBodyBytes) \(record.responseBodyBytes)")
        }
      }
    ) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send(
        Self.get + "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
          + "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
      for _ in 0..<3 { _ = try await connection.response() }
    }
    #expect(seen.value == ["GET /ping 200 0 4", "GET /slow 200 0 4", "POST /body 200 3 1"])
  }
}
