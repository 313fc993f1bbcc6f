import Analyses
import Events
import Ports

/// Reads queries that are answered by scanning the log: the members of ``QueryRequestParser``, with more metrics and
/// dimensions, and `scan`, `as_known_at`.
struct ScanRequestParser {
  let parser: QueryRequestParser

  static let members = [
    "site_id", "pipeline", "metrics", "date_range", "dimensions", "filters", "granularity",
    "order_by", "limit", "offset", "timezone", "after", "timeout", "traffic", "compare", "format",
    "scan", "as_known_at", "top_limit",
  ]
  /// In the place of a name that is the sender's own.
  static let propertyName = BreakdownDimension.propertyPrefix + "NAME"
  static let dimensionNames = BreakdownDimension.named.map(\.name)
  /// As errors say what is allowed.
  static let allowedDimensions = dimensionNames + [propertyName]

  /// Whether no read model can answer: something in it is only found by scanning, or it says so itself.
  static func needsScan(_ members: [JSONValue.Member]) -> Bool {
    func texts(_ value: JSONValue?) -> [String] {
      guard case .array(let items) = value else { return [] }
      return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }
    for member in members {
      switch member.name {
      case "scan": if case .bool(false) = member.value { continue } else { return true }
      case "as_known_at", "top_limit": return true
      case "metrics":
        if texts(member.value).contains(where: { ScanMetric(name: $0)?.isOfScansAlone ?? false }) {
          return true
        }
      case "dimensions":
        if texts(member.value).contains(where: isOfScansAlone) { return true }
      case "filters":
        if FilterParser.dimensionNames(member.value).contains(where: isOfScansAlone) {
          return true
        }
      default: break
      }
    }
    return false
  }

  private static func isOfScansAlone(_ dimension: String) -> Bool {
    BreakdownDimension(name: dimension) != nil
      && !QueryRequest.queryDimensions.map(\.name).contains(dimension)
  }

  /// - Parameter now: microseconds since the epoch.
  func request(
    _ members: [JSONValue.Member], parameters: [(name: String, value: String)], now: Int64
  ) throws(QueryError) -> ScanRequest {
    var given: [String: JSONValue] = [:]
    for member in members {
      guard Self.members.contains(member.name) else {
        throw QueryError(
          .unknownMember, path: "$.\(member.name)",
          detail: "a query that is answered by scanning the log has no such member",
          allowed: Self.members)
      }
      given[member.name] = member.value
    }
    let (metrics, dimensions, times) = (
      try metrics(given["metrics"]), try dimensions(given["dimensions"]),
      timeDimensions(given["dimensions"])
    )
    var request = ScanRequest(
      base: try parser.request(
        members: Self.plain(members, times: times), parameters: parameters), metrics: metrics,
      dimensions: dimensions,
      filters: try given["filters"].map { value throws(QueryError) in
        try filters(value, path: "$.filters")
      } ?? ScanRequest.Filters())
    if let value = given["order_by"] { request.order = try order(value, of: request) }
    if let value = given["as_known_at"] { request.knownAt = try knownAt(value, now: now) }
    if let value = given["top_limit"] {
      request.topLength = try topLength(value, of: request)
    }
    try Self.checkProperties(
      request.dimensions + request.filters.dimensions + request.tops, path: "$")
    if let value = given["scan"], value != .bool(true), value != .bool(false) {
      throw QueryError(
        .invalidValue, path: "$.scan", detail: "\(value.kind) is not a boolean",
        allowed: ["true", "false"])
    }
    return request
  }

  /// What the other parser reads: all but metrics, filters, order and the dimensions that are no time buckets.
  private static func plain(
    _ members: [JSONValue.Member], times: [JSONValue]
  ) -> [JSONValue.Member] {
    let own = [
      "metrics", "dimensions", "filters", "order_by", "scan", "as_known_at", "top_limit",
    ]
    return members.filter { !own.contains($0.name) } + [
      JSONValue.Member(name: "metrics", value: .array([.string("impressions")])),
      JSONValue.Member(name: "dimensions", value: .array(times)),
    ]
  }

  // MARK: Members

  private func metrics(_ value: JSONValue?) throws(QueryError) -> [ScanMetric] {
    let allowed = ScanMetric.allowed
    var metrics: [ScanMetric] = []
    for (index, name) in try (value ?? .array([])).texts(path: "$.metrics").enumerated() {
      let path = "$.metrics[\(index)]"
      guard let metric = ScanMetric(name: name) else {
        throw QueryError(
          .unknownMetric, path: path, detail: ScanMetric.refusal(of: name), allowed: allowed)
      }
      guard !metrics.contains(metric) else {
        throw QueryError(.invalidValue, path: path, detail: "\"\(name)\" is repeated")
      }
      metrics.append(metric)
    }
    guard !metrics.isEmpty else {
      throw QueryError(
        .missingMember, path: "$.metrics", detail: "at least one metric is needed",
        allowed: allowed)
    }
    return metrics
  }

