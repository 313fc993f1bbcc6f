import Analyses
import Events
import Ports
import Views

/// A question about persons that has been checked: answered by scanning the log.
struct PersonRequest: Hashable, Sendable {
  enum Kind: String, CaseIterable, Sendable {
    case funnels, retention, attribution, sessions
  }

  enum Body: Hashable, Sendable {
    /// Times are microseconds.
    case funnel(steps: [Step], within: Int64)
    case retention(begin: TouchSelector, back: TouchSelector, period: Granularity)
    case attribution(
      model: AttributionModel, touches: TouchSelector, conversions: TouchSelector, lookBack: Int64)
    case sessions

    /// Which events it asks for.
    var selectors: [TouchSelector] {
      switch self {
      case .funnel(let steps, _): steps.map(\.selector)
      case .retention(let begin, let back, _): [begin, back]
      case .attribution(_, let touches, let conversions, _): [touches, conversions]
      case .sessions: []
      }
    }
  }

  struct Step: Hashable, Sendable {
    var name: String
    var selector: TouchSelector
    var isOptional: Bool
  }

  /// Site, pipeline, range, time zone, granularity, traffic, comparison, limit.
  var base: QueryRequest
  var body: Body
  /// What the answer is told apart by.
  var by: [BreakdownDimension]
  /// As for traffic.
  var filters: ScanRequest.Filters
  /// What was stored later is left out, microseconds since the epoch.
  var knownAt: Int64?

  /// Of time limits and look-backs, microseconds: a second to a year.
  static let durations = 1_000_000...366 * 86_400_000_000 as ClosedRange<Int64>
  /// What an answer can be told apart by at once.
  static let byCountMax = 4

  var allFilters: ScanRequest.Filters { filters.adding(base.traffic, by: by) }
}

/// What a row of an answer is about.
struct PersonGroup: Hashable, Sendable {
  /// Place among the time buckets; 0 where there are none.
  var bucket = 0
  /// Of the dimensions that the answer is told apart by.
  var values: DimensionValues
}

/// A question about persons at a time: what is to be seen of the log, and what is made of it.
struct PersonPlan: Sendable {
  let request: PersonRequest
  let range: TimeRange
  /// Of the periods of retention, else of the time buckets, rising; at least two.
  let edges: [Int64]
  let zone: ZoneRules

