import Testing

@testable import QueryAPI

@Suite("Filters are read into conditions of which all hold")
struct FilterParserTests {
  /// Such as `a | b, c`: of the first two one holds, and the third does.
  private func read(_ json: String) throws -> String {
    let (all, alternatives) = try FilterParser.conditions(
      try JSONValue(parsing: Array(json.utf8)), path: "$.filters"
    ) { filter throws(QueryError) in "\(filter.dimension)\(filter.values.joined())" }
    return (alternatives.map { $0.joined(separator: " | ") } + all).joined(separator: ", ")
  }

  @Test(
    "however they are nested",
    arguments: [
      ("[]", ""),
      (#"[["is","a",["1"]],["is_not","b",["2"]]]"#, "a1, b2"),
      (#"[["and",[["is","a",["1"]],["contains","b",["2","3"]]]]]"#, "a1, b23"),
      (#"[["or",[["is","a",["1"]],["is","b",["2"]]]],["is","c",["3"]]]"#, "a1 | b2, c3"),
      (#"[["or",[["is","a",["1"]]]]]"#, "a1"),
      (#"[["or",[["or",[["is","a",["1"]],["is","b",["2"]]]],["is","c",["3"]]]]]"#, "a1 | b2 | c3"),
      (
        #"[["or",[["and",[["is","a",["1"]],["is","b",["2"]]]],["is","c",["3"]]]]]"#,
        "a1 | c3, b2 | c3"
      ),
      (#"[["or",[["and",[]],["is","c",["3"]]]]]"#, ""),
    ])
  func nested(json: String, conditions: String) throws {
    #expect(try read(json) == conditions)
  }

  @Test("what is too much is refused, before it is multiplied out")
  func bounds() throws {
    func list(_ count: Int) -> String {
      (0..<count).map { #"["is","d\#($0)",["1"]]"# }.joined(separator: ",")
    }
    #expect(try read("[\(list(20))]").split(separator: ",").count == 20)
    let many = #expect(throws: QueryError.self) { try read("[\(list(21))]") }
    #expect(many?.path == "$.filters[20]" && many?.code == .invalidValue)
    let product = "[[\"or\",[[\"and\",[\(list(5))]],[\"and\",[\(list(5))]]]]]"
    let multiplied = #expect(throws: QueryError.self) { try read(product) }
    #expect(multiplied?.detail.contains("25 times") ?? false)
  }

  @Test("an answer repeats the filters as it read them")
  func written() throws {
    let parser = QueryRequestParser(pipelines: ["default"])
    let request = try ScanRequestParser(parser: parser).request(
      try QueryRequestParser.members(
        json: Array(
          (#"{"metrics":["events"],"date_range":"7d","filters":[["or",[["is","property:p\"x",["1"]],"#
            + #"["contains","device",["m"]]]],["is","campaign",["é"]]]}"#).utf8)),
      parameters: [], now: 0)
    var output: [UInt8] = []
    request.filters.write(to: &output)
    #expect(
      String(decoding: output, as: UTF8.self)
        == #"[["is","campaign",["é"]],["or",[["is","property:p\"x",["1"]],["contains","device",["m"]]]]]"#
    )
  }
}
