public import Dataflow
import Events
import Operators
public import Ports
import Views

/// Why a replay did not come to its end.
public enum ReplayError: Error, Sendable {
  case log(LogError)
  case pipeline(stream: String, PipelineError)
}

/// Runs a pipeline on the log up to an instant of its past, into memory.
///
/// The operators are those of the processor. Frames of all streams come in order of their stored times,
/// and what a first stage hands on goes to the second at once: the result is a function of the log, of
/// the pipeline and of the instant. Memory: all rows. Confined to one thread.
public final class LogReplay {
  public struct Progress: Sendable {
    public var done: UInt64
    public var total: UInt64
  }

  private let spec: PipelineSpec
  private let log: any EventLog
  private let until: Int64
  private let progress: (Progress) -> Void
  private var streams: [ReplayedStream] = []
  private var secondStage: ReplayedStream?
  private var rows = ReplayedRows()
  private var frameCount: UInt64 = 0

  /// - Parameters:
  ///   - streams: events and dead letters.
  ///   - partitions: of the generation.
  ///   - until: the last stored time that counts, microseconds since the epoch.
  public init(
    _ spec: PipelineSpec, streams: [StreamPartition], partitions: Int, log: any EventLog,
    until: Int64, progress: @escaping (Progress) -> Void = { _ in }
  ) {
    self.spec = spec
    self.log = log
    self.until = until
    self.progress = progress
    self.streams = streams.map { stream in
      let groups =
        stream.role == .events
        ? KeyGroup.groups(of: stream.partition, partitions: partitions) : 0..<0
      return ReplayedStream(
        Pipeline(spec: spec, stream: stream, groups: groups, partitions: partitions))
    }
    if spec.hasSecondStage {
      secondStage = ReplayedStream(
        Pipeline(
          spec: spec, stream: .partials(of: spec), groups: 0..<KeyGroup.count,
          partitions: partitions))
    }
  }

  public func run() throws(ReplayError) -> ReplayedViews {
    var total: UInt64 = 0
    for stream in streams {
      do throws(LogError) {
        try stream.open(log)
      } catch {
        throw .log(error)
      }
      total += stream.last
    }
    while let next = try nextStream() {
      try step(next)
      if frameCount.isMultiple(of: 256) {
        progress(Progress(done: frameCount, total: max(total, frameCount)))
      }
    }
    for stream in streams + [secondStage].compactMap({ $0 }) { finish(stream) }
    return rows.views
  }

  /// The stream whose next frame was stored first; nil once all have come to the instant.
  private func nextStream() throws(ReplayError) -> ReplayedStream? {
    var next: ReplayedStream?
    for stream in streams {
      do throws(LogError) {
        guard let time = try stream.nextTime(until: until) else { continue }
        if next?.knownTime.map({ time < $0 }) ?? true { next = stream }
      } catch {
        throw .log(error)
      }
    }
    return next
  }

  private func step(_ stream: ReplayedStream) throws(ReplayError) {
    guard let frame = stream.take() else { return }
    frameCount += 1
    do throws(PipelineError) {
      try stream.process(frame)
      for partial in stream.pipeline.takeEmitted() {
        try secondStage?.process(partials: partial, storedAt: frame.storedAt)
      }
    } catch {
      throw .pipeline(stream: stream.name, error)
    }
    for stream in [stream, secondStage].compactMap({ $0 }) where stream.isFull {
      rows.add(stream.pipeline.drainCommit(includeCoarse: false), of: stream.pipeline.stream)
    }
  }

  private func finish(_ stream: ReplayedStream) {
    rows.add(stream.pipeline.drainCommit(includeCoarse: true), of: stream.pipeline.stream)
    rows.add(stream.pipeline.allHot(), of: stream.pipeline.stream)
  }
}

/// One stream of a replay: its pipeline, and the frames that are fetched and not yet processed.
private final class ReplayedStream {
  var pipeline: Pipeline
  let name: String
  private(set) var last: UInt64 = 0
  private var reader: (any FrameReader)?
  private var fetched: ArraySlice<any StoredFrame> = []
  private var position: UInt64 = 0

  private static let pendingCountMax = 100_000

  init(_ pipeline: consuming Pipeline) {
    name = pipeline.stream.stream
    self.pipeline = pipeline
  }

  var isFull: Bool { pipeline.pendingCount > Self.pendingCountMax }
  var knownTime: Int64? { fetched.first?.storedAt }

  func open(_ log: any EventLog) throws(LogError) {
    last = try log.bounds(stream: name).last
    reader = try log.reader(stream: name, after: 0)
  }

