import Events
import Ports
import Views

/// Reads a query from JSON, and from the query parameters of the target. Everything unknown is an
/// error that says where it is and what is allowed.
struct QueryRequestParser {
  /// The pipelines that are served; the first is the default.
  var pipelines: [String]

  static let members = [
    "site_id", "pipeline", "metrics", "date_range", "dimensions", "filters", "granularity",
    "order_by", "limit", "offset", "timezone", "after", "timeout", "traffic", "compare", "format",
  ]

  func request(
    json bytes: [UInt8], parameters: [(name: String, value: String)]
  ) throws(QueryError) -> QueryRequest {
    try request(members: try Self.members(json: bytes), parameters: parameters)
  }

  static func members(json bytes: [UInt8]) throws(QueryError) -> [JSONValue.Member] {
    guard case .object(let members) = try JSONValue(parsing: bytes) else {
      throw QueryError(.invalidJSON, path: "$", detail: "the body is not a JSON object")
    }
    return members
  }

  func request(
    members: [JSONValue.Member], parameters: [(name: String, value: String)]
  ) throws(QueryError) -> QueryRequest {
    var request = blank
    var given = Members(values: [:])
    for member in members {
      let path = "$.\(member.name)"
      guard Self.members.contains(member.name) else {
        throw QueryError(
          .unknownMember, path: path, detail: "there is no such member", allowed: Self.members)
      }
      given.values[member.name] = member.value
    }
    request.site = try given.text("site_id") ?? request.site
    request.pipeline = try pipeline(try given.text("pipeline"), path: "$.pipeline")
    request.timezone = try given.text("timezone") ?? request.timezone
    request.metrics = try metrics(try given.required("metrics"))
    request.range = try range(try given.required("date_range"))
    if let value = given.values["dimensions"] { try readDimensions(value, into: &request) }
    if let text = try given.text("granularity") {
      try setGranularity(text, path: "$.granularity", in: &request)
    }
    if let value = given.values["filters"] {
      (request.filters, request.alternatives) = try FilterParser.conditions(
        value, path: "$.filters"
      ) { filter throws(QueryError) in
        DimensionFilter(
          operation: filter.operation,
          dimension: try dimension(
            filter.dimension, path: filter.path,
            allowed: QueryRequest.queryDimensions.map(\.name)),
          values: filter.values)
      }
    }
    if let value = given.values["order_by"] { request.order = try order(value, of: request) }
    request.limit = try given.integer("limit", 1...QueryRequest.limitMax) ?? request.limit
    request.offset = try given.integer("offset", 0...QueryRequest.offsetMax) ?? request.offset
    if let text = try given.text("traffic") {
      request.traffic = try word(text, path: "$.traffic")
    }
    if let text = try given.text("compare") {
      request.comparison = try word(text, path: "$.compare")
    }
    if let text = try given.text("format") { request.format = try word(text, path: "$.format") }
    if let value = given.values["timeout"] {
      request.timeoutMs = try timeout(value.seconds, path: "$.timeout")
    }
    if let text = try given.text("after") { request.after = try position(text, path: "$.after") }
    try readWaiting(parameters, into: &request)
    return request
  }

  /// The query behind `GET /v1/content/{id}/metrics`: every metric by variant, as far as the pipeline
  /// computes it.
  func request(
    content: String, parameters: [(name: String, value: String)]
  ) throws(QueryError) -> QueryRequest {
    var request = blank
    request.metrics = Metric.allCases
    request.dimensions = [.variant]
    request.filters = [
      DimensionFilter(operation: .isAnyOf, dimension: .content, values: [content])
    ]
    let allowed = [
      "date_range", "granularity", "site_id", "pipeline", "timezone", "limit", "offset", "compare",
      "format", "after", "timeout",
    ]
    for (name, value) in parameters {
      let path = "?\(name)"
      switch name {
      case "date_range": request.range = try range(text: value, path: path)
      case "granularity": try setGranularity(value, path: path, in: &request)
      case "site_id": request.site = value
      case "pipeline": request.pipeline = try pipeline(value, path: path)
      case "timezone": request.timezone = value
      case "limit":
        request.limit = try integer(value, 1...QueryRequest.limitMax, path: path)
      case "offset":
        request.offset = try integer(value, 0...QueryRequest.offsetMax, path: path)
      case "compare": request.comparison = try word(value, path: path)
      case "format": request.format = try word(value, path: path)
      case "after", "timeout": break
      default:
        throw QueryError(
          .unknownMember, path: path, detail: "there is no such parameter", allowed: allowed)
      }
    }
    try readWaiting(parameters, into: &request)
    return request
  }

  func word<Word: RawRepresentable<String> & CaseIterable>(
    _ text: String, path: String
  ) throws(QueryError) -> Word {
    guard let word = Word(rawValue: text) else {
      throw QueryError(
        .invalidValue, path: path, detail: "\"\(text)\" is not one of the words here",
        allowed: Word.allCases.map(\.rawValue))
    }
    return word
  }

