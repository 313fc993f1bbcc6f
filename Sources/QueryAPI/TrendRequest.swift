import Events
import Views

/// What `GET /v1/trends` asks for: where something changes most, in the newest hopping window beside
/// the one before it.
struct TrendRequest: Hashable, Sendable {
  var pipeline: String
  var site = "default"
  var dimension = Dimension.campaign
  /// By whose change rows are ordered.
  var metric = Metric.clicks
  var limit = TrendRequest.limitDefault

  /// Nil: as the request's `Accept` says.
  var format: AnswerFormat?

  static let limitDefault = 20
  static let limitMax = 1000
  static let parameters = ["site_id", "pipeline", "by", "metric", "limit", "format"]
  /// What is counted in each window.
  static let metrics: [Metric] = Metric.allCases.filter { metric in
    if case .count = metric.value(of: Counts()) { return metric.measure == .activity }
    return false
  }

  /// - Parameter parameters: of the target, each at most once and each a known one.
  init(
    _ parameters: [(name: String, value: String)], parser: QueryRequestParser
  ) throws(QueryError) {
    pipeline = try parser.pipeline(nil, path: "")
    for (name, value) in parameters {
      let path = "?\(name)"
      switch name {
      case "pipeline": pipeline = try parser.pipeline(value, path: path)
      case "site_id": site = value
      case "by":
        dimension = try parser.dimension(
          value, path: path, allowed: QueryRequest.queryDimensions.map(\.name))
      case "metric":
        guard let metric = Metric(rawValue: value), Self.metrics.contains(metric) else {
          throw QueryError(
            .unknownMetric, path: path, detail: "\"\(value)\" is not a metric of trends",
            allowed: Self.metrics.map(\.rawValue))
        }
        self.metric = metric
      case "format": format = try parser.word(value, path: path)
      default: limit = try parser.integer(value, 1...Self.limitMax, path: path)
      }
    }
  }
}