  private func timeDimensions(_ value: JSONValue?) -> [JSONValue] {
    guard case .array(let items) = value else { return [] }
    return items.filter {
      if case .string(let text) = $0 { text.hasPrefix("time:") } else { false }
    }
  }

  private func dimensions(_ value: JSONValue?) throws(QueryError) -> [BreakdownDimension] {
    guard let value else { return [] }
    var dimensions: [BreakdownDimension] = []
    for (index, name) in try value.texts(path: "$.dimensions").enumerated()
    where !name.hasPrefix("time:") {
      let path = "$.dimensions[\(index)]"
      let dimension = try dimension(name, path: path)
      guard !dimensions.contains(dimension) else {
        throw QueryError(.invalidValue, path: path, detail: "\"\(name)\" is repeated")
      }
      dimensions.append(dimension)
    }
    return dimensions
  }

  func dimension(
    _ name: String, path: String,
    allowed: [String] = Self.allowedDimensions + Granularity.allCases.map(\.dimensionName)
  ) throws(QueryError) -> BreakdownDimension {
    guard let dimension = BreakdownDimension(name: name) else {
      let isProperty = name.hasPrefix(BreakdownDimension.propertyPrefix)
      throw QueryError(
        .unknownDimension, path: path,
        detail: isProperty
          ? "a property's name has 1 to \(BreakdownDimension.propertyBytesMax) bytes, no control "
            + "characters" : "\"\(name)\" is not a dimension", allowed: allowed)
    }
    return dimension
  }

  /// Filters on any of the dimensions.
  func filters(
    _ value: JSONValue, path: String
  ) throws(QueryError) -> ScanRequest.Filters {
    let (all, alternatives) = try FilterParser.conditions(value, path: path) {
      filter throws(QueryError) in
      BreakdownFilter(
        try dimension(filter.dimension, path: filter.path, allowed: Self.allowedDimensions),
        Self.test(filter.operation), filter.values.map { Array($0.utf8) })
    }
    return ScanRequest.Filters(all: all, alternatives: alternatives)
  }

  /// Each property that is looked for has a reader of its own.
  static func checkProperties(
    _ dimensions: [BreakdownDimension], path: String
  ) throws(QueryError) {
    let properties = Set(dimensions.filter { if case .property = $0 { true } else { false } })
    guard properties.count <= propertyCountMax else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "the question is about \(properties.count) properties, more than "
          + "\(propertyCountMax); ask about fewer at once")
    }
  }

  static let propertyCountMax = 8

  private static func test(_ operation: DimensionFilter.Operation) -> BreakdownFilter.Test {
    switch operation {
    case .isAnyOf: .isAnyOf
    case .isNoneOf: .isNoneOf
    case .contains: .contains
    }
  }

  private func topLength(
    _ value: JSONValue, of request: ScanRequest
  ) throws(QueryError) -> Int {
    let path = "$.top_limit"
    guard !request.tops.isEmpty else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "no metric of the query is a list of the most frequent; ask for one, such as "
          + "top_contents, or leave it out")
    }
    guard case .integer(let number) = value,
      (1...Int64(BreakdownQuestion.topLengthMax)).contains(number)
    else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "a list has 1 to \(BreakdownQuestion.topLengthMax) entries: so many values are "
          + "counted at once; for all of them ask by the dimension")
    }
    return Int(number)
  }

  private func order(
    _ value: JSONValue, of request: ScanRequest
  ) throws(QueryError) -> [ScanRequest.Order] {
    guard case .array(let items) = value else {
      throw QueryError(
        .invalidValue, path: "$.order_by", detail: "\(value.kind) is not a list of pairs")
    }
    let allowed =
      request.metrics.filter(\.isNumber).map(\.name) + request.dimensions.map(\.name)
      + (request.base.granularity.map { ["time", $0.dimensionName] } ?? [])
    var order: [ScanRequest.Order] = []
    for (index, item) in items.enumerated() {
      let path = "$.order_by[\(index)]"
      let pair = try item.texts(path: path)
      guard pair.count == 2, ["asc", "desc"].contains(pair[1]), allowed.contains(pair[0]) else {
        throw QueryError(
          .invalidValue, path: path,
          detail: "a pair is a metric or dimension of the query and asc or desc", allowed: allowed)
      }
      let key: ScanRequest.Order.Key
      if let place = request.dimensions.firstIndex(where: { $0.name == pair[0] }) {
        key = .dimension(place)
      } else {
        key = ScanMetric(name: pair[0]).map { .metric($0) } ?? .time
      }
      order.append(ScanRequest.Order(key: key, isDescending: pair[1] == "desc"))
    }
    return order
  }

  func knownAt(_ value: JSONValue, now: Int64) throws(QueryError) -> Int64 {
    guard case .string(let text) = value, let time = CivilTime.parseTimestamp(text) else {
      throw QueryError(
        .invalidValue, path: "$.as_known_at", detail: "\(value.kind) is not a time",
        allowed: ["2026-11-01T00:00:00Z"])
    }
    guard time <= now else {
      throw QueryError(
        .invalidValue, path: "$.as_known_at",
        detail: "\(text) is yet to come; what will be known then is not known")
    }
    return time
  }
}
