import Events
import HTTPServer
import Ports
import Testing
import Views

@testable import QueryAPI

@Suite struct QueryRequestTests {
  private let parser = QueryRequestParser(pipelines: ["default", "recent"])

  private func parse(
    _ json: String, _ parameters: [(name: String, value: String)] = []
  ) throws(QueryError) -> QueryRequest {
    try parser.request(json: Array(json.utf8), parameters: parameters)
  }

  @Test("a query without options has the documented defaults")
  func defaults() throws {
    let request = try parse(#"{"metrics":["clicks"],"date_range":"7d"}"#)
    #expect(request.site == "default")
    #expect(request.pipeline == "default")
    #expect(request.range == .lastDays(7))
    #expect(request.dimensions == [])
    #expect(request.granularity == nil)
    #expect(request.limit == 1000)
    #expect(request.offset == 0)
    #expect(request.timezone == "UTC")
    #expect(request.timeoutMs == 5000)
    #expect(request.after == nil)
  }

  @Test("every member is read")
  func everything() throws {
    let request = try parse(
      """
      {"site_id":"s","pipeline":"recent","metrics":["impressions","ctr","revenue"],
       "date_range":["2026-11-01T00:00:00Z","2026-11-03"],"dimensions":["time:hour","campaign","variant"],
       "filters":[["is","campaign",["x","y"]],["and",[["is_not","variant",["a"]],["contains","content",["p"]]]]],
       "granularity":"hour","order_by":[["ctr","desc"],["time","asc"],["variant","asc"]],
       "limit":10,"offset":5,"timezone":"Europe/Berlin","after":"1~0.4","timeout":0.25}
      """)
    #expect(request.site == "s")
    #expect(request.pipeline == "recent")
    #expect(request.metrics == [.impressions, .ctr, .revenue])
    #expect(request.range == .explicit(.instant(1_793_491_200_000_000), .localDay(20_760)))
    #expect(request.dimensions == [.campaign, .variant])
    #expect(request.granularity == .hour)
    #expect(
      request.filters == [
        DimensionFilter(operation: .isAnyOf, dimension: .campaign, values: ["x", "y"]),
        DimensionFilter(operation: .isNoneOf, dimension: .variant, values: ["a"]),
        DimensionFilter(operation: .contains, dimension: .content, values: ["p"]),
      ])
    #expect(
      request.order == [
        QueryRequest.Order(key: .metric(.ctr), isDescending: true),
        QueryRequest.Order(key: .time, isDescending: false),
        QueryRequest.Order(key: .dimension(1), isDescending: false),
      ])
    #expect(request.limit == 10)
    #expect(request.offset == 5)
    #expect(request.timezone == "Europe/Berlin")
    #expect(request.after == Position("1~0.4"))
    #expect(request.timeoutMs == 250)
  }

  @Test("Bots do not count unless a query says so, or asks for traffic")
  func traffic() throws {
    func filters(_ members: String) throws -> [DimensionFilter] {
      try parse(#"{"metrics":["clicks"],"date_range":"all"\#(members)}"#).allFilters
    }
    let people = DimensionFilter(operation: .isAnyOf, dimension: .traffic, values: [""])
    #expect(try filters("") == [people])
    #expect(try filters(#","traffic":"people""#) == [people])
    #expect(
      try filters(#","traffic":"bots""#)
        == [DimensionFilter(operation: .isNoneOf, dimension: .traffic, values: [""])])
    #expect(try filters(#","traffic":"all""#) == [])
    #expect(try filters(#","dimensions":["traffic"]"#) == [])
    #expect(
      try filters(#","filters":[["is","traffic",["bot"]]]"#)
        == [DimensionFilter(operation: .isAnyOf, dimension: .traffic, values: ["bot"])])
    #expect(throws: QueryError.self) { try filters(#","traffic":"robots""#) }
  }

  @Test("after and timeout in the target win over those in the body")
  func target() throws {
    let request = try parse(
      #"{"metrics":["clicks"],"date_range":"all","after":"1~0.4","timeout":9}"#,
      [(name: "after", value: "1~0.7"), (name: "timeout", value: "2.5")])
    #expect(request.after == Position("1~0.7"))
    #expect(request.timeoutMs == 2500)
  }

  private static let wrong: [(json: String, code: QueryError.Code, path: String)] = [
    ("", .invalidJSON, "$"),
    ("[]", .invalidJSON, "$"),
    (#"{"metrics":["clicks"],"date_range":"7d"} x"#, .invalidJSON, "$"),
    (#"{"metrics":["clicks"],"metrics":["views"],"date_range":"7d"}"#, .invalidJSON, "$"),
    (#"{"metric":["clicks"],"date_range":"7d"}"#, .unknownMember, "$.metric"),
    (#"{"date_range":"7d"}"#, .missingMember, "$.metrics"),
    (#"{"metrics":[],"date_range":"7d"}"#, .missingMember, "$.metrics"),
    (#"{"metrics":["clicks"]}"#, .missingMember, "$.date_range"),
    (#"{"metrics":["clicks","visitors"],"date_range":"7d"}"#, .unknownMetric, "$.metrics[1]"),
    (#"{"metrics":["clicks","clicks"],"date_range":"7d"}"#, .invalidValue, "$.metrics[1]"),
    (#"{"metrics":"clicks","date_range":"7d"}"#, .invalidValue, "$.metrics"),
    (#"{"metrics":["clicks"],"date_range":"soon"}"#, .invalidValue, "$.date_range"),
    (#"{"metrics":["clicks"],"date_range":"0d"}"#, .invalidValue, "$.date_range"),
    (#"{"metrics":["clicks"],"date_range":"2161h"}"#, .invalidValue, "$.date_range"),
    (#"{"metrics":["clicks"],"date_range":["2026-11-01"]}"#, .invalidValue, "$.date_range"),
    (#"{"metrics":["clicks"],"date_range":["2026-11-01","x"]}"#, .invalidValue, "$.date_range[1]"),
    (
      #"{"metrics":["clicks"],"date_range":"7d","dimensions":["place"]}"#, .unknownDimension,
      "$.dimensions[0]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","dimensions":["site"]}"#, .unknownDimension,
      "$.dimensions[0]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","dimensions":["time:year"]}"#, .unknownDimension,
      "$.dimensions[0]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","dimensions":["time:day"],"granularity":"hour"}"#,
      .invalidValue, "$.granularity"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","filters":[["or",[]]]}"#, .invalidValue,
      "$.filters[0][1]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","filters":[["not",[]]]}"#, .invalidValue,
      "$.filters[0][0]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","filters":[["or",["is","campaign",["a"]]]]}"#,
      .invalidValue, "$.filters[0][1][0]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","filters":[["or",[["is","city",["x"]]]]]}"#,
      .unknownDimension, "$.filters[0][1][0][1]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","filters":[["is","city",["x"]]]}"#,
      .unknownDimension, "$.filters[0][1]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","filters":[["is","campaign","x"]]}"#, .invalidValue,
      "$.filters[0][2]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","filters":[["is","campaign",[]]]}"#, .invalidValue,
      "$.filters[0][2]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","order_by":[["views","desc"]]}"#, .invalidValue,
      "$.order_by[0][0]"
    ),
    (
      #"{"metrics":["clicks"],"date_range":"7d","order_by":[["clicks","down"]]}"#, .invalidValue,
      "$.order_by[0]"
    ),
    (#"{"metrics":["clicks"],"date_range":"7d","limit":0}"#, .invalidValue, "$.limit"),
    (#"{"metrics":["clicks"],"date_range":"7d","limit":10001}"#, .invalidValue, "$.limit"),
    (#"{"metrics":["clicks"],"date_range":"7d","offset":-1}"#, .invalidValue, "$.offset"),
    (#"{"metrics":["clicks"],"date_range":"7d","timeout":61}"#, .invalidValue, "$.timeout"),
    (#"{"metrics":["clicks"],"date_range":"7d","after":"yesterday"}"#, .invalidValue, "$.after"),
    (
      #"{"metrics":["clicks"],"date_range":"7d","pipeline":"other"}"#, .unknownPipeline,
      "$.pipeline"
    ),
  ]

  @Test("a wrong query is refused with a code and its place", arguments: Self.wrong)
  func refuses(json: String, code: QueryError.Code, path: String) throws {
    let error = #expect(throws: QueryError.self) { try parse(json) }
    #expect(error?.code == code)
    #expect(error?.path == path)
  }

  @Test("an unknown metric is answered with the list of metrics")
  func lists() throws {
    let error = #expect(throws: QueryError.self) {
      try parse(#"{"metrics":["clickz"],"date_range":"7d"}"#)
    }
    #expect(
      error?.allowed == Metric.allCases.map(\.rawValue)
        + ScanMetric.all.filter(\.isOfScansAlone).map(\.name) + ["top_property:NAME"])
    let text = String(decoding: error?.problem.json ?? [], as: UTF8.self)
    #expect(text.contains(#""code":"unknown_metric""#))
    #expect(text.contains(#""path":"$.metrics[0]""#))
    #expect(text.contains(#""allowed":["impressions","#))
    #expect(text.contains(#""status":400"#))
  }

  @Test("metrics of one content are all of them by variant")
  func content() throws {
    let request = try parser.request(
      content: "c1",
      parameters: [
        (name: "date_range", value: "2026-11-01,2026-11-02"), (name: "granularity", value: "day"),
        (name: "site_id", value: "s"), (name: "after", value: "1~0.7"),
      ])
    #expect(request.metrics == Metric.allCases)
    #expect(request.dimensions == [.variant])
    #expect(
      request.filters == [
        DimensionFilter(operation: .isAnyOf, dimension: .content, values: ["c1"])
      ])
    #expect(request.range == .explicit(.localDay(20_758), .localDay(20_759)))
    #expect(request.granularity == .day)
    #expect(request.site == "s")
    #expect(request.after == Position("1~0.7"))
    let error = #expect(throws: QueryError.self) {
      try parser.request(content: "c1", parameters: [(name: "metrics", value: "x")])
    }
    #expect(error?.path == "?metrics")
  }
}
