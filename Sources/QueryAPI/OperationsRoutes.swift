public import HTTPServer
public import Metrics

/// The routes that every role has: `/health/live`, `/health/ready` and `/metrics`.
///
/// *Live* says that the process answers at all; *ready* that everything it needs does, and what is
/// wrong where not. What is *degraded* is ready, and named. They need no token, so that probes and Prometheus stay simple.
public struct OperationsRoutes: Sendable {
  private let checks: [HealthCheck]
  private let registry: MetricRegistry

  /// - Parameter checks: in the order of the answer.
  public init(checks: [HealthCheck], registry: MetricRegistry) {
    self.checks = checks
    self.registry = registry
  }

  public func declare(on routes: inout Routes) {
    routes.on(.get, "/health/live") { _ in
      HTTPResponse(
        status: .ok, headers: Self.headers, body: .bytes(Array(#"{"status":"ok"}"#.utf8)))
    }
    let checks = checks
    routes.on(.get, "/health/ready") { _ in await Self.readiness(of: checks) }
    let registry = registry
    routes.on(.get, "/metrics") { request in
      let format = ExpositionFormat.negotiate(accept: request.header("Accept"))
      return HTTPResponse(
        status: .ok,
        headers: [
          (name: "Content-Type", value: format.contentType), (name: "Vary", value: "Accept"),
        ], body: .bytes(registry.exposition(format)))
    }
  }

  private static let headers = [
    (name: "Content-Type", value: "application/json"), (name: "Cache-Control", value: "no-store"),
  ]

  private static func status(
    _ state: HealthCheck.State
  ) -> (rank: Int, name: String, detail: String?) {
    switch state {
    case .ok: return (0, "ok", nil)
    case .degraded(let what): return (1, "degraded", what)
    case .failing(let what): return (2, "failing", what)
    }
  }

  /// All checks at once; 503 where any fails.
  static func readiness(of checks: [HealthCheck]) async -> HTTPResponse {
    let states = await withTaskGroup(of: (Int, HealthCheck.State).self) { group in
      for (index, check) in checks.enumerated() {
        group.addTask { (index, await check.limited()) }
      }
      return await group.reduce(into: [Int: HealthCheck.State]()) { $0[$1.0] = $1.1 }
    }
    let worst = states.values.map { status($0) }.max { $0.rank < $1.rank } ?? status(.ok)
    let isReady = worst.rank < 2
    var json = Array(#"{"status":"\#(worst.name)","checks":["#.utf8)
    for (index, check) in checks.enumerated() {
      if index > 0 { json.append(UInt8(ascii: ",")) }
      json.append(contentsOf: #"{"name":"#.utf8)
      JSONText.append(check.name, to: &json)
      let state = status(states[index] ?? .ok)
      json.append(contentsOf: #","status":"\#(state.name)""#.utf8)
      if let detail = state.detail {
        json.append(contentsOf: #","detail":"#.utf8)
        JSONText.append(detail, to: &json)
      }
      json.append(UInt8(ascii: "}"))
    }
    json.append(contentsOf: "]}".utf8)
    var headers = headers
    if !isReady { headers.append((name: "Retry-After", value: "1")) }
    return HTTPResponse(
      status: isReady ? .ok : .serviceUnavailable, headers: headers, body: .bytes(json))
  }
}
