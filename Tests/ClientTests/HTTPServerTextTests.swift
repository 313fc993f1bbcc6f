import HTTPServer
import Testing

@Suite("HTTP server: texts")
struct HTTPServerTextTests {
  private func fields(_ query: String) -> [String] {
    let bytes = Array(query.utf8)
    var scanner = QueryScanner()
    var found: [String] = []
    while let field = scanner.next(in: bytes.span.bytes) {
      let name = String(decoding: bytes[field.name], as: UTF8.self)
      let value = String(decoding: bytes[field.value], as: UTF8.self)
      let marks = (field.nameIsEncoded ? "n" : "") + (field.valueIsEncoded ? "v" : "")
      found.append("\(name)|\(value)|\(marks)")
    }
    return found
  }

  @Test("A query is read field by field")
  func query() {
    #expect(fields("") == [])
    #expect(fields("a=1&b=&c&=d") == ["a|1|", "b||", "c||", "|d|"])
    #expect(fields("&&a=1&") == ["a|1|"])
    #expect(fields("a=b=c") == ["a|b=c|"])
    #expect(fields("a%20=b+c&d+=e%41") == ["a%20|b+c|nv", "d+|e%41|nv"])
  }

  @Test(
    "Percent escapes are decoded, malformed ones refused",
    arguments: [
      ("a%20b+c", "a b c"), ("%C3%A9%c3%a9", "éé"), ("", ""), ("%", nil), ("%4", nil),
      ("%4g", nil), ("a%", nil), ("%41", "A"), ("%00", "\0"),
    ] as [(String, String?)])
  func decoding(_ text: String, _ expected: String?) {
    let bytes = Array(text.utf8)
    var output: [UInt8] = []
    let isValid = PercentEncoding.decode(0..<bytes.count, in: bytes.span.bytes, to: &output)
    #expect((isValid ? String(decoding: output, as: UTF8.self) : nil) == expected)
  }

  @Test("Query fields of a request are decoded, or nil")
  func queryFields() throws {
    let good = HTTPRequest(method: .get, path: "/", query: "after=1%7E0.5&x=a+b")
    let fields = try #require(good.queryFields())
    #expect(fields.map { "\($0.name)=\($0.value)" } == ["after=1~0.5", "x=a b"])
    #expect(HTTPRequest(method: .get, path: "/", query: "a=%ff").queryFields() == nil)
  }

  @Test("JSON strings escape quotes, backslashes and control characters only")
  func json() {
    #expect(JSONText.quoted("") == #""""#)
    #expect(JSONText.quoted("a\"b\\c\nd\u{1}é😀/") == #""a\"b\\c\nd\u0001é😀/""#)
    var output: [UInt8] = []
    JSONText.append(utf8: Array("\t".utf8), to: &output)
    #expect(String(decoding: output, as: UTF8.self) == #""\u0009""#)
  }

  @Test("A problem has the members that SDKs print, and further ones")
  func problem() {
    let problem = Problem(
      .gatewayTimeout, code: "not_reached", detail: "Not yet.", instance: "/r/1",
      members: [(name: "position", json: "\"1~0.5\"")])
    #expect(
      String(decoding: problem.json, as: UTF8.self)
        == #"{"type":"urn:smartcontent:problem:not_reached","title":"Gateway Timeout","status":504,"#
        + #""detail":"Not yet.","instance":"/r/1","code":"not_reached","message":"Not yet.","#
        + #""position":"1~0.5"}"#)
  }
}
