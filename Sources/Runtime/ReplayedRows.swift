import Dataflow
import Events
import Ports
import Views

/// Rows in memory as batches change them.
struct ReplayedRows {
  private struct WindowKey: Hashable {
    var measure: Measure
    var level: WindowLevel
    var start: Int64
    var dimensionID: Int64
    var stream: StreamPartition

    static func precedes(_ a: Self, _ b: Self) -> Bool {
      (a.measure.rawValue, a.level.rawValue, a.start, a.dimensionID, a.stream.stream)
        < (b.measure.rawValue, b.level.rawValue, b.start, b.dimensionID, b.stream.stream)
    }
  }

  private struct TrendKey: Hashable {
    var end: Int64
    var dimensionID: Int64
  }

  private let trendPolicy: TrendPolicy?
  private var windows: [WindowKey: WindowRow] = [:]
  private var trends: [TrendKey: TrendRow] = [:]
  private var incidents: [Int64: IncidentRow] = [:]
  private var lateEvents: [(stream: StreamPartition, event: LateEvent)] = []
  private var tuples: [Int64: [UInt8]] = [:]
  private var checkpoints: [StreamPartition: Checkpoint] = [:]
  private var accounting: [StreamPartition: Accounting] = [:]

  init(_ spec: PipelineSpec) { trendPolicy = spec.trends }

  /// Takes what the next commit would write.
  mutating func drain(_ stream: ReplayedStream) {
    add(stream.pipeline.drainCommit(includeCoarse: false), of: stream.pipeline.stream)
  }

  /// Takes everything that the stream has come to, windows that are still open among it.
  mutating func finish(_ stream: ReplayedStream) {
    add(stream.pipeline.drainCommit(includeCoarse: true), of: stream.pipeline.stream)
    let measure = stream.pipeline.stream.role == .partials ? Measure.outcomes : .activity
    let seams = stream.pipeline.seams
    let inState = [(measure: measure, rows: stream.pipeline.allHot())]
    for (measure, rows) in inState + stream.pipeline.allExperiments() {
      // Rows that have left state come along as they were then, without their corrections.
      for hot in rows where hot.row.start >= seams[hot.row.level] {
        tuples[hot.row.dimensionID] = hot.tuple
        windows[key(hot.row, measure, stream.pipeline.stream)] = hot.row
      }
    }
    let open = stream.pipeline.openTrends()
    for entry in open.dimensions { tuples[entry.id] = entry.encoded }
    for row in open.rows { add(row) }
  }

  private mutating func add(_ batch: CommitBatch, of stream: StreamPartition) {
    for entry in batch.dimensions { tuples[entry.id] = entry.encoded }
    for measured in batch.windows {
      for row in measured.rows { windows[key(row, measured.measure, stream)] = row }
      for delta in measured.deltas {
        let key = key(delta, measured.measure, stream)
        guard var row = windows[key] else {
          windows[key] = delta
          continue
        }
        row.counts += delta.counts
        row.revision += delta.revision
        row.isFinal = true
        windows[key] = row
      }
    }
    // A commit that comes seldom writes early rows of another window than those that came often.
    for row in batch.trends where row.isFinal { add(row) }
    for row in batch.incidents { incidents[row.id] = row }
    lateEvents += batch.lateEvents.map { (stream, $0) }
    checkpoints[stream] = batch.checkpoint
    accounting[stream] = batch.accounting
  }

  private mutating func add(_ row: TrendRow) {
    trends[TrendKey(end: row.end, dimensionID: row.dimensionID)] = row
  }

  private func key(_ row: WindowRow, _ measure: Measure, _ stream: StreamPartition) -> WindowKey {
    WindowKey(
      measure: measure, level: row.level, start: row.start, dimensionID: row.dimensionID,
      stream: stream)
  }

  /// Removes the rows whose retention is over.
  ///
  /// - Parameters:
  ///   - events: log time of the slowest stream of the events, microseconds since the epoch; `.min`
  ///     where one of them has none yet.
  ///   - partials: log time of the second stage.
  mutating func removeExpired(events: Int64, partials: Int64) {
    func isOver(_ end: Int64, _ retention: Int64, _ logTime: Int64) -> Bool {
      logTime > .min + retention && end <= logTime - retention
    }
    windows = windows.filter { key, _ in
      guard let retention = key.level.retention else { return true }
      let logTime = key.measure == .activity ? events : partials
      return !isOver(key.start + key.level.length, retention, logTime)
    }
    incidents = incidents.filter { !isOver($0.value.begin + 1, IncidentRow.retention, partials) }
    guard let trendPolicy else { return }
    trends = trends.filter { !isOver($0.key.end, trendPolicy.retention, partials) }
  }

  var views: ReplayedViews {
    var views = ReplayedViews()
    let decoded = tuples.compactMapValues { bytes in
      bytes.withUnsafeBytes { DimensionTuple(encoded: $0) }
    }
    for (key, row) in windows.sorted(by: { WindowKey.precedes($0.key, $1.key) }) {
      guard let tuple = decoded[key.dimensionID] else { continue }
      views.windows.append(
        ReplayedViews.Window(stream: key.stream, measure: key.measure, row: row, tuple: tuple))
    }
    let ordered = trends.values.sorted { ($0.end, $0.dimensionID) < ($1.end, $1.dimensionID) }
    for row in ordered {
      guard let tuple = decoded[row.dimensionID] else { continue }
      views.trends.append(ReplayedViews.Trend(row: row, tuple: tuple))
    }
    views.incidents = incidents.values.sorted { ($0.begin, $0.id) < ($1.begin, $1.id) }
    let late = lateEvents.sorted {
      ($0.stream.stream, $0.event.sequence, $0.event.index)
        < ($1.stream.stream, $1.event.sequence, $1.event.index)
    }
    for (stream, event) in late {
      guard let tuple = decoded[event.dimensionID] else { continue }
      views.lateEvents.append(ReplayedViews.Late(stream: stream, event: event, tuple: tuple))
    }
    views.checkpointsByStream = checkpoints
    views.accountingByStream = accounting
    views.trendPolicy = trendPolicy
    return views
  }
}
