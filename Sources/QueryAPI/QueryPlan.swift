import Events
import Ports
import Views

/// What a query reads: windows of which lengths over which stretches of time, and the buckets that
/// they belong to.
///
/// A range is tiled with the longest windows that fit; its edges, and the edges of its buckets,
/// with shorter ones:
///
///     range      |----------------------------------------------------|
///     windows    |10s|1m|  1h  |          1d          |  1h  |1m|10s|
///
/// A local day that is no UTC day consists of hours; where the zone's offset has half an hour, of
/// hours and minutes. Every window lies in exactly one bucket, so sums are exact.
struct QueryPlan: Hashable, Sendable {
  var range: TimeRange
  /// Rising, without overlap; together they are the range.
  var segments: [Segment]
  /// Starts of buckets; empty for one bucket over everything.
  var buckets: [Int64]
  /// The period that each row is compared with; nil where none is.
  var before: Before?

  /// What is read of the period before: its first bucket is compared with the query's first one, and so on.
  struct Before: Hashable, Sendable {
    var range: TimeRange
    var segments: [Segment]
    var buckets: [Int64]
  }

  /// The most time buckets of one query: a month of minutes, or every day since 1970 twice.
  static let bucketCountMax = 50_000
  /// Above this many stretches, hours are used where days alternate with them.
  static let segmentCountComfortable = 24
  /// Each stretch is a condition of the database's query.
  static let segmentCountMax = 256

  /// - Parameter now: microseconds since the epoch.
  static func make(
    for request: QueryRequest, now: Int64, zone: ZoneRules
  ) throws(QueryError) -> QueryPlan {
    var plan = try make(
      for: request, over: request.range.resolved(now: now, zone: zone), now: now, zone: zone)
    if request.comparison == .previous {
      plan.before = try before(plan, for: request, now: now, zone: zone)
    }
    return plan
  }

  private static func before(
    _ plan: QueryPlan, for request: QueryRequest, now: Int64, zone: ZoneRules
  ) throws(QueryError) -> Before {
    guard let range = request.range.previous(to: plan.range, now: now, zone: zone) else {
      throw QueryError(
        .invalidValue, path: "$.compare",
        detail: "there is no period before \"all\"; ask for a range that begins")
    }
    let earlier: QueryPlan
    do throws(QueryError) {
      earlier = try make(for: request, over: range, now: now, zone: zone)
    } catch {
      throw QueryError(
        error.code, path: "$.compare", detail: "of the period before: \(error.detail)")
    }
    guard let granularity = request.granularity else {
      return Before(range: earlier.range, segments: earlier.segments, buckets: [])
    }
    func begin(_ plan: QueryPlan) -> Int64 {
      zone.localTime(at: plan.range.from) - zone.localTime(at: plan.buckets[0])
    }
    guard begin(plan) == begin(earlier) else {
      throw QueryError(
        .invalidValue, path: "$.compare",
        detail: "the period before is cut into other buckets, because this one is no whole number "
          + "of \(granularity.rawValue) long; ask for a range that is, or for a finer granularity")
    }
    return Before(range: earlier.range, segments: earlier.segments, buckets: earlier.buckets)
  }

  private static func make(
    for request: QueryRequest, over range: TimeRange, now: Int64, zone: ZoneRules
  ) throws(QueryError) -> QueryPlan {
    try check(range)
    var edges = [range.from, range.to]
    var buckets: [Int64] = []
    if let granularity = request.granularity {
      guard
        let boundaries = granularity.boundaries(
          over: range, zone: zone, countMax: bucketCountMax)
      else {
        throw QueryError(
          .tooManyBuckets, path: "$.granularity",
          detail: "\(granularity.rawValue) cuts the range into more than \(bucketCountMax) "
            + "buckets; ask for a coarser granularity or a shorter range")
      }
      buckets = Array(boundaries.dropLast())
      edges = [range.from] + boundaries.filter { $0 > range.from && $0 < range.to } + [range.to]
    }
    for edge in edges where edge % WindowLevel.tenSeconds.length != 0 {
      throw QueryError(
        .rangeNotKept, path: "$.timezone",
        detail: "\(request.timezone) had an offset from UTC at \(CivilTime.text(micros: edge)) "
          + "that is no multiple of 10 s; use UTC or a later range")
    }
    var segments = tile(edges, coarsest: .day)
    if segments.count > segmentCountComfortable {
      let plain = tile(edges, coarsest: .hour)
      if plain.count < segments.count { segments = plain }
    }
    try checkRetention(segments, request: request, now: now)
    guard segments.count <= segmentCountMax else {
      throw QueryError(
        .tooManyBuckets, path: "$.granularity",
        detail: "the range takes \(segments.count) stretches of windows, more than "
          + "\(segmentCountMax); use timezone UTC or a shorter range")
    }
    return QueryPlan(range: range, segments: segments, buckets: buckets)
  }

