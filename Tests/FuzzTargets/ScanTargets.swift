@testable import Analyses
@testable import QueryAPI

/// What scans of the log read: questions, and the payloads of events, which were checked once but are followed without
/// checks.
enum ScanTargets {
  private static let question = """
    {"site_id":"s","metrics":["clicks","uniques","dwell_p90","top_contents","top_property:a"],"date_range":"7d",
    "dimensions":["time:day","device","hour_of_week","property:a.b"],"top_limit":20,"scan":true,"timezone":"Europe/Berlin",
    "filters":[["and",[["is","country",["DE"]]]],["contains","source",["news"]],
    ["or",[["is","event",["x"]],["and",[["is","property:a",["1"]],["is_not","segment",[""]]]]]]],
    "order_by":[["uniques","desc"],["time","asc"]],"as_known_at":"2026-11-01T00:00:00Z","limit":5}
    """
  private static let payload = """
    {"properties":{"a":{"b":"x\\"y"}},"context":{"campaign":{"source":"a\\"b"},"page":{"url":"https://x.y/?utm_source=a%20b"}},"x":[[{"}":"]"}]],
    "events":[{"params":{"page_referrer":"https://www.z.example/"}}],"dw":1200,"sd":"60","country":null}
    """

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "scan-query", seeds: [question.bytes],
      words: ScanRequestParser.members.map { "\"\($0)\"" }
        + ScanRequestParser.dimensionNames.map { "\"\($0)\"" }, run: query),
    FuzzTarget(
      "payload", seeds: [payload.bytes],
      words: Set(PayloadField.allCases.flatMap(\.places)).sorted() + ["\\\"", "[{", "}]", "://"],
      run: payload),
  ]

  @Sendable private static func query(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    do throws(QueryError) {
      guard case .object(let members) = try JSONValue(parsing: Array(input)) else { return }
      _ = ScanRequestParser.needsScan(members)
      let parser = ScanRequestParser(parser: QueryRequestParser(pipelines: ["default"]))
      let request = try parser.request(members, parameters: [], now: ProtocolTargets.now)
      let periods = try ScanPeriods(request.base, now: ProtocolTargets.now, zone: .utc)
      _ = request.question(periods, zone: .utc)
      precondition(!request.metrics.isEmpty, "a question has a metric")
    } catch {
      // It is said what is wrong with it, and where.
    }
  }

  @Sendable private static func payload(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    var values = PayloadValues(
      for: BreakdownQuestion(
        site: "s", times: 0..<1,
        dimensions: [.source, .medium, .referrer, .country, .property("a.b")],
        measures: [.dwell, .scroll]))
    values.read(input)
    for dimension: BreakdownDimension in [
      .source, .medium, .referrer, .country, .property("a.b"),
    ] {
      var value: [UInt8] = []
      values.append(dimension, of: input, to: &value)
      try BrokenLaw.unless(value.count <= 256, "a value of \(dimension) has \(value.count) bytes")
    }
    let numbers = [values.dwell(input), values.scroll(input)].compactMap { $0 }
    try BrokenLaw.unless(numbers.allSatisfy { $0 >= 0 && $0.isFinite }, "numbers are \(numbers)")
  }
}
