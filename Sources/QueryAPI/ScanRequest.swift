import Analyses

/// A query that is answered by scanning the log.
struct ScanRequest: Sendable {
  /// Site, pipeline, range, time zone, granularity, page, traffic.
  var base: QueryRequest
  var metrics: [ScanMetric]
  /// Without the time bucket.
  var dimensions: [BreakdownDimension]
  var filters = Filters()
  var order: [Order] = []
  /// How many entries a list of the most frequent has at most.
  var topLength = BreakdownQuestion.topLength
  /// What was stored later is left out, microseconds since the epoch.
  var knownAt: Int64?

  /// Filters on any of the dimensions, as they were asked for.
  struct Filters: Hashable, Sendable {
    /// All of them hold.
    var all: [BreakdownFilter] = []
    /// Of each of these lists one holds.
    var alternatives: [[BreakdownFilter]] = []

    var dimensions: [BreakdownDimension] { (all + alternatives.joined()).map(\.dimension) }

    /// With what is asked for of traffic, unless it is told apart or filtered anyway.
    func adding(
      _ traffic: QueryRequest.Traffic, by dimensions: [BreakdownDimension]
    ) -> Filters {
      if (dimensions + self.dimensions).contains(.traffic) { return self }
      var filters = self
      switch traffic {
      case .people: filters.all.append(BreakdownFilter(.traffic, .isAnyOf, [[]]))
      case .bots: filters.all.append(BreakdownFilter(.traffic, .isNoneOf, [[]]))
      case .all: break
      }
      return filters
    }

    func write(to output: inout [UInt8]) {
      FilterText.write(all.map(\.text), alternatives.map { $0.map(\.text) }, to: &output)
    }
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
    let filters = filters.adding(base.traffic, by: dimensions)
    let needsOffsets = (dimensions + filters.dimensions).contains(.hourOfWeek)
    let times = TimeRange(from: periods.times.lowerBound, to: periods.times.upperBound)
    return BreakdownQuestion(
      site: base.site, times: periods.times, dimensions: dimensions, filters: filters.all,
      alternatives: filters.alternatives, buckets: periods.questionBuckets,
      offsets: needsOffsets ? Self.offsets(over: times, zone: zone) : [], measures: measures,
      tops: tops, topLength: topLength)
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
