@testable import BrowserTracker
import HTTPServer
import Logging
import Testing

@Suite("The browser tracker's script")
struct BrowserTrackerTests {
  /// As the source is, line by line, without indentation and empty lines.
  private static let lines = text(BrowserTracker.source).split(separator: "\n").map {
    $0.drop { $0 == " " }
  }.filter { !$0.isEmpty }

  @Test("It has at most 2,048 bytes in gzip, as it is sent")
  func size() {
    let count = gzip(BrowserTracker.script).count
    #expect(
      count <= 2048, "\(count) bytes; shorten something in Sources/BrowserTracker/Script/t.js")
  }

  @Test("Compressed and inflated it is the same")
  func roundTrip() throws {
    for bytes in [BrowserTracker.script, [], [UInt8](repeating: 7, count: 100_000)] {
      let inflated = try gzip(bytes).withUnsafeBytes {
        try inflate($0, maxBytes: 200_000, maxRatio: 1000)
      }
      #expect(inflated == bytes)
    }
  }

  @Test(
    "It has only what the squeezing of scripts can read: no comment beside code, no line that goes on"
  )
  func convention() {
    let code = Self.lines.filter { !$0.hasPrefix("//") }
    for line in code {
      #expect(
        !line.contains("// ") && !line.contains("/*"), "a comment is a line of its own: \(line)")
    }
    for line in code.dropFirst() {
      #expect(
        !["(", "[", "/", "+", "-", "*", "`"].contains(where: line.hasPrefix),
        "without a semicolon this goes on the line before: \(line)")
    }
  }

  @Test(
    "Squeezing leaves out what says nothing and keeps what does",
    arguments: [
      ("let a = 1", "let a=1"),
      ("  // a comment\n\n  let a = 1\n", "let a=1"),
      ("if (a) b()\nelse c()", "if(a)b()\nelse c()"),
      ("a = b\nc = d", "a=b\nc=d"),
      ("f(() => {\n  g()\n  h()\n})", "f(()=>{g()\nh()})"),
      ("let x = {\n  a: 1,\n  b\n}", "let x={a:1,b}"),
      ("a = b\n  .map(c)", "a=b.map(c)"),
      ("a\n  ? b\n  : c", "a?b:c"),
      ("f('a , b', \"c = d\", `e + ${f} g`)", "f('a , b',\"c = d\",`e + ${f} g`)"),
      ("f(`it's = 1`, a = 2)", "f(`it's = 1`,a=2)"),
      ("a + +b - -c", "a+ +b- -c"),
      ("a++\nb--", "a++\nb--"),
      ("return !a", "return!a"),
      ("for (let a of b) delete c[a]", "for(let a of b)delete c[a]"),
      ("a  ", "a"),
    ])
  func squeezing(source: String, squeezed: String) {
    #expect(text(SqueezedScript.bytes(of: Array(source.utf8))) == squeezed)
  }

  @Test("Squeezed once more it is the same")
  func idempotence() {
    #expect(SqueezedScript.bytes(of: BrowserTracker.script) == BrowserTracker.script)
  }

  // MARK: Over HTTP

  private func withServer(_ body: (Int) async throws -> Void) async throws {
    var routes = Routes()
    BrowserTracker.declare(on: &routes)
    var log = Logger(label: "test")
    log.logLevel = .critical
    let server = Server(
      ServerParameters(host: "127.0.0.1", port: 0, eventLoops: 1), routes: routes, log: log)
    let port = try await server.start()
    do {
      try await body(port)
    } catch {
      try await server.shutdown(withinMs: 0)
      throw error
    }
    try await server.shutdown(withinMs: 0)
  }

  private static func tag(_ head: String) throws -> Substring {
    try #require(head.split(separator: "\r\n").first { $0.hasPrefix("etag: ") }).dropFirst(6)
  }

  @Test("Any page may load it, and keeps it for an hour")
  func headers() async throws {
    try await withServer { port in
      let answer = try await RawRequest.send(
        "GET", "/t.js", headers: "Origin: https://news.example\r\n", port: port)
      #expect(answer.status == 200)
      #expect(answer.body == text(BrowserTracker.script))
      for line in [
        "content-type: text/javascript; charset=utf-8", "cache-control: public, max-age=3600",
        "access-control-allow-origin: *", "timing-allow-origin: *", "vary: accept-encoding",
        "cross-origin-resource-policy: cross-origin", "x-content-type-options: nosniff",
        "content-length: \(BrowserTracker.script.count)",
      ] {
        #expect(answer.head.split(separator: "\r\n").contains { $0 == line }, "\(line)")
      }
      #expect(!answer.head.contains("credentials"))
      #expect(!answer.head.contains("content-encoding"))
    }
  }

  @Test(
    "It comes compressed to who can read that",
    arguments: [
      ("gzip", true), ("gzip, deflate, br, zstd", true), ("br;q=1, GZIP ; q=0.5", true),
      ("*", true),
      ("gzip;q=0.001", true), ("gzip;q=0", false), ("gzip;q=0.000", false), ("br", false),
      ("identity", false), ("", false), ("*;q=0", false), ("xgzip", false),
    ])
  func encodings(accepted: String, isCompressed: Bool) async throws {
    try await withServer { port in
      let answer = try await RawRequest.send(
        "HEAD", "/t.js", headers: "Accept-Encoding: \(accepted)\r\n", port: port)
      #expect(answer.status == 200)
      #expect(answer.body.isEmpty)
      #expect(answer.head.contains("content-encoding: gzip") == isCompressed)
      let count = isCompressed ? gzip(BrowserTracker.script).count : BrowserTracker.script.count
      #expect(answer.head.split(separator: "\r\n").contains("content-length: \(count)"))
    }
  }

  @Test("Who has it is told so, in either encoding")
  func notModified() async throws {
    try await withServer { port in
      let first = try await RawRequest.send("GET", "/t.js", port: port)
      let tag = try Self.tag(first.head)
      for known in ["\(tag)", "\"other\", \(tag)", "\(tag.dropFirst(2))", "*"] {
        let again = try await RawRequest.send(
          "GET", "/t.js", headers: "If-None-Match: \(known.replacing("w/", with: "W/"))\r\n",
          port: port)
        #expect(again.status == 304)
        #expect(again.body.isEmpty)
        #expect(try Self.tag(again.head) == tag)
        #expect(again.head.contains("cache-control: public, max-age=3600"))
        #expect(!again.head.contains("content-length"))
      }
      let other = try await RawRequest.send(
        "GET", "/t.js", headers: "If-None-Match: W/\"0\"\r\n", port: port)
      #expect(other.status == 200)
    }
  }
}
