@testable import HTTPServer
import NIOCore
import Testing

@Suite("HTTP server: reading requests")
struct RequestParserTests {
  /// What was read, a line for each request, and the error at which it ended.
  private func read(_ pieces: [String], maxHeadBytes: Int = 1000, maxFields: Int = 10) -> [String] {
    var parser = RequestParser(maxHeadBytes: maxHeadBytes, maxFields: maxFields)
    var seen: [String] = []
    var body: [UInt8] = []
    do {
      for piece in pieces {
        parser.take(ByteBuffer(string: piece))
        while let part = try parser.next() {
          switch part {
          case .head(let head):
            let query = head.query.isEmpty ? "" : "?" + head.query
            seen.append("\(head.method?.name ?? "other") \(head.path)\(query) \(head.framing)")
          case .body(let bytes): body += Array(bytes.readableBytesView)
          case .end:
            seen[seen.count - 1] += " " + String(decoding: body, as: UTF8.self)
            body = []
          }
        }
        parser.settle()
      }
    } catch {
      seen.append("\(error)")
    }
    return seen
  }

  private func head(_ text: String) throws -> RequestHead {
    try RequestHead(ByteBuffer(string: text + "\r\n\r\n"), maxFields: 10)
  }

  @Test("Requests are read one after the other, with their bodies")
  func requests() {
    let get = "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
    let post = "POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    let chunked =
      "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    let expected = ["GET /a?b=c none ", "POST /b length(3) abc", "PUT /c chunked abc"]
    #expect(read([get + post + chunked]) == expected)
    #expect(read((get + post + chunked).map { String($0) }) == expected)
    #expect(read([get + "\r\n" + post, chunked]) == expected)
  }

  @Test("A trailer is passed over")
  func trailer() {
    let chunked = "POST /c HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\nA: b\r\n\r\n"
    #expect(read([chunked, "GET / HTTP/1.0\r\n\r\n"]) == ["POST /c chunked ", "GET / none "])
  }

  @Test(
    "What two programs might read in different ways is refused",
    arguments: [
      "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n\r\n", "GET / HTTP/1.1\r\nA : b\r\n\r\n",
      "GET / HTTP/1.1\r\n A: b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
      "GET / HTTP/1.1\r\nA: b\u{0}c\r\n\r\n", "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
      "GET / HTTP/1.1\r\n: b\r\n\r\n", "GET / HTTP/1.1\r\nA\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
      "GET / a HTTP/1.1\r\n\r\n", "GET /\r\n\r\n", "GET\r\n\r\n", " / HTTP/1.1\r\n\r\n",
      "GET / http/1.1\r\n\r\n", "G(T / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}",
      "GET / HTTP/1.1 \r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
      "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\na",
      "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na",
      "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
      "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
      "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
      "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ])
  func refused(_ text: String) {
    #expect(read([text]) == ["malformed"])
    #expect(read(text.map { String($0) }).last == "malformed")
  }

  @Test(
    "A chunk that is not of its form is refused",
    arguments: [
      "x\r\n", "\r\n", "-1\r\n", "0x1\r\n", "fffffffffffffffff\r\n", "1\nab\r\n", "1\r\nabc\r\n",
      "1\r\na\n0\r\n\r\n", "2 x\u{1}\r\n", String(repeating: "0", count: 400),
    ])
  func badChunk(_ chunks: String) {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    #expect(read([head + chunks]).last == "malformed")
  }

  @Test("Other versions are named as such")
  func versions() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.1"] {
      #expect(read(["GET / \(version)\r\n\r\n"]) == ["otherVersion"])
    }
  }

  @Test("A head is bounded in bytes and fields, before its end has come")
  func bounds() {
    let long = String(repeating: "a", count: 100)
    #expect(read(["GET /\(long) HTTP/1.1\r\n\r\n"], maxHeadBytes: 100) == ["tooLarge"])
    #expect(read(["GET /\(long)"], maxHeadBytes: 100) == ["tooLarge"])
    #expect(read(["GET / HTTP/1.1\r\nA: b\r\nA: b\r\n\r\n"], maxFields: 1) == ["tooLarge"])
    #expect(read(["GET / HTTP/1.1\r\nA: b\r\n\r\n"], maxFields: 1) == ["GET / none "])
    let trailer = String(repeating: "A: b\r\n", count: 100)
    let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + trailer
    #expect(read([chunked + "\r\n"], maxHeadBytes: 200).last == "malformed")
  }

  @Test("Who says how a connection goes on, and in which version")
  func keepAlive() throws {
    #expect(try head("GET / HTTP/1.1").keepsAlive)
    #expect(try !head("GET / HTTP/1.0").keepsAlive)
    #expect(try head("GET / HTTP/1.0\r\nConnection: Keep-Alive").keepsAlive)
    #expect(try !head("GET / HTTP/1.1\r\nConnection: te,  Close").keepsAlive)
    #expect(try !head("GET / HTTP/1.1\r\nConnection: keep-alive, close").keepsAlive)
    #expect(try !head("GET / HTTP/1.1\r\nUpgrade: h2c").keepsAlive)
    #expect(try head("POST / HTTP/1.1\r\nexpect: 100-Continue").expectsContinue)
  }

  @Test("Fields are found in any case of letters, the first of a name")
  func fields() throws {
    let head = try head("GET / HTTP/1.1\r\nX-A:1\r\nx-a: 2\r\nB:\t \r\nORIGIN: https://a \r\nC: é")
    #expect(head.header("x-A") == "1")
    #expect(head.header("b") == "")
    #expect(head.header("c") == "é")
    #expect(head.header("X") == nil)
    #expect(head.origin == "https://a")
    #expect(head.headerFields.map(\.name) == ["X-A", "x-a", "B", "ORIGIN", "C"])
  }

  @Test(
    "The absolute form of a target is the same path",
    arguments: [
      ("http://h/a?b", "/a", "b"), ("https://h:1/a/b", "/a/b", ""), ("http://h", "/", ""),
      ("http://h?b", "/", ""), ("http://h?x/a?b", "/a", "b"), ("/http://h/", "/http://h/", ""),
      ("*", "*", ""), ("/?", "/", ""), ("/a?b?c", "/a", "b?c"),
    ])
  func absolute(_ target: String, _ path: String, _ query: String) throws {
    let head = try head("GET \(target) HTTP/1.1")
    #expect(head.path == path)
    #expect(head.query == query)
  }

  @Test("Each of the characters of a token is one, and no other")
  func tokens() {
    let marks = "!#$%&'*+-.^_`|~"
    for byte in UInt8.min...UInt8.max {
      let character = Character(UnicodeScalar(byte))
      let isToken =
        byte < 0x80 && (character.isLetter || character.isNumber || marks.contains(character))
      #expect(RequestText.isToken(byte) == isToken, "\(byte)")
    }
  }
}
