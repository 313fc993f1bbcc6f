@testable import HTTPServer
import NIOCore

/// What connections send before anything is known of who sends it.
enum RequestTargets {
  private static let requests = [
    "GET /p.gif?k=dev&t=click HTTP/1.1\r\nHost: x\r\nUser-Agent: a\r\n\r\n",
    "POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nabcde",
    "POST /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "\r\nGET http://host:80/path?q HTTP/1.1\r\nConnection: keep-alive, close\r\nOrigin: https://a\r\n\r\n",
  ]

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "request", seeds: requests.map(\.bytes),
      words: [
        "GET ", "POST ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "\r\n", "\r\n\r\n", "\n", "\r", ":",
        "Content-Length: ", "Transfer-Encoding: chunked", "Connection: close", "Upgrade: x", "0",
        "ffffffffffffffff", "http://", " ", "\t", ";", ",", "?",
      ],
      regressions: [
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na".bytes,
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na".bytes,
      ], run: request)
  ]

  /// What comes of a request does not depend on the pieces in which it came.
  @Sendable private static func request(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let whole = transcript(input, pieceBytes: max(1, input.count))
    for size in [1, 3, 16] {
      try BrokenLaw.unless(
        transcript(input, pieceBytes: size) == whole, "pieces of \(size) bytes are the same request"
      )
    }
  }

  private static func transcript(_ input: UnsafeRawBufferPointer, pieceBytes: Int) -> [String] {
    var parser = RequestParser(maxHeadBytes: 512, maxFields: 8)
    var seen: [String] = []
    var body: [UInt8] = []
    var start = 0
    do throws(RequestSyntaxError) {
      while start < input.count {
        let end = min(input.count, start + pieceBytes)
        parser.take(ByteBuffer(bytes: input[start..<end]))
        start = end
        while let part = try parser.next() {
          switch part {
          case .head(let head):
            seen.append(
              "\(head.method?.name ?? "?") \(head.path) \(head.query) \(head.framing) \(head.keepsAlive)"
                + " \(head.expectsContinue) \(head.headerFields) \(head.origin ?? "")")
          case .body(let bytes): body += Array(bytes.readableBytesView)
          case .end:
            seen.append("\(body)")
            body = []
          }
        }
        parser.settle()
      }
    } catch {
      // Of a body that does not end rightly it depends on the pieces how much is handed out before.
      return seen + ["refused"]
    }
    return seen + ["\(body)"]
  }
}
