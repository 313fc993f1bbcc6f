import HTTPServer
import Testing

@Suite("HTTP server: proxies in front of it")
struct HTTPServerProxyTests {
  private static var routes: Routes {
    var routes = Routes()
    routes.fast(.get, "/fast") { request, _ in
      FastResponse(pong, body: Array(request.remoteAddress.utf8))
    }
    routes.on(.get, "/async") { .text($0.remoteAddress) }
    return routes
  }

  @Test(
    "The client is the rightmost address that is no trusted proxy's",
    arguments: [
      ("", "127.0.0.1"),
      ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
      ("X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.2.3\r\n", "203.0.113.9"),
      ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
      ("X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9"),
      ("X-Forwarded-For: [2001:db8::1]:4711\r\n", "2001:db8::1"),
      ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
      ("X-Forwarded-For: 10.9.9.9, 10.1.2.3\r\n", "10.9.9.9"),
      ("X-Forwarded-For: 6.6.6.6, unknown, 10.1.2.3\r\n", "10.1.2.3"),
      ("X-Forwarded-For: 6.6.6.6, unknown\r\n", "127.0.0.1"),
      (
        "Forwarded: for=6.6.6.6;proto=http, For=\"[2001:db8::2]:80\" ; Proto=HTTPS;by=10.0.0.1\r\n",
        "2001:db8::2"
      ),
      (
        "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n",
        "203.0.113.9"
      ),
    ])
  func client(headers: String, expected: String) async throws {
    let ranges = try AddressRanges("127.0.0.0/8\n10.0.0.0/8")
    try await withServer(Self.routes, configure: { $0.trustedProxies = ranges }) { _, port in
      let connection = try RawConnection(port: port)
      for _ in 0..<2 {
        try await connection.send("GET /fast HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
        #expect(try await connection.response().text == expected)
      }
      try await connection.send("GET /async HTTP/1.1\r\nHost: x\r\n\(headers)\r\n")
      #expect(try await connection.response().text == expected)
    }
  }

  @Test("Nobody else is believed", arguments: ["", "10.0.0.0/8\n2001:db8::/32"])
  func untrusted(ranges: String) async throws {
    let ranges = try AddressRanges(ranges)
    try await withServer(Self.routes, configure: { $0.trustedProxies = ranges }) { _, port in
      let connection = try RawConnection(port: port)
      try await connection.send(
        "GET /fast HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n"
          + "Forwarded: for=203.0.113.9\r\n\r\n")
      #expect(try await connection.response().text == "127.0.0.1")
    }
  }
}
