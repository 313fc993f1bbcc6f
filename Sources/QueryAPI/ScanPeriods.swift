import Views

/// The range of a scan's question, and the period before where it is compared, as buckets of one question.
///
///     before          what is of neither    range
///     |─ 0 ─|─ 1 ─|─ 2 ─|· · · · 3 · · ·|─ 4 ─|─ 5 ─|─ 6 ─|
///
/// The log is read once for both.
struct ScanPeriods: Sendable {
  let range: TimeRange
  /// Nil where nothing is compared.
  let before: TimeRange?
  /// Starts of the range's; empty for one over everything.
  let buckets: [Int64]
  /// Of the question that the log is asked.
  let questionBuckets: [Int64]
  private let beforeCount: Int
  /// The place of the range's first bucket among the question's.
  private let first: Int

  var times: Range<Int64> { (before?.from ?? range.from)..<range.to }

  init(_ request: QueryRequest, now: Int64, zone: ZoneRules) throws(QueryError) {
    range = request.range.resolved(now: now, zone: zone)
    guard range.from < range.to else {
      throw QueryError(
        .invalidValue, path: "$.date_range", detail: "the range ends at or before its start")
    }
    buckets = try Self.buckets(request, over: range, zone)
    guard request.comparison == .previous else {
      (before, questionBuckets, beforeCount, first) = (nil, buckets, 0, 0)
      return
    }
    guard let earlier = request.range.previous(to: range, now: now, zone: zone) else {
      throw QueryError(
        .invalidValue, path: "$.compare",
        detail: "there is no period before \"all\"; ask for a range that begins")
    }
    let earlierBuckets = try Self.buckets(request, over: earlier, zone)
    if let granularity = request.granularity {
      func begin(_ range: TimeRange, _ buckets: [Int64]) -> Int64 {
        zone.localTime(at: range.from) - zone.localTime(at: buckets[0])
      }
      guard begin(range, buckets) == begin(earlier, earlierBuckets) else {
        throw QueryError(
          .invalidValue, path: "$.compare",
          detail:
            "the period before is cut into other buckets, because this one is no whole number "
            + "of \(granularity.rawValue) long; ask for a range that is, or for a finer granularity"
        )
      }
    }
    before = earlier
    var all = earlierBuckets.isEmpty ? [earlier.from] : earlierBuckets
    beforeCount = all.count
    if earlier.to < range.from { all.append(earlier.to) }
    first = all.count
    questionBuckets = all + (buckets.isEmpty ? [range.from] : buckets)
  }

  private static func buckets(
    _ request: QueryRequest, over range: TimeRange, _ zone: ZoneRules
  ) throws(QueryError) -> [Int64] {
    guard let granularity = request.granularity else { return [] }
    guard
      let boundaries = granularity.boundaries(
        over: range, zone: zone, countMax: QueryPlan.bucketCountMax)
    else {
      throw QueryError(
        .tooManyBuckets, path: "$.granularity",
        detail: "\(granularity.rawValue) cuts the range into more than "
          + "\(QueryPlan.bucketCountMax) buckets; ask for a coarser granularity or a shorter range")
    }
    return Array(boundaries.dropLast())
  }

  /// Which bucket of which period one of the question is; nil of what is of neither.
  func place(of bucket: Int) -> (isBefore: Bool, bucket: Int)? {
    if bucket >= first { return (false, bucket - first) }
    return bucket < beforeCount ? (true, bucket) : nil
  }

  /// Whether there is such a bucket in the period before.
  func hasBefore(_ bucket: Int) -> Bool { bucket < beforeCount }
}