  func selection(for request: QueryRequest, _ measure: Measure) -> ViewSelection {
    ViewSelection(
      measure: measure, site: request.site, segments: segments, filters: request.allFilters,
      alternatives: request.alternatives, groupBy: request.dimensions, buckets: buckets)
  }

  /// Of the period before; nil where none is compared.
  func selectionBefore(for request: QueryRequest, _ measure: Measure) -> ViewSelection? {
    guard let before else { return nil }
    var selection = selection(for: request, measure)
    selection.segments = before.segments
    selection.buckets = before.buckets
    return selection
  }

  /// Whether the period before has a bucket in the place of one of this.
  func hasBefore(bucket: Int) -> Bool {
    before.map { $0.buckets.isEmpty || bucket < $0.buckets.count } ?? false
  }

  private static func check(_ range: TimeRange) throws(QueryError) {
    guard range.from < range.to else {
      throw QueryError(
        .invalidValue, path: "$.date_range", detail: "the range ends at or before its start")
    }
    for (index, edge) in [range.from, range.to].enumerated()
    where edge % WindowLevel.tenSeconds.length != 0 {
      let below = WindowLevel.tenSeconds.start(of: edge)
      throw QueryError(
        .rangeUnaligned, path: "$.date_range[\(index)]",
        detail: "the shortest windows are 10 s; use \(CivilTime.text(micros: below)) or "
          + CivilTime.text(micros: below + WindowLevel.tenSeconds.length))
    }
  }

  /// Rows are deleted by log time, which is never ahead of `now`, so what passes here is kept.
  private static func checkRetention(
    _ segments: [Segment], request: QueryRequest, now: Int64
  ) throws(QueryError) {
    for segment in segments {
      guard let retention = segment.level.retention, segment.from < now - retention else {
        continue
      }
      let needsMinute = segment.level == .minute
      let rule =
        needsMinute
        ? "minutes are kept for 90 days; older edges must be at full hours of UTC"
        : "windows of 10 s are kept for 48 hours; older edges must be at full minutes, and those "
          + "older than 90 days at full hours of UTC"
      throw QueryError(
        .rangeNotKept, path: "$.date_range",
        detail: "\(CivilTime.text(micros: segment.from)) needs windows of \(segment.level.name): "
          + rule
          + (request.timezone == "UTC"
            ? "" : "; days of \(request.timezone) may need minutes, those of UTC never do"))
    }
  }

  /// Tiles the stretches between rising edges.
  static func tile(_ edges: [Int64], coarsest: WindowLevel) -> [Segment] {
    var segments: [Segment] = []
    for (from, to) in zip(edges, edges.dropFirst()) {
      tile(from, to, coarsest, into: &segments)
    }
    return segments
  }

  private static func tile(
    _ from: Int64, _ to: Int64, _ level: WindowLevel, into segments: inout [Segment]
  ) {
    if from >= to { return }
    guard let finer = WindowLevel(rawValue: level.rawValue - 1) else {
      return append(Segment(level: level, from: from, to: to), to: &segments)
    }
    let first = level.start(of: from + level.length - 1)
    let last = level.start(of: to)
    guard first < last else { return tile(from, to, finer, into: &segments) }
    tile(from, first, finer, into: &segments)
    append(Segment(level: level, from: first, to: last), to: &segments)
    tile(last, to, finer, into: &segments)
  }

  private static func append(_ segment: Segment, to segments: inout [Segment]) {
    if let last = segments.last, last.level == segment.level, last.to == segment.from {
      segments[segments.count - 1].to = segment.to
    } else {
      segments.append(segment)
    }
  }
}
