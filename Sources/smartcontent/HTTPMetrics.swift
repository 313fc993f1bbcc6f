import HTTPServer
import Metrics

/// Counts answered HTTP requests by route.
struct HTTPMetrics: Sendable {
  static let requests = MetricDeclaration(
    "smartcontent_http_requests_total", "Answered HTTP requests by route and status class.",
    .counter, labels: ["route", "status"])
  static let duration = MetricDeclaration(
    "smartcontent_http_duration_seconds", "Time from a request's header to its answer.",
    .histogram(bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]),
    labels: ["route"])

  static let catalog = [requests, duration]

  private let requests: MetricFamily<Counter>
  private let duration: MetricFamily<Histogram>

  init(_ registry: MetricRegistry) {
    requests = registry.counter(Self.requests)
    duration = registry.histogram(Self.duration)
  }

  func answered(_ record: AccessRecord) {
    requests.with(record.route, "\(record.status.code / 100)xx").add()
    duration.with(record.route).observe(Double(record.durationNanoseconds) / 1e9)
  }
}
