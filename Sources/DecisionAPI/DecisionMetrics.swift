public import Metrics

/// Every metric of decisions.
public struct DecisionMetrics: Sendable {
  public static let decisions = MetricDeclaration(
    "smartcontent_decisions_total",
    "Decisions by plan and why it was this arm: policy, holdout, repeated, fallback, or made elsewhere.",
    .counter,
    labels: ["plan", "reason"])
  public static let events = MetricDeclaration(
    "smartcontent_decision_events_total",
    "Events of decisions and rewards by what became of them: stored, refused for want of room,"
      + " unavailable, or kept out because the person asks for it.", .counter, labels: ["outcome"])
  public static let refused = MetricDeclaration(
    "smartcontent_decision_requests_refused_total",
    "Requests for decisions, flags and rewards that were refused, by code.", .counter,
    labels: ["code"])
  public static let duration = MetricDeclaration(
    "smartcontent_decision_seconds",
    "Time from a request that is read to its answer, in seconds; without its way through the network.",
    .histogram(bounds: [
      0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1,
    ]))

  static let all = [decisions, events, refused, duration]

  private let counts: MetricFamily<Counter>
  private let outcomes: MetricFamily<Counter>
  private let refusals: MetricFamily<Counter>
  private let durations: Histogram

  init(_ registry: MetricRegistry) {
    counts = registry.counter(Self.decisions)
    outcomes = registry.counter(Self.events)
    refusals = registry.counter(Self.refused)
    durations = registry.histogram(Self.duration).with()
  }

  func decided(_ plan: String, _ reason: String) { counts.with(plan, reason).add() }

  func refused(_ code: String) { refusals.with(code).add() }

  func answered(in duration: Duration) {
    let (seconds, attoseconds) = duration.components
    durations.observe(Double(seconds) + Double(attoseconds) / 1e18)
  }

  func stored(_ count: Int, _ storage: DecisionStorage) {
    let outcome =
      switch storage {
      case .stored: "stored"
      case .refused: "refused"
      case .unavailable: "unavailable"
      }
    outcomes.with(outcome).add(count)
  }

  func keptOut() { outcomes.with("kept_out").add() }
}
