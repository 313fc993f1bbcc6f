import Analyses
import Events
import Ports
import Views

/// A query that has been checked, in the vocabulary of Plausible's Stats API v2.
struct QueryRequest: Hashable, Sendable {
  var pipeline: String
  var site: String
  var metrics: [Metric]
  var range: DateRange
  /// Without the time bucket.
  var dimensions: [Dimension]
  /// Where set, the time bucket comes first in the answer's dimensions.
  var granularity: Granularity?
  /// All of them hold.
  var filters: [DimensionFilter]
  /// Of each of these lists one holds.
  var alternatives: [[DimensionFilter]] = []
  var order: [Order]
  var limit: Int
  var offset: Int
  var timezone: String
  /// A position to wait for.
  var after: Position?
  var timeoutMs: Int
  var traffic = Traffic.people
  /// What each row is set beside.
  var comparison: Comparison?
  /// Nil: as the request's `Accept` says.
  var format: AnswerFormat?

  /// What a row can be compared with: `previous` is the period before, of the same length.
  enum Comparison: String, CaseIterable, Sendable {
    case previous
  }

  /// Whose events count. Where a query groups or filters by traffic, it says that itself.
  enum Traffic: String, CaseIterable, Sendable {
    case people, bots, all
  }

  /// The filters, and what ``traffic`` adds to them.
  var allFilters: [DimensionFilter] {
    let asked = dimensions + (filters + alternatives.joined()).map(\.dimension)
    if asked.contains(.traffic) {
      return filters
    }
    switch traffic {
    case .people:
      return filters + [DimensionFilter(operation: .isAnyOf, dimension: .traffic, values: [""])]
    case .bots:
      return filters
        + [DimensionFilter(operation: .isNoneOf, dimension: .traffic, values: [""])]
    case .all: return filters
    }
  }

  struct Order: Hashable, Sendable {
    var key: Key
    var isDescending: Bool

    enum Key: Hashable, Sendable {
      case time
      case metric(Metric)
      /// Index into ``QueryRequest/dimensions``.
      case dimension(Int)
    }
  }

  /// The measures that the metrics follow from, in a fixed order.
  var measures: [Measure] {
    Measure.allCases.filter { measure in metrics.contains { $0.measure == measure } }
  }

  static let limitDefault = 1000
  static let limitMax = 10_000
  static let offsetMax = 1_000_000
  static let timeoutMsDefault = 5000
  static let timeoutMsMax = 60_000
  static let filterCountMax = 20
  /// Lists of filters of which one must hold, once they are written so.
  static let alternativesMax = BreakdownQuestion.alternativesMax
  static let filterValueCountMax = 1000

  /// The dimensions that a query can group and filter by.
  static let queryDimensions: [Dimension] = [.campaign, .content, .variant, .channel, .traffic]
}