  /// The name as it was given, or the default one.
  func pipeline(_ name: String?, path: String) throws(QueryError) -> String {
    guard let name else { return pipelines.first ?? "default" }
    guard pipelines.contains(name) else {
      throw QueryError(
        .unknownPipeline, path: path, detail: "\"\(name)\" is not served here", allowed: pipelines)
    }
    return name
  }

  private var blank: QueryRequest {
    QueryRequest(
      pipeline: pipelines.first ?? "default", site: "default", metrics: [], range: .lastDays(30),
      dimensions: [], granularity: nil, filters: [], order: [],
      limit: QueryRequest.limitDefault, offset: 0, timezone: "UTC", after: nil,
      timeoutMs: QueryRequest.timeoutMsDefault)
  }

  /// `after` and `timeout` may stand in the target too; there they win.
  private func readWaiting(
    _ parameters: [(name: String, value: String)], into request: inout QueryRequest
  ) throws(QueryError) {
    for (name, value) in parameters {
      if name == "after" { request.after = try position(value, path: "?after") }
      if name == "timeout" { request.timeoutMs = try timeout(Double(value), path: "?timeout") }
    }
  }

  private func metrics(_ value: JSONValue) throws(QueryError) -> [Metric] {
    let names = try value.texts(path: "$.metrics")
    var metrics: [Metric] = []
    for (index, name) in names.enumerated() {
      let path = "$.metrics[\(index)]"
      guard let metric = Metric(rawValue: name) else {
        throw QueryError(
          .unknownMetric, path: path, detail: "\"\(name)\" is not a metric",
          allowed: Self.metricNames)
      }
      if metrics.contains(metric) {
        throw QueryError(.invalidValue, path: path, detail: "\"\(name)\" is repeated")
      }
      metrics.append(metric)
    }
    if metrics.isEmpty {
      throw QueryError(
        .missingMember, path: "$.metrics", detail: "at least one metric is needed",
        allowed: Self.metricNames)
    }
    return metrics
  }

  private func range(_ value: JSONValue) throws(QueryError) -> DateRange {
    let path = "$.date_range"
    switch value {
    case .string(let word):
      return try range(text: word, path: path)
    case .array(let edges) where edges.count == 2:
      return .explicit(
        try edge(try edges[0].text(path: path + "[0]"), path: path + "[0]"),
        try edge(try edges[1].text(path: path + "[1]"), path: path + "[1]"))
    default:
      throw QueryError(
        .invalidValue, path: path, detail: "\(value.kind) is not a range",
        allowed: DateRange.allowed)
    }
  }

  /// A word, or two edges with a comma between them.
  private func range(text: String, path: String) throws(QueryError) -> DateRange {
    if let range = DateRange(text) { return range }
    let edges = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard edges.count == 2 else {
      throw QueryError(
        .invalidValue, path: path, detail: "\"\(text)\" is not a range",
        allowed: DateRange.allowed)
    }
    return .explicit(try edge(edges[0], path: path), try edge(edges[1], path: path))
  }

  private func edge(_ text: String, path: String) throws(QueryError) -> DateRange.Edge {
    guard let edge = DateRange.Edge(text) else {
      throw QueryError(
        .invalidValue, path: path, detail: "\"\(text)\" is neither a timestamp nor a date",
        allowed: ["2026-11-01T00:00:00Z", "2026-11-01T00:00:00+01:00", "2026-11-01"])
    }
    return edge
  }

  /// Also those that a scan answers: a query with one of them is a scan.
  private static let metricNames =
    Metric.allCases.map(\.rawValue)
    + ScanMetric.all.filter(\.isOfScansAlone).map(\.name) + [ScanMetric.topOfProperty]
  private static let dimensionNames =
    ScanRequestParser.allowedDimensions + Granularity.allCases.map(\.dimensionName)

  private func readDimensions(
    _ value: JSONValue, into request: inout QueryRequest
  ) throws(QueryError) {
    for (index, name) in try value.texts(path: "$.dimensions").enumerated() {
      let path = "$.dimensions[\(index)]"
      if name.hasPrefix("time:"), let granularity = Granularity(name: String(name.dropFirst(5))) {
        try setGranularity(granularity.rawValue, path: path, in: &request)
        continue
      }
      let dimension = try dimension(name, path: path, allowed: Self.dimensionNames)
      if request.dimensions.contains(dimension) {
        throw QueryError(.invalidValue, path: path, detail: "\"\(name)\" is repeated")
      }
      request.dimensions.append(dimension)
    }
  }

