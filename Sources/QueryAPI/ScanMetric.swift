import Analyses
import Events
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

  /// Whether no read model has it.
  var isOfScansAlone: Bool { if case .declared = self { false } else { true } }

  /// Those of a sender's own properties have no list of names.
  private static let topPrefix = "top_"

  /// As errors say what is allowed.
  static let allowed = all.map(\.name) + [topOfProperty]
  /// In the place of a list of a sender's own property.
  static let topOfProperty = topPrefix + ScanRequestParser.propertyName

  init?(name: String) {
    if let metric = Self.all.first(where: { $0.name == name }) {
      self = metric
    } else if name.hasPrefix(Self.topPrefix),
      case .property(let property)? = BreakdownDimension(
        name: String(name.dropFirst(Self.topPrefix.count)))
    {
      self = .top(.property(property))
    } else {
      return nil
    }
  }

  /// Why a name is none of a scan's metrics, and where to ask instead.
  static func refusal(of name: String) -> String {
    let other: String? =
      switch Metric(rawValue: name) {
      case .sessions, .bounces, .bounceRate, .sessionDuration:
        "by any dimension they are answered by POST /v1/sessions"
      case .attributedClicks, .attributedConversions, .attributedConversionRate,
        .attributedRevenue:
        "by any dimension they are answered by POST /v1/attribution"
      case .exposedPersons, .exposedClickers, .exposedConverters, .exposedClickRate,
        .exposedConversionRate, .exposedRevenue, .mixedPersons:
        "they are of experiments, whose results are at /v1/experiments"
      default: nil
      }
    guard let other else { return "\"\(name)\" is not a metric of scans of the log" }
    let dimensions = QueryRequest.queryDimensions.map(\.name).joined(separator: ", ")
    return "\(name) comes by \(dimensions) and time, not with what only a scan of the log has; "
      + other
  }

  var name: String {
    switch self {
    case .declared(let metric): metric.rawValue
    case .events: "events"
    case .uniques: "uniques"
    case .dwell(let percent): "dwell_p\(percent)"
    case .scroll(let percent): "scroll_p\(percent)"
    case .top(let dimension):
      Self.topPrefix
        + (Self.tops.first { $0.dimension == dimension }?.plural ?? dimension.name)
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
