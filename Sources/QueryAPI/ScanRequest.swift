import Analyses

/// A query that is answered by scanning the log.
struct ScanRequest: Sendable {
  /// Site, pipeline, range, time zone, granularity, page, traffic.
  var base: QueryRequest
  var metrics: [ScanMetric]
  /// Without the time bucket.
  var dimensions: [BreakdownDimension]
  /// All of them hold.
  var filters: [Filter]
  var order: [Order]
  /// What was stored later is left out, microseconds since the epoch.
  var knownAt: Int64?

  /// As it was asked for.
  struct Filter: Hashable, Sendable {
    var operation: String
    var filter: BreakdownFilter

    var values: [String] { filter.values.map { String(decoding: $0, as: UTF8.self) } }
  }

  struct Order: Hashable, Sendable {
    var key: Key
    var isDescending: Bool

    enum Key: Hashable, Sendable {
      case time
      case metric(ScanMetric)
      /// Index into ``ScanRequest/dimensions``.
      case dimension(Int)
    }
  }

  /// The filters, and what ``QueryRequest/traffic`` adds to them.
  var allFilters: [BreakdownFilter] {
    Self.all(filters, by: dimensions, base.traffic)
  }

  /// Some filters, and what is asked for of traffic, unless it is told apart or filtered anyway.
  static func all(
    _ filters: [Filter], by dimensions: [BreakdownDimension], _ traffic: QueryRequest.Traffic
  ) -> [BreakdownFilter] {
    let given = filters.map(\.filter)
    if dimensions.contains(.traffic) || given.contains(where: { $0.dimension == .traffic }) {
      return given
    }
    switch traffic {
    case .people: return given + [BreakdownFilter(.traffic, .isAnyOf, [[]])]
    case .bots: return given + [BreakdownFilter(.traffic, .isNoneOf, [[]])]
    case .all: return given
    }
  }

  /// A list of the most frequent gives a row for each of its entries: of two lists none would know whose they are.
  func checkIsTable() throws(QueryError) {
    let lists = metrics.indices.filter { !metrics[$0].isNumber }
    guard lists.count > 1 else { return }
    throw QueryError(
      .invalidValue, path: "$.metrics[\(lists[1])]",
      detail:
        "CSV has rows for one list alone, here \(metrics[lists[0]].name); ask for JSON, or for "
        + "\(metrics[lists[1]].name) by itself")
  }

  var measures: BreakdownMeasures {
    metrics.reduce(into: []) { $0.formUnion($1.measures) }
  }

  /// Whose most frequent values are asked for.
  var tops: [BreakdownDimension] { metrics.compactMap(\.top) }

  /// The question of the log that it is.
  func question(_ periods: ScanPeriods, zone: ZoneRules) -> BreakdownQuestion {
    let filters = allFilters
    let needsOffsets =
      dimensions.contains(.hourOfWeek) || filters.contains { $0.dimension == .hourOfWeek }
    let times = TimeRange(from: periods.times.lowerBound, to: periods.times.upperBound)
    return BreakdownQuestion(
      site: base.site, times: periods.times, dimensions: dimensions, filters: filters,
      buckets: periods.questionBuckets,
      offsets: needsOffsets ? Self.offsets(over: times, zone: zone) : [], measures: measures,
      tops: tops)
  }

  /// A week is less than the time between two changes of a zone's offset.
  private static let stride: Int64 = 7 * 86_400

  static func offsets(
    over range: TimeRange, zone: ZoneRules
  ) -> [BreakdownQuestion.ZoneOffset] {
    var second = CivilTime.floorDivide(range.from, 1_000_000)
    let end = CivilTime.floorDivide(range.to, 1_000_000)
    func offset(at second: Int64) -> BreakdownQuestion.ZoneOffset {
      BreakdownQuestion.ZoneOffset(
        from: second * 1_000_000, seconds: Int64(zone.offset(at: second)))
    }
    var offsets = [offset(at: second)]
    while second < end {
      let next = min(second + stride, end)
      let change = zone.change(after: second, upTo: next)
      if let change { offsets.append(offset(at: change)) }
      second = change ?? next
    }
    return offsets
  }
}
