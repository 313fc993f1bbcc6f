public import HTTPServer
public import Metrics
public import Ports
public import Views

/// Where the log has what was stored from a time until another, microseconds since the epoch; nil where it is away.
public typealias FindSpans = @Sendable (_ from: Int64, _ until: Int64) async -> [LogSpan]?

/// A device, browser or country that has more of an incident than of what is usual.
public struct IncidentAudience: Sendable, Equatable {
  public var dimension: String
  public var value: String
  /// Of the deviation, 0 to 1.
  public var share: Double
  /// Of what is counted, otherwise.
  public var usual: Double

  public init(dimension: String, value: String, share: Double, usual: Double) {
    self.dimension = dimension
    self.value = value
    self.share = share
    self.usual = usual
  }
}

/// Whose an incident of a site, campaign or content is, of each dimension the value that explains most; nil where that is not known.
///
/// `expected` is what is usual from `from` until `until`, microseconds since the epoch.
public typealias FindAudience =
  @Sendable (_ row: IncidentRow, _ from: Int64, _ until: Int64, _ expected: Double) ->
  [IncidentAudience]?

/// Incidents over HTTP: `GET /v1/incidents`, `GET /v1/incidents/{id}`, `GET /v1/incidents/{id}/why` and
/// `POST /v1/incidents/{id}/feedback`.
public struct IncidentRoutes: Sendable {
  private static let bodyBytesMax = 16 * 1024

  private let service: IncidentService
  private let access: QueryAccess

  /// - Parameters:
  ///   - views: the read models that are served, one per pipeline; the first is the default.
  ///   - feedback: nil where this process has no way to the log.
  ///   - spans: nil where the log cannot be asked.
  ///   - audience: nil where nobody follows it.
  ///   - clock: microseconds since the epoch.
  public init(
    views: [ReadViewSource], access: QueryAccess, registry: MetricRegistry,
    feedback: FeedbackIntake?, spans: FindSpans? = nil, audience: FindAudience? = nil,
    clock: @escaping @Sendable () -> Int64 = QueryRoutes.systemClock
  ) {
    self.access = access
    service = IncidentService(
      views: views, feedback: feedback, spans: spans, audience: audience,
      metrics: QueryMetrics(registry), clock: clock)
  }

  public func declare(on routes: inout Routes) {
    let service = service
    let access = access
    routes.on(.get, "/v1/incidents") { request in
      try access.check(request)
      return try await service.list(request)
    }
    routes.on(.get, "/v1/incidents/{id}") { request in
      try access.check(request)
      return try await service.incident(request)
    }
    routes.on(.get, "/v1/incidents/{id}/why") { request in
      try access.check(request)
      return try await service.why(request)
    }
    let options = RouteOptions(maxBodyBytes: Self.bodyBytesMax)
    routes.on(.post, "/v1/incidents/{id}/feedback", options: options) { request in
      try access.check(request)
      try request.checkOrigin()
      return try await service.feedback(request)
    }
  }
}