  func dimension(
    _ name: String, path: String, allowed: [String]
  ) throws(QueryError) -> Dimension {
    guard let dimension = Dimension(name: name), QueryRequest.queryDimensions.contains(dimension)
    else {
      throw QueryError(
        .unknownDimension, path: path, detail: "\"\(name)\" is not a dimension", allowed: allowed)
    }
    return dimension
  }

  private func setGranularity(
    _ name: String, path: String, in request: inout QueryRequest
  ) throws(QueryError) {
    guard let granularity = Granularity(name: name) else {
      throw QueryError(
        .invalidValue, path: path, detail: "\"\(name)\" is not a granularity",
        allowed: Granularity.allCases.map(\.rawValue))
    }
    if let other = request.granularity, other != granularity {
      throw QueryError(
        .invalidValue, path: path,
        detail: "the time buckets are \(other.rawValue) already; ask for one length")
    }
    request.granularity = granularity
  }

  private func order(
    _ value: JSONValue, of request: QueryRequest
  ) throws(QueryError) -> [QueryRequest.Order] {
    let path = "$.order_by"
    guard case .array(let items) = value else {
      throw QueryError(.invalidValue, path: path, detail: "\(value.kind) is not a list of pairs")
    }
    var allowed = request.metrics.map(\.rawValue) + request.dimensions.map(\.name)
    if let granularity = request.granularity { allowed += ["time", granularity.dimensionName] }
    var order: [QueryRequest.Order] = []
    for (index, item) in items.enumerated() {
      let path = "\(path)[\(index)]"
      let pair = try item.texts(path: path)
      guard pair.count == 2, pair[1] == "asc" || pair[1] == "desc" else {
        throw QueryError(
          .invalidValue, path: path,
          detail: "a pair is a metric or dimension of the query and asc or desc, as in "
            + "[\"clicks\", \"desc\"]")
      }
      guard let key = key(pair[0], of: request) else {
        throw QueryError(
          .invalidValue, path: path + "[0]", detail: "\"\(pair[0])\" is not in the query",
          allowed: allowed)
      }
      order.append(QueryRequest.Order(key: key, isDescending: pair[1] == "desc"))
    }
    return order
  }

  private func key(_ name: String, of request: QueryRequest) -> QueryRequest.Order.Key? {
    if let granularity = request.granularity, name == "time" || name == granularity.dimensionName {
      return .time
    }
    if let metric = Metric(rawValue: name), request.metrics.contains(metric) {
      return .metric(metric)
    }
    return request.dimensions.firstIndex { $0.name == name }.map { .dimension($0) }
  }

  private func position(_ text: String, path: String) throws(QueryError) -> Position {
    guard let position = Position(text) else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "\"\(text)\" is not a position; use one that ingest or a query answered")
    }
    return position
  }

  private func timeout(_ seconds: Double?, path: String) throws(QueryError) -> Int {
    let max = Double(QueryRequest.timeoutMsMax) / 1000
    guard let seconds, (0...max).contains(seconds) else {
      throw QueryError(
        .invalidValue, path: path, detail: "a time-out is 0 to \(Int(max)) seconds")
    }
    return Int(seconds * 1000)
  }

  func integer(
    _ text: String, _ range: ClosedRange<Int>, path: String
  ) throws(QueryError) -> Int {
    guard let value = Int(text), range.contains(value) else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "a whole number from \(range.lowerBound) to \(range.upperBound) is needed")
    }
    return value
  }
}

/// The members of the request's object.
private struct Members {
  var values: [String: JSONValue]

  func required(_ name: String) throws(QueryError) -> JSONValue {
    guard let value = values[name] else {
      throw QueryError(.missingMember, path: "$.\(name)", detail: "this member is needed")
    }
    return value
  }

  func text(_ name: String) throws(QueryError) -> String? {
    guard let value = values[name] else { return nil }
    return try value.text(path: "$.\(name)")
  }

  func integer(_ name: String, _ range: ClosedRange<Int>) throws(QueryError) -> Int? {
    guard let value = values[name] else { return nil }
    guard case .integer(let number) = value, let integer = Int(exactly: number),
      range.contains(integer)
    else {
      throw QueryError(
        .invalidValue, path: "$.\(name)",
        detail: "a whole number from \(range.lowerBound) to \(range.upperBound) is needed")
    }
    return integer
  }
}

extension JSONValue {
  func text(path: String) throws(QueryError) -> String {
    guard case .string(let text) = self else {
      throw QueryError(.invalidValue, path: path, detail: "\(kind) is not a string")
    }
    return text
  }

  func texts(path: String) throws(QueryError) -> [String] {
    guard case .array(let items) = self else {
      throw QueryError(.invalidValue, path: path, detail: "\(kind) is not a list of strings")
    }
    var texts: [String] = []
    for (index, item) in items.enumerated() {
      texts.append(try item.text(path: "\(path)[\(index)]"))
    }
    return texts
  }

  fileprivate var seconds: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }
}
