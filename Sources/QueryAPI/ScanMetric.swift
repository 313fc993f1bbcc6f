import Analyses
import Views

/// A metric that a scan of the log computes: those of the activity windows, and those that no window keeps.
enum ScanMetric: Hashable, Sendable {
  case declared(Metric)
  case events
  case uniques
  /// Seconds in view, as events report them: their quantile, in percent.
  case dwell(Int)
  /// How far down a page was seen, percent.
  case scroll(Int)
  /// The most frequent values of a dimension.
  case top(BreakdownDimension)

  /// In percent.
  static let quantiles = [50, 75, 90, 95, 99]

  static let all: [ScanMetric] =
    Metric.allCases.filter { $0.measure == .activity }.map { .declared($0) }
    + [.events, .uniques] + quantiles.map { .dwell($0) } + quantiles.map { .scroll($0) }
    + tops.map { .top($0.dimension) }

  /// The dimensions whose most frequent values can be asked for, by the plural in the metric's name.
  private static let tops: [(dimension: BreakdownDimension, plural: String)] = [
    (.campaign, "campaigns"), (.content, "contents"), (.variant, "variants"),
    (.channel, "channels"), (.country, "countries"), (.device, "devices"),
    (.browser, "browsers"), (.system, "systems"), (.source, "sources"), (.medium, "mediums"),
    (.referrer, "referrers"), (.segment, "segments"), (.event, "events"),
  ]

  /// Those that only a scan has.
  static let ofScansAlone = all.filter {
    if case .declared = $0 { false } else { true }
  }

  init?(name: String) {
    guard let metric = Self.all.first(where: { $0.name == name }) else { return nil }
    self = metric
  }

  var name: String {
    switch self {
    case .declared(let metric): metric.rawValue
    case .events: "events"
    case .uniques: "uniques"
    case .dwell(let percent): "dwell_p\(percent)"
    case .scroll(let percent): "scroll_p\(percent)"
    case .top(let dimension):
      "top_" + (Self.tops.first { $0.dimension == dimension }?.plural ?? dimension.rawValue)
    }
  }

  var measures: BreakdownMeasures {
    switch self {
    case .declared: []
    case .events: .everyKind
    case .uniques: .uniques
    case .dwell: .dwell
    case .scroll: .scroll
    case .top: []
    }
  }

  /// The dimension whose most frequent values it is a list of.
  var top: BreakdownDimension? { if case .top(let dimension) = self { dimension } else { nil } }

  /// Whether rows can be ordered by it.
  var isNumber: Bool { top == nil }
}
