public import Metrics

/// Every metric of scans of the log.
public struct ScanMetrics: Sendable {
  public static let scans = MetricDeclaration(
    "smartcontent_scans_total",
    "Scans of the log that have ended, by outcome; shared and cached ones read nothing.",
    .counter, labels: ["outcome"])
  public static let running = MetricDeclaration(
    "smartcontent_scans_running", "Scans of the log that are running.", .gauge)
  public static let events = MetricDeclaration(
    "smartcontent_scan_events_total", "Events that scans of the log have read.", .counter)
  public static let duration = MetricDeclaration(
    "smartcontent_scan_duration_seconds", "Time that scans of the log took, in seconds.",
    .histogram(bounds: [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800]))

  static let all = [scans, running, events, duration]

  private let outcomes: MetricFamily<Counter>
  private let runningCount: Gauge
  private let eventCount: Counter
  private let durations: Histogram

  init(_ registry: MetricRegistry) {
    outcomes = registry.counter(Self.scans)
    runningCount = registry.gauge(Self.running).with()
    eventCount = registry.counter(Self.events).with()
    durations = registry.histogram(Self.duration).with()
  }

  func began() { runningCount.add(1) }

  /// Somebody asked for what is there, or on its way.
  func shared(isDone: Bool) { outcomes.with(isDone ? "cached" : "shared").add() }

  func ended(_ state: ScanJob.State, events: Int, duration: Duration) {
    runningCount.add(-1)
    eventCount.add(events)
    let (seconds, attoseconds) = duration.components
    durations.observe(Double(seconds) + Double(attoseconds) / 1e18)
    outcomes.with(Self.outcome(state)).add()
  }

  private static func outcome(_ state: ScanJob.State) -> String {
    switch state {
    case .running, .done: "done"
    case .failed(.cancelled): "cancelled"
    case .failed(.log): "log"
    case .failed(.analysis): "too_large"
    case .failed(.tooMany): "too_many"
    }
  }
}
