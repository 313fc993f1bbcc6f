import HTTPServer
import Testing

@Suite("HTTP server: streams and the end")
struct HTTPServerStreamTests {
  private static let open = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"

  private static func routes(
    _ producer: @escaping @Sendable (ResponseStream) async throws -> Void
  ) -> Routes {
    var routes = Routes()
    routes.on(.get, "/stream") { _ in .eventStream(producer) }
    routes.fast(.get, "/ping") { _, _ in FastResponse(pong) }
    return routes
  }

  /// Waits until the task is cancelled.
  private static func waitForCancellation() async throws {
    while true { try await Task.sleep(for: .seconds(60)) }
  }

  @Test("A stream arrives event by event; the connection serves on after its end")
  func events() async throws {
    let routes = Self.routes { stream in
      for number in 0..<3 { try await stream.write("data: \(number)\n\n") }
    }
    try await withServer(routes) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send(Self.open)
      let head = try await connection.responseHead()
      #expect(head.header("content-type") == "text/event-stream")
      #expect(head.header("transfer-encoding") == "chunked")
      for number in 0..<3 {
        let chunk = try #require(try await connection.nextChunk())
        #expect(String(decoding: chunk, as: UTF8.self) == "data: \(number)\n\n")
      }
      #expect(try await connection.nextChunk() == nil)
      try await connection.send("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(try await connection.response().text == "pong")
    }
  }

  @Test("A stream to HTTP/1.0 ends with the connection; HEAD has no stream")
  func oldAndHead() async throws {
    let routes = Self.routes { stream in try await stream.write("data: 1\n\n") }
    try await withServer(routes) { _, port in
      let old = try RawConnection(port: port)
      try await old.send("GET /stream HTTP/1.0\r\n\r\n")
      #expect(try await old.response().text == "data: 1\n\n")
      let head = try RawConnection(port: port)
      try await head.send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(try await head.response(toHead: true).status == 200)
      try await head.send("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(try await head.response().text == "pong")
    }
  }

  @Test("A slow reader holds the producer back and then gets the newest state")
  func slowReader() async throws {
    let produced = Shared(0)
    let newest = Shared(0)
    let routes = Self.routes { stream in
      let padding = String(repeating: "x", count: 10_000)
      while true {
        let state = newest.value
        try await stream.write("\(state) \(padding)\n")
        produced.change { $0 += 1 }
        if state == 1 { return }
      }
    }
    try await withServer(routes) { _, port in
      let connection = try RawConnection(port: port, receiveBufferBytes: 8192)
      try await connection.send(Self.open)
      _ = try await connection.responseHead()
      // The producer stops by itself once the client's and the server's buffers are full.
      let last = Shared(-1)
      let still = Shared(0)
      await eventually {
        let now = produced.value
        let isSame = last.value == now
        last.change { $0 = now }
        still.change { $0 = isSame ? $0 + 1 : 0 }
        return now > 0 && still.value > 20_000
      }
      let behind = produced.value
      #expect(behind < 1000)
      newest.change { $0 = 1 }
      var read = 0
      var text = ""
      while let chunk = try await connection.nextChunk() {
        read += 1
        text = String(decoding: chunk.prefix(2), as: UTF8.self)
      }
      #expect(text == "1 ")
      #expect(read <= behind + 3)
    }
  }

  @Test("The producer learns that the client has gone, also while it writes nothing")
  func clientGone() async throws {
    let ended = Shared("")
    let started = Shared(false)
    let routes = Self.routes { stream in
      try await stream.write("data: 1\n\n")
      started.change { $0 = true }
      do {
        try await Self.waitForCancellation()
      } catch is CancellationError {
        let isClosed = stream.isClosed
        let isWritable = stream.isWritable
        ended.change { $0 = "cancelled \(isClosed) \(isWritable)" }
        await #expect(throws: StreamClosed.self) { try await stream.write("data: 2\n\n") }
      }
    }
    try await withServer(routes) { server, port in
      var connection: RawConnection? = try RawConnection(port: port)
      try await connection?.send(Self.open)
      await eventually { started.value }
      connection = nil
      await eventually { ended.value == "cancelled true false" && server.openConnections == 0 }
    }
  }

  @Test("A stream whose producer fails is cut off without its last chunk")
  func failingProducer() async throws {
    struct Failure: Error {}
    let routes = Self.routes { stream in
      try await stream.write("data: 1\n\n")
      throw Failure()
    }
    try await withServer(routes) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send(Self.open)
      _ = try await connection.responseHead()
      #expect(try await connection.nextChunk() != nil)
      await #expect(throws: RawConnection.Failure.self) { try await connection.nextChunk() }
    }
  }

  @Test("A drain finishes requests under way, ends streams, and closes idle connections")
  func drain() async throws {
    let kept = Shared<[Responder]>([])
    let started = Shared(false)
    var routes = Self.routes { stream in
      try await stream.write("data: 1\n\n")
      started.change { $0 = true }
      try await Self.waitForCancellation()
    }
    routes.fast(.get, "/keep") { _, responder in
      kept.change { $0.append(responder) }
      return nil
    }
    try await withServer(routes) { server, port in
      let idle = try RawConnection(port: port)
      try await idle.send("GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
      _ = try await idle.response()
      let waiting = try RawConnection(port: port)
      try await waiting.send("GET /keep HTTP/1.1\r\nHost: x\r\n\r\n")
      let streaming = try RawConnection(port: port)
      try await streaming.send(Self.open)
      await eventually { started.value && kept.value.count == 1 }
      async let cutOff = server.shutdown(withinMs: 10_000)
      #expect(try await idle.untilClosed() == [])
      _ = try await streaming.responseHead()
      #expect(try await streaming.nextChunk() != nil)
      #expect(try await streaming.nextChunk() == nil)
      kept.value.first?.complete(FastResponse(pong))
      let answer = try await waiting.response()
      #expect(answer.text == "pong")
      #expect(answer.header("connection") == "close")
      #expect(try await cutOff == 0)
      #expect(throws: RawConnection.Failure.self) { try RawConnection(port: port) }
    }
  }

  @Test("A drain cuts off at its deadline")
  func drainDeadline() async throws {
    var routes = Routes()
    let asked = Shared(false)
    routes.fast(.get, "/never") { _, _ in
      asked.change { $0 = true }
      return nil
    }
    try await withServer(routes) { server, port in
      let waiting = try RawConnection(port: port)
      try await waiting.send("GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
      await eventually { asked.value }
      #expect(try await server.shutdown(withinMs: 50) == 1)
    }
  }
}
