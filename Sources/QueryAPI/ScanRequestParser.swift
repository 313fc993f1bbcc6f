import Analyses
import Events

/// Reads queries that are answered by scanning the log: the members of ``QueryRequestParser``, with more metrics and
/// dimensions, and `scan`, `as_known_at`.
struct ScanRequestParser {
  let parser: QueryRequestParser

  static let members = [
    "site_id", "pipeline", "metrics", "date_range", "dimensions", "filters", "granularity",
    "order_by", "limit", "offset", "timezone", "after", "timeout", "traffic", "compare", "format",
    "scan", "as_known_at",
  ]
  static let dimensionNames = BreakdownDimension.allCases.map(\.rawValue)

  /// Whether no read model can answer: something in it is only found by scanning, or it says so itself.
  static func needsScan(_ members: [JSONValue.Member]) -> Bool {
    func texts(_ value: JSONValue?) -> [String] {
      guard case .array(let items) = value else { return [] }
      return items.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }
    func names(ofFilters value: JSONValue?) -> [String] {
      guard case .array(let items) = value else { return [] }
      return items.flatMap { item -> [String] in
        guard case .array(let parts) = item, parts.count > 1 else { return [] }
        if case .string("and") = parts[0] { return names(ofFilters: parts[1]) }
        if case .string(let name) = parts[1] { return [name] }
        return []
      }
    }
    for member in members {
      switch member.name {
      case "scan": if case .bool(false) = member.value { continue } else { return true }
      case "as_known_at": return true
      case "metrics":
        let alone = ScanMetric.ofScansAlone.map(\.name)
        if texts(member.value).contains(where: alone.contains) { return true }
      case "dimensions":
        if texts(member.value).contains(where: isOfScansAlone) { return true }
      case "filters":
        if names(ofFilters: member.value).contains(where: isOfScansAlone) { return true }
      default: break
      }
    }
    return false
  }

  private static func isOfScansAlone(_ dimension: String) -> Bool {
    dimensionNames.contains(dimension)
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
      } ?? [], order: [], knownAt: nil)
    if let value = given["order_by"] { request.order = try order(value, of: request) }
    if let value = given["as_known_at"] { request.knownAt = try knownAt(value, now: now) }
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
    let own = ["metrics", "dimensions", "filters", "order_by", "scan", "as_known_at"]
    return members.filter { !own.contains($0.name) } + [
      JSONValue.Member(name: "metrics", value: .array([.string("impressions")])),
      JSONValue.Member(name: "dimensions", value: .array(times)),
    ]
  }

  // MARK: Members

  private func metrics(_ value: JSONValue?) throws(QueryError) -> [ScanMetric] {
    let allowed = ScanMetric.all.map(\.name)
    var metrics: [ScanMetric] = []
    for (index, name) in try texts(value ?? .array([]), path: "$.metrics").enumerated() {
      let path = "$.metrics[\(index)]"
      guard let metric = ScanMetric(name: name) else {
        throw QueryError(
          .unknownMetric, path: path, detail: "\"\(name)\" is not a metric of scans of the log",
          allowed: allowed)
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
    for (index, name) in try texts(value, path: "$.dimensions").enumerated()
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
    allowed: [String] = Self.dimensionNames + Granularity.allCases.map(\.dimensionName)
  ) throws(QueryError) -> BreakdownDimension {
    guard let dimension = BreakdownDimension(rawValue: name) else {
      throw QueryError(
        .unknownDimension, path: path, detail: "\"\(name)\" is not a dimension", allowed: allowed)
    }
    return dimension
  }

  private static let operations: [(name: String, test: BreakdownFilter.Test)] = [
    ("is", .isAnyOf), ("is_not", .isNoneOf), ("contains", .contains),
  ]

  /// Filters on any of the dimensions.
  func filters(
    _ value: JSONValue, path: String
  ) throws(QueryError) -> [ScanRequest.Filter] {
    guard case .array(let items) = value else {
      throw QueryError(.invalidValue, path: path, detail: "\(value.kind) is not a list of filters")
    }
    var filters: [ScanRequest.Filter] = []
    for (index, item) in items.enumerated() {
      filters += try filter(item, path: "\(path)[\(index)]")
      guard filters.count <= QueryRequest.filterCountMax else {
        throw QueryError(
          .invalidValue, path: path,
          detail: "there are more than \(QueryRequest.filterCountMax) filters")
      }
    }
    return filters
  }

  /// One filter, or the filters inside an `and`.
  private func filter(
    _ value: JSONValue, path: String
  ) throws(QueryError) -> [ScanRequest.Filter] {
    guard case .array(let parts) = value, parts.count >= 2,
      case .string(let name) = parts[0]
    else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "a filter is a list such as [\"is\", \"device\", [\"mobile\"]]")
    }
    if name == "and", parts.count == 2 { return try filters(parts[1], path: path + "[1]") }
    guard let operation = Self.operations.first(where: { $0.name == name }), parts.count == 3,
      case .string(let dimension) = parts[1]
    else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "a filter is an operation, a dimension and a list of values",
        allowed: Self.operations.map(\.name) + ["and"])
    }
    let values = try texts(parts[2], path: path + "[2]")
    guard (1...QueryRequest.filterValueCountMax).contains(values.count) else {
      throw QueryError(
        .invalidValue, path: path + "[2]",
        detail: "a filter has 1 to \(QueryRequest.filterValueCountMax) values")
    }
    return [
      ScanRequest.Filter(
        operation: name,
        filter: BreakdownFilter(
          try self.dimension(dimension, path: path + "[1]", allowed: Self.dimensionNames),
          operation.test,
          values.map { Array($0.utf8) }))
    ]
  }

  private func order(
    _ value: JSONValue, of request: ScanRequest
  ) throws(QueryError) -> [ScanRequest.Order] {
    guard case .array(let items) = value else {
      throw QueryError(
        .invalidValue, path: "$.order_by", detail: "\(value.kind) is not a list of pairs")
    }
    let allowed =
      request.metrics.filter(\.isNumber).map(\.name) + request.dimensions.map(\.rawValue)
      + (request.base.granularity.map { ["time", $0.dimensionName] } ?? [])
    var order: [ScanRequest.Order] = []
    for (index, item) in items.enumerated() {
      let path = "$.order_by[\(index)]"
      let pair = try texts(item, path: path)
      guard pair.count == 2, ["asc", "desc"].contains(pair[1]), allowed.contains(pair[0]) else {
        throw QueryError(
          .invalidValue, path: path,
          detail: "a pair is a metric or dimension of the query and asc or desc", allowed: allowed)
      }
      let key: ScanRequest.Order.Key
      if let place = request.dimensions.firstIndex(where: { $0.rawValue == pair[0] }) {
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

  func texts(_ value: JSONValue, path: String) throws(QueryError) -> [String] {
    guard case .array(let items) = value else {
      throw QueryError(
        .invalidValue, path: path, detail: "\(value.kind) is not a list of strings")
    }
    var texts: [String] = []
    for (index, item) in items.enumerated() {
      guard case .string(let text) = item else {
        throw QueryError(
          .invalidValue, path: "\(path)[\(index)]", detail: "\(item.kind) is not a string")
      }
      texts.append(text)
    }
    return texts
  }
}
