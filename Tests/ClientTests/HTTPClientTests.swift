import HTTPClient
import Testing

@Suite("The HTTP client")
struct HTTPClientTests {
  private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name:  some value \r\n\r\nhi"

  private func answered(
    _ answers: ScriptedServer.Answer..., settings: HTTPClientSettings = HTTPClientSettings(),
    _ body: (HTTPClient, ScriptedServer) throws -> Void
  ) throws {
    let server = try ScriptedServer(answers)
    defer { server.stop() }
    try body(try HTTPClient(settings), server)
  }

  @Test("hands over status, headers and body")
  func answer() throws {
    try answered(.bytes(Self.ok)) { client, server in
      let answer = try client.get(server.url + "/a?b=c%20d")
      #expect(answer.status == 200)
      #expect(answer.text == "hi")
      #expect(answer.header("x-name") == "some value")
      #expect(answer.header("X-Other") == nil)
      #expect(server.requests[0].hasPrefix("GET /a?b=c%20d HTTP/1.1\r\n"))
    }
  }

  @Test("sends a body with the caller's headers and nothing of its own")
  func body() throws {
    try answered(.bytes(Self.ok), .bytes(Self.ok)) { client, server in
      _ = try client.post(
        server.url, headers: [HTTPHeader("Content-Type", "application/json")],
        body: Array("{}".utf8))
      #expect(server.requests[0].hasSuffix("\r\n\r\n{}"))
      #expect(server.requests[0].lowercased().contains("\r\ncontent-type: application/json\r\n"))
      #expect(!server.requests[0].contains("Expect"))
      _ = try client.post(server.url, body: [])
      #expect(server.requests[1].hasPrefix("POST / HTTP/1.1\r\n"))
      #expect(!server.requests[1].lowercased().contains("content-type"))
    }
  }

  @Test("sends any method")
  func method() throws {
    try answered(.bytes(Self.ok)) { client, server in
      _ = try client.send(method: "OPTIONS", server.url + "/v1/batch")
      #expect(server.requests[0].hasPrefix("OPTIONS /v1/batch HTTP/1.1\r\n"))
    }
  }

  @Test("uses one connection for one request after the other")
  func keepAlive() throws {
    try answered(.bytes(Self.ok), .bytes(Self.ok), .bytes(Self.ok)) { client, server in
      for _ in 0..<3 { _ = try client.get(server.url) }
      #expect(server.connectionCount == 1)
    }
  }

  @Test("takes an answer of any status as an answer")
  func statuses() throws {
    try answered(
      .bytes("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"),
      .bytes("HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n")
    ) { client, server in
      let busy = try client.get(server.url)
      #expect(busy.status == 503)
      #expect(busy.header("retry-after") == "2")
      let moved = try client.get(server.url)
      #expect(moved.status == 302)
    }
  }

  @Test("reads chunked answers and forgets the headers of an interim one")
  func chunked() throws {
    try answered(
      .bytes(
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
          + "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    ) { client, server in
      let answer = try client.get(server.url)
      #expect(answer.text == "abcde")
      #expect(answer.header("Link") == nil)
    }
  }

  @Test("hands over a stream as it comes and ends it when told to")
  func stream() throws {
    try answered(
      .bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    ) { client, server in
      var seen: [UInt8] = []
      let answer = try client.stream(server.url) { chunk in
        seen += chunk
        return seen.count < 3
      }
      #expect(answer.status == 200)
      #expect(String(decoding: seen, as: UTF8.self) == "abc")
    }
  }

  @Test("names the reason where there is no complete answer")
  func failures() throws {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    try answered(.bytesThenClose(cut)) { client, server in
      #expect(throws: HTTPClientError.connectionLost(url: server.url)) {
        try client.get(server.url)
      }
    }
    try answered(.silence, settings: HTTPClientSettings(timeoutMs: 50)) { client, server in
      #expect(throws: HTTPClientError.timedOut(url: server.url, milliseconds: 50)) {
        try client.get(server.url)
      }
    }
    try answered(.bytes(Self.ok), settings: HTTPClientSettings(responseByteCountMax: 1)) {
      client, server in
      #expect(throws: HTTPClientError.responseTooLarge(url: server.url, byteCountMax: 1)) {
        try client.get(server.url)
      }
    }
    let server = try ScriptedServer([])
    server.stop()
    let client = try HTTPClient()
    #expect(throws: HTTPClientError.invalidURL("ftp://x/")) { try client.get("ftp://x/") }
    #expect(throws: HTTPClientError.invalidHeader("A")) {
      try client.get("http://127.0.0.1:1/", headers: [HTTPHeader("A", "b\r\nc: d")])
    }
    #expect(throws: HTTPClientError.cannotConnect(url: "http://127.0.0.1:1/")) {
      try client.get("http://127.0.0.1:1/")
    }
  }

  @Test("works again after a failure")
  func recovery() throws {
    try answered(.bytesThenClose(""), .bytesThenClose(""), .bytes(Self.ok)) { client, server in
      #expect(throws: HTTPClientError.self) { try client.get(server.url) }
      #expect(throws: HTTPClientError.self) { try client.get(server.url) }
      let answer = try client.get(server.url)
      #expect(answer.text == "hi")
    }
  }
}
