import HTTPServer
import Metrics
import Synchronization

/// Counts answered HTTP requests by route.
final class HTTPMetrics: Sendable {
  static let requests = MetricDeclaration(
    "smartcontent_http_requests_total", "Answered HTTP requests by route and status class.",
    .counter, labels: ["route", "status"])
  static let duration = MetricDeclaration(
    "smartcontent_http_duration_seconds", "Time from a request's header to its answer.",
    .histogram(bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]),
    labels: ["route"])

  static let openConnections = MetricDeclaration(
    "smartcontent_http_open_connections", "Connections that are open now.", .gauge)
  static let refusedConnections = MetricDeclaration(
    "smartcontent_http_refused_connections_total",
    "Connections that were answered 503 because too many were open.", .counter)
  static let refusedHeads = MetricDeclaration(
    "smartcontent_http_refused_heads_total",
    "Requests that were refused before their route was known: the head was too long, or no HTTP/1.1.",
    .counter)
  static let bodyBytes = MetricDeclaration(
    "smartcontent_http_body_bytes", "Bytes of request bodies in memory now.", .gauge)

  static let catalog = [
    requests, duration, openConnections, refusedConnections, refusedHeads, bodyBytes,
  ]

  /// What a server counts by itself.
  static func export(_ server: Server, to registry: MetricRegistry) {
    registry.computed(openConnections) { [MetricSample([], Double(server.openConnections))] }
    registry.computed(refusedConnections) { [MetricSample([], Double(server.refusedConnections))] }
    registry.computed(refusedHeads) { [MetricSample([], Double(server.refusedHeads))] }
    registry.computed(bodyBytes) { [MetricSample([], Double(server.bufferedBodyBytes))] }
  }

  /// The series of one route, looked up when they are first needed.
  private struct Route {
    /// By class of status: of 1xx first.
    var requests = [Counter?](repeating: nil, count: 5)
    let duration: Histogram
  }

  private let requests: MetricFamily<Counter>
  private let duration: MetricFamily<Histogram>
  /// By number, see ``AccessRecord/routeNumber``.
  private let routes = Mutex<[Route?]>([])

  init(_ registry: MetricRegistry) {
    requests = registry.counter(Self.requests)
    duration = registry.histogram(Self.duration)
  }

  func answered(_ record: AccessRecord) {
    let series = series(of: record)
    series.requests.add()
    series.duration.observe(Double(record.durationNanoseconds) / 1e9)
  }

  private func series(of record: AccessRecord) -> (requests: Counter, duration: Histogram) {
    let number = record.routeNumber
    let statusClass = record.status.code / 100
    return routes.withLock { (routes: inout [Route?]) -> (requests: Counter, duration: Histogram) in
      while routes.count <= number { routes.append(nil) }
      var route = routes[number] ?? Route(duration: self.duration.with(record.route))
      if let counter = route.requests[statusClass - 1] { return (counter, route.duration) }
      let counter = self.requests.with(record.route, "\(statusClass)xx")
      route.requests[statusClass - 1] = counter
      routes[number] = route
      return (counter, route.duration)
    }
  }
}
