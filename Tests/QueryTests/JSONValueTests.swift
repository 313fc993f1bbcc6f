import Testing

@testable import QueryAPI

@Suite struct JSONValueTests {
  private func parse(_ text: String) throws(QueryError) -> JSONValue {
    try JSONValue(parsing: Array(text.utf8))
  }

  @Test("values of every kind are read")
  func kinds() throws {
    #expect(
      try parse(#" {"a":[1,-2.5e1,true,false,null,"x"],"b":{}} "#)
        == .object([
          .init(
            name: "a",
            value: .array([
              .integer(1), .number(-25), .bool(true), .bool(false), .null, .string("x"),
            ])), .init(name: "b", value: .object([])),
        ]))
    #expect(try parse(#""a\"\\\/\b\f\n\r\té\ud83d\ude00""#) == .string("a\"\\/\u{8}\u{c}\n\r\té😀"))
  }

  @Test(
    "malformed text is refused",
    arguments: [
      "", " ", "{", "[1", "[1,]", "{\"a\"}", "{\"a\":1,}", "01", "-", "1.", "1e", "nul", "\"",
      "\"\\x\"",
      "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\u{1}\"", "[1] 2", "1e999",
      "\"\\u12g4\"",
    ])
  func malformed(text: String) {
    #expect(throws: QueryError.self) { try parse(text) }
  }

  @Test("deep nesting and bytes that are not UTF-8 are refused")
  func hostile() {
    #expect(throws: QueryError.self) { try parse(String(repeating: "[", count: 100_000)) }
    #expect(throws: QueryError.self) { try JSONValue(parsing: [0x22, 0xff, 0x22]) }
  }
}
