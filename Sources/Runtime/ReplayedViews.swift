public import Dataflow
public import Events
public import Ports
public import Views

/// Read models in memory, as a replay has left them. Answers what the stores would have answered.
///
/// Everything counts as durable, windows that are still open too; there is no hot copy.
public struct ReplayedViews: DurableViewReader, HotViewReader, IncidentReader {
  /// One row of the windows with its tuple, of one stream.
  public struct Window: Sendable {
    public var stream: StreamPartition
    public var measure: Measure
    public var row: WindowRow
    public var tuple: DimensionTuple
  }

  /// One row of the trends with its tuple.
  public struct Trend: Sendable {
    public var row: TrendRow
    public var tuple: DimensionTuple
  }

  /// An event that came too late, with its tuple and the stream that its frame is in.
  public struct Late: Sendable {
    public var stream: StreamPartition
    public var event: LateEvent
    public var tuple: DimensionTuple
  }

  /// In order of measure, level, start, id and stream.
  public var windows: [Window] = []
  /// In order of end and id.
  public var trends: [Trend] = []
  /// In order of begin and id.
  public var incidents: [IncidentRow] = []
  /// In order of stream and place.
  public var lateEvents: [Late] = []
  /// What the last commit would have said.
  public var checkpointsByStream: [StreamPartition: Checkpoint] = [:]
  public var accountingByStream: [StreamPartition: Accounting] = [:]
  /// Nil where the pipeline computes no trends.
  public var trendPolicy: TrendPolicy?

  public init() {}

  // MARK: Windows

  public func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(ViewReadError) -> DurableAnswer {
    struct Key: Hashable {
      var bucket: Int
      var dimensions: [String]
      var currency: String
    }
    var sums: [Key: Counts] = [:]
    var revisions: [Key: Int32] = [:]
    for entry in windows where entry.measure == selection.measure {
      let row = entry.row
      let isWanted = selection.segments.contains {
        $0.level == row.level && $0.from <= row.start && row.start < $0.to
      }
      guard isWanted, entry.tuple.site == selection.site,
        selection.filters.allSatisfy({ Self.passes($0, entry.tuple) }),
        selection.alternatives.allSatisfy({ $0.contains { Self.passes($0, entry.tuple) } })
      else { continue }
      let key = Key(
        bucket: selection.buckets.lastIndex { $0 <= row.start } ?? 0,
        dimensions: selection.groupBy.map { entry.tuple[$0] }, currency: entry.tuple.currency)
      sums[key, default: Counts()] += row.counts
      revisions[key] = max(revisions[key] ?? 0, row.revision)
    }
    let groups = sums.map {
      ViewGroup(
        bucket: $0.key.bucket, dimensions: $0.key.dimensions, currency: $0.key.currency,
        counts: $0.value, revision: revisions[$0.key] ?? 0)
    }
    return DurableAnswer(groups: groups, checkpoints: durableCheckpoints)
  }

  private static func passes(_ filter: DimensionFilter, _ tuple: DimensionTuple) -> Bool {
    let value = tuple[filter.dimension]
    switch filter.operation {
    case .isAnyOf: return filter.values.contains(value)
    case .isNoneOf: return !filter.values.contains(value)
    case .contains: return filter.values.contains { $0.isEmpty || value.contains($0) }
    }
  }

  /// Every window lies before the seams.
  private var durableCheckpoints: [StreamPartition: Checkpoint] {
    checkpointsByStream.mapValues { checkpoint in
      var checkpoint = checkpoint
      for level in WindowLevel.allCases { checkpoint.seams[level] = .max }
      return checkpoint
    }
  }

  public func checkpoints() async throws(ViewReadError) -> [StreamPartition: Checkpoint] {
    durableCheckpoints
  }

  // MARK: Trends and accounting

  public func trends(
    site: String, groupBy dimension: Dimension
  ) async throws(ViewReadError) -> TrendAnswer {
    guard let trendPolicy else { throw .refused("the pipeline declares no trends") }
    let checkpoint = checkpointsByStream.first { $0.key.role == .partials }?.value ?? Checkpoint()
    var answer = TrendAnswer(end: nil, size: trendPolicy.size, groups: [], checkpoint: checkpoint)
    guard checkpoint.logTime != .min else { return answer }
    let ends = trendPolicy.newestEnds(
      watermark: checkpoint.watermark, logTime: checkpoint.logTime)
    let end =
      trends.last { ends.contains($0.row.end) }?.row.end ?? ends.lowerBound
    answer.end = end
    for (bucket, end) in [end - trendPolicy.size, end].enumerated() {
      for entry in trends where entry.row.end == end && entry.tuple.site == site {
        // Bots do not count, unless they are what is asked for.
        guard dimension == .traffic || entry.tuple.traffic.isEmpty else { continue }
        answer.groups.append(
          ViewGroup(
            bucket: bucket, dimensions: [entry.tuple[dimension]], currency: entry.tuple.currency,
            counts: entry.row.counts))
      }
    }
    return answer
  }

  /// Over the streams of events and the dead letters: what the second stage takes in is no events.
  public func accounting() async throws(ViewReadError) -> Accounting {
    var total = Accounting()
    for (stream, part) in accountingByStream where stream.role != .partials {
      total.received += part.received
      total.onTime += part.onTime
      total.late += part.late
      total.tooLate += part.tooLate
      total.duplicate += part.duplicate
      total.rejected += part.rejected
      total.clampedFuture += part.clampedFuture
    }
    return total
  }

  // MARK: Incidents

  public func incidents(
    _ question: IncidentQuestion
  ) async throws(ViewReadError) -> [IncidentRow] {
    let wanted = incidents.reversed().lazy.filter { row in
      func isNone<Value: Equatable>(_ wanted: Value?, _ value: Value) -> Bool {
        wanted.map { $0 != value } ?? false
      }
      if isNone(question.site, row.site) || isNone(question.campaign, row.campaign)
        || isNone(question.content, row.content) || isNone(question.isOpen, row.end == nil)
        || isNone(question.id, row.id)
        || isNone(question.group, row.group) || row.severity < question.severity
      {
        return false
      }
      if let since = question.since, let end = row.end, end < since { return false }
      guard let before = question.before else { return true }
      return (row.begin, row.id) < (before.begin, before.id)
    }
    return Array(wanted.prefix(question.limit))
  }

  public func incidentCounts() async throws(ViewReadError) -> [IncidentRow.Severity: Int64] {
    Dictionary(grouping: incidents, by: \.severity).mapValues { Int64($0.count) }
  }

  // MARK: Hot copy

  public func headers(partitions: [Int]) async throws(ViewReadError) -> [Int: HotHeader] { [:] }

  public func read(
    segments: [Segment], seams: [Int: Seams], filter: TupleFilter
  ) async throws(ViewReadError) -> HotAnswer {
    HotAnswer(headers: [:], rows: [])
  }
}
