import Events
public import HTTPServer
public import Metrics
import Views

/// The routes of the query API: `POST /v1/query`, `/v1/funnels`, `/v1/retention`, `/v1/attribution` and `/v1/sessions`, `GET` and `DELETE /v1/scans/{id}`, `GET /v1/content/{id}/metrics`,
/// `GET /v1/stream`, `GET /v1/trends`, `GET /v1/accounting` and `GET /openapi.json`.
public struct QueryRoutes: Sendable {
  /// Bounds of what requests may use.
  public struct Limits: Sendable {
    /// Live streams that may be open at once.
    public var streamCountMax = 256
    /// Requests and streams that may wait for a position at once, per pipeline and kind of metrics.
    public var waiterCountMax = 1024
    /// Bytes of a query's JSON.
    public var queryBytesMax = 64 * 1024
    /// How old an answer may be that is given again to who asks the same; where 0, only those share one who
    /// came before it was begun.
    public var answerAgeMax = Duration.zero
    /// Bytes of answers that are kept for that, per pipeline.
    public var answerBytesMax = 64 << 20

    public init() {}
  }

  private let service: QueryService
  private let access: QueryAccess
  private let limits: Limits

  /// - Parameters:
  ///   - views: the read models that are served, one per pipeline; the first is the default.
  ///   - logHeads: the last sequence of each partition as far as known without asking, for
  ///     `meta.lag_frames`; nil where not known.
  ///   - scans: answers what no read model does; nil where the log cannot be read here.
  ///   - clock: microseconds since the epoch.
  /// - Precondition: there is at least one view, and no name twice.
  public init(
    views: [ReadViewSource], access: QueryAccess, registry: MetricRegistry,
    limits: Limits = Limits(),
    logHeads: (@Sendable () -> [Int: UInt64])? = nil, scans: ScanSource? = nil,
    clock: @escaping @Sendable () -> Int64 = QueryRoutes.systemClock
  ) {
    precondition(!views.isEmpty, "at least one read model is served")
    self.access = access
    self.limits = limits
    service = QueryService(
      views: views, registry: registry, limits: limits, logHeads: logHeads, scans: scans,
      clock: clock)
  }

  /// What a request is answered, without a server.
  ///
  /// - Parameter target: path and query, such as `/v1/trends?by=content`.
  public func answer(
    _ method: HTTPMethod, _ target: String, body: [UInt8] = [], incidents: IncidentRoutes? = nil
  ) async throws(Problem) -> String {
    var routes = Routes()
    declare(on: &routes)
    incidents?.declare(on: &routes)
    let response: HTTPResponse?
    do {
      response = try await routes.answer(method, target, body: body)
    } catch let problem as Problem {
      throw problem
    } catch {
      preconditionFailure("routes of queries throw problems, not \(error)")
    }
    guard let response, case .bytes(let bytes) = response.body else {
      throw Problem(
        .notFound, code: "not_found",
        detail: "\(method.name) \(target) is not answered here; there are "
          + routes.paths.filter { !$0.hasSuffix("/v1/stream") }.joined(separator: ", "))
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  public func declare(on routes: inout Routes) {
    let service = service
    let guarded: (@escaping AsyncHandler) -> AsyncHandler = { [access] handler in
      { request in
        try access.check(request)
        return try await handler(request)
      }
    }
    let options = RouteOptions(maxBodyBytes: limits.queryBytesMax)
    routes.on(.post, "/v1/query", options: options, guarded { try await service.query($0) })
    for kind in PersonRequest.Kind.allCases {
      routes.on(
        .post, "/v1/\(kind.rawValue)", options: options,
        guarded { try await service.persons(kind, $0) })
    }
    routes.on(.get, "/v1/scans/{id}", guarded { try await service.scan($0) })
    routes.on(.delete, "/v1/scans/{id}", guarded { try await service.cancelScan($0) })
    routes.on(.get, "/v1/content/{id}/metrics", guarded { try await service.content($0) })
    routes.on(.get, "/v1/stream", guarded { try await service.stream($0) })
    routes.on(.get, "/v1/trends", guarded { try await service.trends($0) })
    routes.on(.get, "/v1/accounting", guarded { try await service.accounting($0) })
    routes.on(.get, "/openapi.json") { _ in
      HTTPResponse(
        status: .ok, headers: [(name: "Content-Type", value: "application/json")],
        body: .bytes(Array(OpenAPIDocument.text.utf8)))
    }
  }
}
