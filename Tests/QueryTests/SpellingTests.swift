import HTTPServer
import Testing

@testable import QueryAPI

@Suite struct SpellingTests {
  @Test(
    "a name that comes near is what was meant, and none where none does",
    arguments: [
      ("click", "clicks"), ("Country", "country"), ("impresions", "impressions"),
      ("devise", "device"),
      ("ctr", "ctr"), ("x", nil), ("money", nil), ("", nil),
    ] as [(String, String?)])
  func nearest(given: String, meant: String?) {
    let names = ["impressions", "clicks", "ctr", "country", "device"]
    #expect(Spelling.nearest(to: "\"\(given)\" is not a metric", in: names) == meant)
  }

  @Test("what is unknown is answered with what a scan knows, too")
  func allowed() async throws {
    let parser = QueryRequestParser(pipelines: ["default"])
    for (json, meant) in [
      (#"{"metrics":["click"],"date_range":"1h"}"#, "clicks"),
      (#"{"metrics":["clicks"],"dimensions":["Country"],"date_range":"1h"}"#, "country"),
      (#"{"metrics":["unique"],"date_range":"1h"}"#, "uniques"),
    ] {
      let error = #expect(throws: QueryError.self) {
        try parser.request(json: Array(json.utf8), parameters: [])
      }
      let detail = error?.problem.detail ?? ""
      #expect(detail.contains("did you mean \"\(meant)\"?"), "\(detail)")
    }
  }
}
