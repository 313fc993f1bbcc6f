import Collector
import Events
import Foundation
import Testing

@Suite("Wrapped bodies of PostHog's SDKs")
struct PostHogBodyTests {
  private static let json = Array(
    #"[{"event":"click","distinct_id":"u","uuid":"i?>~","properties":{"token":"dev"}}]"#.utf8)

  private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

  /// As `encodeURIComponent` does.
  private static func encoded(_ text: String) -> String {
    text.utf8.map { byte in
      let isPlain = byte < 0x80 && (Character(Unicode.Scalar(byte)).isLetter || byte &- 0x30 <= 9)
      return isPlain ? String(Unicode.Scalar(byte)) : String(format: "%%%02X", byte)
    }.joined()
  }

  private struct Wrapping: CustomTestStringConvertible {
    let testDescription: String
    var method = "POST"
    var query = ""
    let body: [UInt8]

    init(_ name: String, method: String = "POST", query: String = "", body: [UInt8] = []) {
      testDescription = name
      self.method = method
      self.query = query
      self.body = body
    }

    init(_ name: String, query: String = "", _ body: String) {
      self.init(name, query: query, body: Array(body.utf8))
    }
  }

  private static let wrappings: [Wrapping] = {
    let zipped = gzip(json)
    let url = base64(zipped).replacing("+", with: "-").replacing("/", with: "_").replacing(
      "=", with: "")
    return [
      Wrapping("plain", body: json),
      Wrapping("plain after white space", body: Array("\r\n \t".utf8) + json),
      Wrapping("gzip", query: "compression=gzip-js&ver=1.2&_=1793534401000", body: zipped),
      Wrapping("gzip without a word about it", body: zipped),
      Wrapping("base64", query: "compression=base64", base64(json)),
      Wrapping("base64 with a line's end", base64(json) + "\r\n"),
      Wrapping("base64 of gzip", base64(zipped)),
      Wrapping("base64 of gzip for addresses, without padding", url),
      Wrapping("a form with JSON", "data=" + encoded(text(json))),
      Wrapping("a form with base64", "data=" + encoded(base64(json)) + "&compression=base64"),
      Wrapping("a form with base64 that was not encoded", "ver=1.2&data=" + base64(zipped)),
      Wrapping("a form in base64", base64(Array(("data=" + encoded(base64(zipped))).utf8))),
      Wrapping("a query with JSON", method: "GET", query: "ip=1&data=" + encoded(text(json))),
      Wrapping(
        "a query with base64", method: "GET", query: "data=" + encoded(base64(json)) + "&_=1"),
      Wrapping("a query with base64 of gzip", method: "GET", query: "data=" + base64(zipped)),
      Wrapping("a query beside a body", query: "data=" + encoded(base64(json)), "{"),
    ]
  }()

  @Test("Every wrapping is taken off", arguments: wrappings)
  private func unwrapped(_ wrapping: Wrapping) throws {
    for path in ["/e/", "/i/v0/e", "/track"] {
      let reading = try read(
        "\(wrapping.method) \(path)", query: wrapping.query, body: wrapping.body)
      #expect(reading.events.map(\.id) == ["i?>~"])
    }
  }

  private static let bomb = gzip([UInt8](repeating: 0x20, count: 3_000_000))

  private static let broken: [(Wrapping, String)] = [
    (Wrapping("nothing"), "malformed_json"),
    (Wrapping("a query without data", method: "GET", query: "ip=1"), "malformed_json"),
    (Wrapping("an empty field", "data="), "malformed_json"),
    (Wrapping("words", "not JSON"), "malformed_json"),
    (Wrapping("foreign characters", "eyJ*"), "malformed_json"),
    (Wrapping("too much padding", "eyJ9====="), "malformed_json"),
    (Wrapping("a percent sign alone", "data=%7"), "malformed_json"),
    (Wrapping("base64 of words", base64(Array("not JSON".utf8))), "malformed_json"),
    (Wrapping("base64 of bytes", base64([0xff, 0xfe, 0x00])), "malformed_json"),
    (Wrapping("half of base64", String(base64(json).prefix(40))), "malformed_json"),
    (Wrapping("half of gzip in base64", base64(Array(gzip(json).prefix(40)))), "bad_compression"),
    (Wrapping("a bomb in base64", base64(bomb)), "bad_compression"),
    (Wrapping("a bomb in a form", "data=" + encoded(base64(bomb))), "bad_compression"),
    (Wrapping("a bomb in a bomb", body: gzip(bomb)), "bad_compression"),
    (
      Wrapping(
        "more layers than there may be",
        (0..<7).reduce(text(json)) { text, _ in base64(Array(text.utf8)) }), "malformed_json"
    ),
  ]

  @Test("What cannot be unwrapped is refused, and kept where its key is known", arguments: broken)
  private func refused(_ wrapping: Wrapping, _ code: String) throws {
    let path = "\(wrapping.method) /e/"
    let reading = try read(path, query: wrapping.query, body: wrapping.body)
    #expect(reading.problem == code)
    let known = try read(
      path, query: wrapping.query + "&token=dev", body: wrapping.body)
    #expect(known.refused?.code.rawValue == code)
  }

  @Test("Wrapped bytes changed anywhere are never a crash", arguments: wrappings)
  private func changedAnywhere(_ wrapping: Wrapping) throws {
    for index in wrapping.body.indices {
      for byte: UInt8 in [0x00, 0x25, 0x3d, 0xff] {
        var changed = wrapping.body
        changed[index] = byte
        _ = try read("\(wrapping.method) /e/", query: wrapping.query, body: changed)
      }
    }
  }
}
