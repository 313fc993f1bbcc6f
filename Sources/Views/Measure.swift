/// Which numbers a window row holds in its six places.
public enum Measure: UInt8, CaseIterable, Sendable, BitwiseCopyable {
  /// ``Counts``, kept per partition of the events.
  case activity = 0
  /// ``Outcomes``, kept by the second stage.
  case outcomes = 1
  /// ``Exposures``, kept by the second stage of pipelines with experiments.
  case exposures = 2
  /// ``Baselines``, beside the exposures.
  case baselines = 3

  /// What the names of its tables begin with, such as `metrics` of `metrics_10s`.
  public var tableName: String {
    switch self {
    case .activity: "metrics"
    case .outcomes: "outcomes"
    case .exposures: "exposures"
    case .baselines: "baselines"
    }
  }

  /// The columns of the six places of ``Counts``; the last one is money.
  public var columns: [String] {
    switch self {
    case .activity:
      ["impressions", "views", "clicks", "engagements", "conversions", "revenue_micros"]
    case .outcomes:
      [
        "sessions", "bounces", "session_micros", "attributed_clicks", "attributed_conversions",
        "attributed_revenue_micros",
      ]
    case .exposures:
      [
        "persons", "clickers", "converters", "mixed", "revenue_cents_squared", "revenue_micros",
      ]
    case .baselines:
      [
        "prior", "prior_squared", "prior_clicked", "prior_converted", "prior_revenue_cents",
        "prior_revenue_micros",
      ]
    }
  }
}
