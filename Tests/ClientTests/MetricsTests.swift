import Metrics
import Testing

@Suite("Metrics")
struct MetricsTests {
  static let requests = MetricDeclaration(
    "smartcontent_test_requests_total", "Requests by route and \"outcome\".", .counter,
    labels: ["route", "outcome"], maxSeries: 3)
  static let lag = MetricDeclaration("smartcontent_test_lag_seconds", "Lag.", .gauge)
  static let sizes = MetricDeclaration(
    "smartcontent_test_frame_bytes", "Sizes.", .histogram(bounds: [1, 2.5, 10]))
  static let computed = MetricDeclaration(
    "smartcontent_test_connections", "Connections.", .gauge, labels: ["kind"], maxSeries: 2)

  static func filled() -> MetricRegistry {
    let registry = MetricRegistry()
    let family = registry.counter(requests)
    family.with("/p.gif", "ok").add(3)
    family.with("/a\"b\\c\n", "ok").add()
    registry.gauge(lag).with().set(0.25)
    let histogram = registry.histogram(sizes).with()
    for value in [0.5, 1, 2, 11] { histogram.observe(value) }
    registry.computed(computed) { [MetricSample(["idle"], 2), MetricSample(["busy"], 1)] }
    return registry
  }

  @Test("The Prometheus text has the full names in its TYPE lines")
  func prometheusText() {
    let text = String(decoding: Self.filled().exposition(.prometheusText), as: UTF8.self)
    #expect(
      text == """
        # HELP smartcontent_metrics_dropped_series_total Uses of label sets that were dropped \
        because their metric had reached its limit of series.
        # TYPE smartcontent_metrics_dropped_series_total counter
        # HELP smartcontent_test_connections Connections.
        # TYPE smartcontent_test_connections gauge
        smartcontent_test_connections{kind="busy"} 1.0
        smartcontent_test_connections{kind="idle"} 2.0
        # HELP smartcontent_test_frame_bytes Sizes.
        # TYPE smartcontent_test_frame_bytes histogram
        smartcontent_test_frame_bytes_bucket{le="1.0"} 2.0
        smartcontent_test_frame_bytes_bucket{le="2.5"} 3.0
        smartcontent_test_frame_bytes_bucket{le="10.0"} 3.0
        smartcontent_test_frame_bytes_bucket{le="+Inf"} 4.0
        smartcontent_test_frame_bytes_sum 14.5
        smartcontent_test_frame_bytes_count 4.0
        # HELP smartcontent_test_lag_seconds Lag.
        # TYPE smartcontent_test_lag_seconds gauge
        smartcontent_test_lag_seconds 0.25
        # HELP smartcontent_test_requests_total Requests by route and "outcome".
        # TYPE smartcontent_test_requests_total counter
        smartcontent_test_requests_total{route="/a\\"b\\\\c\\n",outcome="ok"} 1.0
        smartcontent_test_requests_total{route="/p.gif",outcome="ok"} 3.0

        """)
  }

  @Test("OpenMetrics has families without _total, units and an end")
  func openMetrics() {
    let text = String(decoding: Self.filled().exposition(.openMetrics), as: UTF8.self)
    #expect(
      text == """
        # HELP smartcontent_metrics_dropped_series Uses of label sets that were dropped \
        because their metric had reached its limit of series.
        # TYPE smartcontent_metrics_dropped_series counter
        # HELP smartcontent_test_connections Connections.
        # TYPE smartcontent_test_connections gauge
        smartcontent_test_connections{kind="busy"} 1.0
        smartcontent_test_connections{kind="idle"} 2.0
        # HELP smartcontent_test_frame_bytes Sizes.
        # TYPE smartcontent_test_frame_bytes histogram
        # UNIT smartcontent_test_frame_bytes bytes
        smartcontent_test_frame_bytes_bucket{le="1.0"} 2.0
        smartcontent_test_frame_bytes_bucket{le="2.5"} 3.0
        smartcontent_test_frame_bytes_bucket{le="10.0"} 3.0
        smartcontent_test_frame_bytes_bucket{le="+Inf"} 4.0
        smartcontent_test_frame_bytes_sum 14.5
        smartcontent_test_frame_bytes_count 4.0
        # HELP smartcontent_test_lag_seconds Lag.
        # TYPE smartcontent_test_lag_seconds gauge
        # UNIT smartcontent_test_lag_seconds seconds
        smartcontent_test_lag_seconds 0.25
        # HELP smartcontent_test_requests Requests by route and \\"outcome\\".
        # TYPE smartcontent_test_requests counter
        smartcontent_test_requests_total{route="/a\\"b\\\\c\\n",outcome="ok"} 1.0
        smartcontent_test_requests_total{route="/p.gif",outcome="ok"} 3.0
        # EOF

        """)
  }

  @Test("Label sets beyond the limit are dropped and counted")
  func cardinality() {
    let registry = MetricRegistry()
    let family = registry.counter(Self.requests)
    for route in 0..<5 { family.with("/\(route)", "ok").add() }
    family.with("/0", "ok").add()
    registry.computed(Self.computed) { (0..<5).map { MetricSample(["\($0)"], 1) } }
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    let lines = text.split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("smartcontent_test_requests_total{") } == 3)
    #expect(lines.count { $0.hasPrefix("smartcontent_test_connections{") } == 2)
    #expect(text.contains(#"dropped_series_total{metric="smartcontent_test_requests_total"} 2.0"#))
    #expect(text.contains(#"dropped_series_total{metric="smartcontent_test_connections"} 3.0"#))
  }

  @Test("The same declaration gives the same series")
  func sameSeries() {
    let registry = MetricRegistry()
    registry.counter(Self.requests).with("/", "ok").add(2)
    registry.counter(Self.requests).with("/", "ok").add(3)
    #expect(registry.counter(Self.requests).with("/", "ok").value == 5)
    let gauge = registry.gauge(Self.lag).with()
    gauge.set(1)
    gauge.add(-0.5)
    #expect(registry.gauge(Self.lag).with().value == 0.5)
    #expect(registry.declarations.map(\.name).last == "smartcontent_test_requests_total")
  }

  @Test("Counts from many threads are all there")
  func threads() async {
    let registry = MetricRegistry()
    let counter = registry.counter(Self.requests).with("/", "ok")
    let gauge = registry.gauge(Self.lag).with()
    let histogram = registry.histogram(Self.sizes).with()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<1000 {
            counter.add()
            gauge.add(1)
            histogram.observe(1)
          }
        }
      }
    }
    #expect(counter.value == 4000)
    #expect(gauge.value == 4000)
    #expect(histogram.count == 4000)
  }

  @Test(
    "The format follows the Accept field",
    arguments: [
      (nil, .prometheusText), ("", .prometheusText), ("*/*", .prometheusText),
      ("text/plain", .prometheusText), ("application/openmetrics-text", .openMetrics),
      (
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
          + "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics
      ),
      (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
          + "text/plain;version=0.0.4;q=0.9", .prometheusText
      ),
      ("application/openmetrics-text;q=0, text/plain;q=0.1", .prometheusText),
      ("application/openmetrics-text; version=\"1.0.0\"", .openMetrics),
      ("application/vnd.google.protobuf;proto=x, application/json", .prometheusText),
    ] as [(String?, ExpositionFormat)])
  func negotiation(_ accept: String?, _ expected: ExpositionFormat) {
    #expect(ExpositionFormat.negotiate(accept: accept) == expected)
  }
}