  init(
    _ request: PersonRequest, over range: TimeRange, zone: ZoneRules
  ) throws(QueryError) {
    self.request = request
    self.zone = zone
    self.range = range
    guard range.from < range.to else {
      throw QueryError(
        .invalidValue, path: "$.date_range", detail: "the range ends at or before its start")
    }
    let max = Retention.Question.periodCountMax
    guard case .retention(_, _, let period) = request.body else {
      edges = try Self.buckets(request, over: range, zone: zone, countMax: max)
      return
    }
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

  /// Edges of the time buckets; of one over everything where there are none.
  private static func buckets(
    _ request: PersonRequest, over range: TimeRange, zone: ZoneRules, countMax: Int
  ) throws(QueryError) -> [Int64] {
    guard let granularity = request.base.granularity else { return [range.from, range.to] }
    guard let edges = granularity.boundaries(over: range, zone: zone, countMax: countMax),
      edges.count <= countMax + 1
    else {
      throw QueryError(
        .tooManyBuckets, path: "$.by",
        detail: "\(granularity.rawValue) cuts the range into more than \(countMax) time buckets; "
          + "ask for longer ones or a shorter range")
    }
    return edges
  }

  /// What rows are told apart by, time first.
  var names: [String] {
    (request.base.granularity.map { [$0.dimensionName] } ?? []) + request.by.map(\.name)
  }

  /// The values of these in a row.
  func texts(of group: PersonGroup) -> [String] {
    (request.base.granularity == nil ? [] : [text(of: edges[group.bucket])]) + group.values.texts
  }

  /// A question, and the same of the period before where it is compared.
  struct Plans: Sendable {
    let now: PersonPlan
    let before: PersonPlan?

    /// In one form for each question: all that an answer depends on, also what it repeats of the question.
    var text: String { now.text + (before.map { " before \($0.range) \($0.edges)" } ?? "") }
  }

  /// - Parameter now: microseconds since the epoch.
  static func plans(
    _ request: PersonRequest, now: Int64, zone: ZoneRules
  ) throws(QueryError) -> Plans {
    let range = request.base.range.resolved(now: now, zone: zone)
    let plan = try PersonPlan(request, over: range, zone: zone)
    guard request.base.comparison == .previous else { return Plans(now: plan, before: nil) }
    guard let earlier = request.base.range.previous(to: range, now: now, zone: zone) else {
      throw QueryError(
        .invalidValue, path: "$.compare",
        detail: "there is no period before \"all\"; ask for a range that begins")
    }
    let before = try PersonPlan(request, over: earlier, zone: zone)
    guard before.edges.count == plan.edges.count,
      request.base.granularity == nil || before.begin == plan.begin
    else {
      throw QueryError(
        .invalidValue, path: "$.compare",
        detail: "the period before is cut into \(before.edges.count - 1) periods and this one into "
          + "\(plan.edges.count - 1), or in other places; ask for a range that is a whole number "
          + "of them")
    }
    return Plans(now: plan, before: before)
  }

  /// How much of its first period lies before the range, as local clocks have it.
  private var begin: Int64 { zone.localTime(at: range.from) - zone.localTime(at: edges[0]) }

  private var text: String {
    let base = request.base
    return
      "persons \(request.body) \(request.by) \(base.site) \(base.traffic) \(request.allFilters) "
      + "\(range) \(edges) \(base.timezone) \(base.limit) \(base.granularity?.rawValue ?? "")"
  }

  /// A time, microseconds since the epoch, in the question's own zone.
  func text(of micros: Int64) -> String {
    CivilTime.text(
      micros: micros, offset: zone.offset(at: CivilTime.floorDivide(micros, 1_000_000)))
  }

  /// What the answer is about ends here: a funnel's last steps may come after its range.
  var end: Int64 {
    switch request.body {
    case .funnel(_, let within): range.to + within
    case .retention: edges[edges.count - 1]
    case .attribution, .sessions: range.to
    }
  }

  /// Sessions are followed so far beyond the range, on both sides.
  static let sessionReach: Int64 = 86_400_000_000

  /// - Parameter policy: how the pipeline follows persons.
  func question(_ policy: PersonPolicy) -> PersonQuestion {
    let filters = request.allFilters
    func selector(_ own: TouchSelector) -> TouchSelector {
      TouchSelector(
        kinds: own.kinds, name: own.name, filters: own.filters + filters.all,
        alternatives: own.alternatives + filters.alternatives)
    }
    let times: Range<Int64>
    let selectors: [TouchSelector]
    switch request.body {
    case .funnel(let steps, _):
      times = range.from..<end
      selectors = steps.map { selector($0.selector) }
    case .retention(let begin, let back, _):
      times = edges[0]..<end
      selectors = [selector(begin), selector(back)]
    case .attribution(_, let touches, let conversions, let lookBack):
      times = range.from - lookBack..<end
      selectors = [selector(touches), selector(conversions)]
    case .sessions:
      times = range.from - Self.sessionReach..<range.to + Self.sessionReach
      // Whatever a person does goes on with a session; filters say which ones count.
      let member = TouchSelector(kinds: TouchSelector.counted)
      selectors = [member, selector(member)]
    }
    let asked = request.by + selectors.flatMap(\.asked)
    return PersonQuestion(
      site: request.base.site, times: times, selectors: selectors, dimensions: request.by,
      offsets: asked.contains(.hourOfWeek)
        ? ScanRequest.offsets(
          over: TimeRange(from: times.lowerBound, to: times.upperBound), zone: zone) : [],
      policy: policy)
  }
}