  /// When the next frame was stored; nil where there is none up to `until`.
  func nextTime(until: Int64) throws(LogError) -> Int64? {
    while fetched.isEmpty {
      guard position < last, let reader else { return nil }
      fetched = try reader.next(timeoutMs: 1_000)[...]
    }
    guard let time = knownTime, time <= until else {
      last = position
      fetched = []
      return nil
    }
    return time
  }

  func take() -> (any StoredFrame)? {
    guard let frame = fetched.popFirst() else { return nil }
    position = frame.sequence
    return frame
  }

  func process(_ frame: any StoredFrame) throws(PipelineError) {
    let view: FrameView
    do throws(FrameError) {
      view = try FrameView(frame.bytes)
    } catch {
      return try pipeline.skip(
        sequence: frame.sequence, storedAt: frame.storedAt,
        checksum: PartitionLoop.checksum(frame.bytes))
    }
    try pipeline.process(frame: view, sequence: frame.sequence, storedAt: frame.storedAt)
  }

  func process(partials frame: PartialFrame, storedAt: Int64) throws(PipelineError) {
    position += 1
    let sequence = position
    var failure: PipelineError?
    frame.bytes.withUnsafeBytes { bytes in
      do throws(FrameError) {
        let view = try PartialFrameView(bytes)
        do throws(PipelineError) {
          try pipeline.process(partials: view, bytes: bytes, sequence: sequence, storedAt: storedAt)
        } catch {
          failure = error
        }
      } catch {
        preconditionFailure("a first stage makes frames that can be read: \(error)")
      }
    }
    if let failure { throw failure }
  }
}

/// Rows in memory as batches change them.
private struct ReplayedRows {
  private struct Key: Hashable {
    var measure: Measure
    var level: WindowLevel
    var start: Int64
    var dimensionID: Int64
    var stream: StreamPartition
  }

  private var rows: [Key: WindowRow] = [:]
  private var tuples: [Int64: [UInt8]] = [:]
  private var checkpoints: [StreamPartition: Checkpoint] = [:]
  private var accounting: [StreamPartition: Accounting] = [:]

  mutating func add(_ batch: CommitBatch, of stream: StreamPartition) {
    for entry in batch.dimensions { tuples[entry.id] = entry.encoded }
    for row in batch.rows { rows[key(row, batch.measure, stream)] = row }
    for delta in batch.deltas {
      let key = key(delta, batch.measure, stream)
      guard var row = rows[key] else {
        rows[key] = delta
        continue
      }
      row.counts += delta.counts
      row.revision += delta.revision
      row.isFinal = true
      rows[key] = row
    }
    checkpoints[stream] = batch.checkpoint
    accounting[stream] = batch.accounting
  }

  mutating func add(_ hot: [HotRow], of stream: StreamPartition) {
    let measure = stream.role == .partials ? Measure.outcomes : .activity
    for row in hot {
      tuples[row.row.dimensionID] = row.tuple
      rows[key(row.row, measure, stream)] = row.row
    }
  }

  private func key(_ row: WindowRow, _ measure: Measure, _ stream: StreamPartition) -> Key {
    Key(
      measure: measure, level: row.level, start: row.start, dimensionID: row.dimensionID,
      stream: stream)
  }

  var views: ReplayedViews {
    var views = ReplayedViews()
    let ordered = rows.sorted { a, b in
      (a.key.measure.rawValue, a.key.level.rawValue, a.key.start, a.key.dimensionID)
        < (b.key.measure.rawValue, b.key.level.rawValue, b.key.start, b.key.dimensionID)
    }
    for (key, row) in ordered {
      guard let tuple = tuples[key.dimensionID]?.withUnsafeBytes({ DimensionTuple(encoded: $0) })
      else { continue }
      views.rows.append(ReplayedViews.Row(measure: key.measure, row: row, tuple: tuple))
    }
    for (stream, checkpoint) in checkpoints {
      var checkpoint = checkpoint
      for level in WindowLevel.allCases { checkpoint.seams[level] = .max }
      views.checkpointsByStream[stream] = checkpoint
    }
    for (stream, part) in accounting where stream.role != .partials {
      views.total.received += part.received
      views.total.onTime += part.onTime
      views.total.late += part.late
      views.total.tooLate += part.tooLate
      views.total.duplicate += part.duplicate
      views.total.rejected += part.rejected
      views.total.clampedFuture += part.clampedFuture
    }
    return views
  }
}
