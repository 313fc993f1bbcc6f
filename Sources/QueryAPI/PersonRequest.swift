import Analyses
import Events
import Ports
import Views

/// A question about persons that has been checked: answered by scanning the log.
struct PersonRequest: Hashable, Sendable {
  enum Kind: String, CaseIterable, Sendable {
    case funnels, retention, attribution
  }

  enum Body: Hashable, Sendable {
    /// Times are microseconds.
    case funnel(steps: [Step], within: Int64, by: Dimension?)
    case retention(begin: TouchSelector, back: TouchSelector, period: Granularity)
    case attribution(
      model: AttributionModel, touches: TouchSelector, conversions: TouchSelector, lookBack: Int64,
      by: Dimension)
  }

  struct Step: Hashable, Sendable {
    var name: String
    var selector: TouchSelector
    var isOptional: Bool
  }

  /// Site, pipeline, range, time zone, filters, traffic, limit.
  var base: QueryRequest
  var body: Body
  /// What was stored later is left out, microseconds since the epoch.
  var knownAt: Int64?

  /// The dimensions by which funnels and attribution can be told apart.
  static let dimensions: [Dimension] = [.campaign, .content, .variant, .channel, .traffic]
  /// Of time limits and look-backs, microseconds: a second to a year.
  static let durations = 1_000_000...366 * 86_400_000_000 as ClosedRange<Int64>
}

/// A question about persons at a time: what is to be seen of the log, and what is made of it.
struct PersonPlan: Sendable {
  let request: PersonRequest
  let range: TimeRange
  /// Of the periods of retention, rising.
  let edges: [Int64]
  let zone: ZoneRules

  /// - Parameter now: microseconds since the epoch.
  init(_ request: PersonRequest, now: Int64, zone: ZoneRules) throws(QueryError) {
    self.request = request
    self.zone = zone
    range = request.base.range.resolved(now: now, zone: zone)
    guard range.from < range.to else {
      throw QueryError(
        .invalidValue, path: "$.date_range", detail: "the range ends at or before its start")
    }
    guard case .retention(_, _, let period) = request.body else {
      edges = []
      return
    }
    let max = Retention.Question.periodCountMax
    guard let edges = period.boundaries(over: range, zone: zone, countMax: max),
      edges.count <= max + 1
    else {
      throw QueryError(
        .tooManyBuckets, path: "$.period",
        detail: "\(period.rawValue) cuts the range into more than \(max) periods; ask for a longer "
          + "period or a shorter range")
    }
    self.edges = edges
  }

  /// In one form for each question: all that an answer depends on, also what it repeats of the question.
  var text: String {
    let base = request.base
    return "persons \(request.body) \(base.site) \(base.traffic) \(filters) \(range) \(edges) "
      + "\(base.timezone) \(base.limit)"
  }

  /// A time, microseconds since the epoch, in the question's own zone.
  func text(of micros: Int64) -> String {
    CivilTime.text(
      micros: micros, offset: zone.offset(at: CivilTime.floorDivide(micros, 1_000_000)))
  }

  private var filters: [BreakdownFilter] { request.base.allFilters.map(BreakdownFilter.init) }

  /// What the answer is about ends here: a funnel's last steps may come after its range.
  var end: Int64 {
    switch request.body {
    case .funnel(_, let within, _): range.to + within
    case .retention: edges[edges.count - 1]
    case .attribution: range.to
    }
  }

  /// - Parameter policy: how the pipeline follows persons.
  func question(_ policy: PersonPolicy) -> PersonQuestion {
    func selector(_ own: TouchSelector) -> TouchSelector {
      TouchSelector(kinds: own.kinds, name: own.name, filters: own.filters + filters)
    }
    switch request.body {
    case .funnel(let steps, _, let by):
      return PersonQuestion(
        site: request.base.site, times: range.from..<end,
        selectors: steps.map { selector($0.selector) }, dimension: by, policy: policy)
    case .retention(let begin, let back, _):
      return PersonQuestion(
        site: request.base.site, times: edges[0]..<end,
        selectors: [selector(begin), selector(back)], policy: policy)
    case .attribution(_, let touches, let conversions, let lookBack, let by):
      return PersonQuestion(
        site: request.base.site, times: range.from - lookBack..<end,
        selectors: [selector(touches), selector(conversions)], dimension: by, policy: policy)
    }
  }
}

extension BreakdownFilter {
  init(_ filter: DimensionFilter) {
    guard let dimension = BreakdownDimension(rawValue: filter.dimension.name) else {
      preconditionFailure("scans know the dimensions of the read models")
    }
    let test: Test =
      switch filter.operation {
      case .isAnyOf: .isAnyOf
      case .isNoneOf: .isNoneOf
      case .contains: .contains
      }
    self.init(dimension, test, filter.values.map { Array($0.utf8) })
  }
}
