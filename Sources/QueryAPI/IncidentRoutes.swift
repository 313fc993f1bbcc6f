public import HTTPServer
public import Metrics

/// Incidents over HTTP: `GET /v1/incidents`, `GET /v1/incidents/{id}` and
/// `POST /v1/incidents/{id}/feedback`.
public struct IncidentRoutes: Sendable {
  private static let bodyBytesMax = 16 * 1024

  private let service: IncidentService
  private let access: QueryAccess

  /// - Parameters:
  ///   - views: the read models that are served, one per pipeline; the first is the default.
  ///   - feedback: nil where this process has no way to the log.
  ///   - clock: microseconds since the epoch.
  public init(
    views: [ReadViewSource], access: QueryAccess, registry: MetricRegistry,
    feedback: FeedbackIntake?,
    clock: @escaping @Sendable () -> Int64 = QueryRoutes.systemClock
  ) {
    self.access = access
    service = IncidentService(
      views: views, feedback: feedback, metrics: QueryMetrics(registry), clock: clock)
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
    let options = RouteOptions(maxBodyBytes: Self.bodyBytesMax)
    routes.on(.post, "/v1/incidents/{id}/feedback", options: options) { request in
      try access.check(request)
      try request.checkOrigin()
      return try await service.feedback(request)
    }
  }
}
