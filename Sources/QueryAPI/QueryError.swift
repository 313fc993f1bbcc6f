import HTTPServer

/// Why a query was not answered: what is wrong, where, what is allowed, what to do next.
///
/// Its code decides the HTTP status, here and nowhere else.
struct QueryError: Error, Hashable, Sendable {
  enum Code: String, CaseIterable, Sendable {
    case invalidJSON = "invalid_json"
    case unknownMember = "unknown_member"
    case missingMember = "missing_member"
    case invalidValue = "invalid_value"
    case unknownMetric = "unknown_metric"
    case metricNotComputed = "metric_not_computed"
    case trendsNotComputed = "trends_not_computed"
    case incidentsNotComputed = "incidents_not_computed"
    case unknownIncident = "unknown_incident"
    case unknownDimension = "unknown_dimension"
    case unknownTimezone = "unknown_timezone"
    case unknownPipeline = "unknown_pipeline"
    case rangeUnaligned = "range_unaligned"
    /// An edge of the range needs rows that are finer than those kept that far back.
    case rangeNotKept = "range_not_kept"
    case tooManyBuckets = "too_many_buckets"
    case refused = "query_refused"
    case positionNotReached = "position_not_reached"
    case tooManyWaiters = "too_many_waiters"
    case tooManyStreams = "too_many_streams"
    case unavailable = "read_models_unavailable"
    case scansNotServed = "scans_not_served"
    case unknownScan = "unknown_scan"
    case tooManyScans = "too_many_scans"
    case scanTooLarge = "scan_too_large"
    case scanCancelled = "scan_cancelled"
    case scanFailed = "scan_failed"
    case logUnavailable = "log_unavailable"
  }

  var code: Code
  /// Where in the request: a JSON path, or `?name` for a query parameter; empty for nowhere.
  var path: String
  var detail: String
  var allowed: [String]
  /// How far the read model had come, where a wait for a position ended without it.
  var position: String?

  init(
    _ code: Code, path: String, detail: String, allowed: [String] = [], position: String? = nil
  ) {
    self.code = code
    self.path = path
    self.detail = detail
    self.allowed = allowed
    self.position = position
  }

  private var status: HTTPStatus {
    switch code {
    case .positionNotReached: .gatewayTimeout
    case .tooManyWaiters, .tooManyStreams, .unavailable: .serviceUnavailable
    case .tooManyScans, .logUnavailable: .serviceUnavailable
    case .unknownScan, .unknownIncident: .notFound
    case .scanCancelled: .conflict
    case .scanFailed: .internalServerError
    case .refused, .scanTooLarge: .unprocessableContent
    default: .badRequest
    }
  }

  /// As the client sees it.
  var problem: Problem {
    var text = path.isEmpty ? detail : "\(path): \(detail)"
    if let meant = Spelling.nearest(to: detail, in: allowed) {
      text += "; did you mean \"\(meant)\"?"
    }
    if !allowed.isEmpty { text += "; allowed: " + allowed.joined(separator: ", ") }
    var members: [(name: String, json: String)] = []
    if !path.isEmpty { members.append((name: "path", json: JSONText.quoted(path))) }
    if !allowed.isEmpty {
      let list = allowed.map { JSONText.quoted($0) }.joined(separator: ",")
      members.append((name: "allowed", json: "[\(list)]"))
    }
    if let position { members.append((name: "position", json: JSONText.quoted(position))) }
    return Problem(
      status, code: code.rawValue, detail: text,
      retryAfterSeconds: status == .serviceUnavailable ? 1 : nil, members: members)
  }
}
