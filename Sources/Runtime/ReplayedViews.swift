public import Dataflow
public import Events
public import Ports
public import Views

/// Read models in memory, as a replay has left them. Answers what the stores would have answered.
///
/// Everything counts as durable: the hot copy is complete, as far on, and has no window of its own.
public struct ReplayedViews: DurableViewReader, HotViewReader {
  /// One row with its tuple, of one source.
  public struct Row: Sendable {
    public var measure: Measure
    public var row: WindowRow
    public var tuple: DimensionTuple
  }

  /// In order of measure, level, start and id.
  public var rows: [Row] = []
  public var checkpointsByStream: [StreamPartition: Checkpoint] = [:]
  public var total = Accounting()

  public init() {}

  public func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(ViewReadError) -> DurableAnswer {
    struct Key: Hashable {
      var bucket: Int
      var dimensions: [String]
      var currency: String
    }
    var sums: [Key: Counts] = [:]
    for entry in rows where entry.measure == selection.measure {
      let row = entry.row
      let isWanted = selection.segments.contains {
        $0.level == row.level && $0.from <= row.start && row.start < $0.to
      }
      guard isWanted, entry.tuple.site == selection.site,
        selection.filters.allSatisfy({ Self.passes($0, entry.tuple) })
      else { continue }
      let key = Key(
        bucket: selection.buckets.lastIndex { $0 <= row.start } ?? 0,
        dimensions: selection.groupBy.map { entry.tuple[$0] }, currency: entry.tuple.currency)
      sums[key, default: Counts()] += row.counts
    }
    let groups = sums.map {
      ViewGroup(
        bucket: $0.key.bucket, dimensions: $0.key.dimensions, currency: $0.key.currency,
        counts: $0.value)
    }
    return DurableAnswer(groups: groups, checkpoints: checkpointsByStream)
  }

  private static func passes(_ filter: DimensionFilter, _ tuple: DimensionTuple) -> Bool {
    let value = tuple[filter.dimension]
    switch filter.operation {
    case .isAnyOf: return filter.values.contains(value)
    case .isNoneOf: return !filter.values.contains(value)
    case .contains: return filter.values.contains { $0.isEmpty || value.contains($0) }
    }
  }

  public func trends(
    site: String, groupBy dimension: Dimension
  ) async throws(ViewReadError) -> TrendAnswer {
    throw .refused("trends are not replayed; ask for windows")
  }

  public func checkpoints() async throws(ViewReadError) -> [StreamPartition: Checkpoint] {
    checkpointsByStream
  }

  public func accounting() async throws(ViewReadError) -> Accounting { total }

  public func headers(partitions: [Int]) async throws(ViewReadError) -> [Int: HotHeader] {
    var headers: [Int: HotHeader] = [:]
    for (stream, checkpoint) in checkpointsByStream where partitions.contains(stream.partition) {
      headers[stream.partition] = HotHeader(
        epoch: 1, sequence: checkpoint.sequence,
        lastDeltaSequence: checkpoint.lastDeltaSequence,
        committedSequence: checkpoint.sequence, copy: 1, isComplete: true,
        logTime: checkpoint.logTime, watermark: checkpoint.watermark, seams: checkpoint.seams,
        sources: checkpoint.sources)
    }
    return headers
  }

  public func read(
    segments: [Segment], seams: [Int: Seams]
  ) async throws(ViewReadError) -> HotAnswer {
    HotAnswer(headers: try await headers(partitions: Array(seams.keys)), rows: [])
  }
}
