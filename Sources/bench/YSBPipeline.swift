import Dataflow
import Events
import Foundation
import JetStreamLog
import Operators
import Ports
import PostgresClient
import PostgresViews
import RedisClient
import RedisViews
import Synchronization
import Views

/// The Yahoo Streaming Benchmark's pipeline on one partition: frames to joined counts, without or with
/// stores.
struct YSBPipeline: ~Copyable {
  static let policy = WindowPolicy(
    allowedLateness: nil, windowGrace: 60_000_000, tupleCountMax: 1000)

  private var counts: JoinedCounts
  private var dedupe: Deduplicator?
  private var verdicts = Verdicts()
  private let allowedDisorder: Int64
  private var logTime = Int64.min
  private var accounting = Accounting()
  private(set) var events = 0
  private var position: UInt64 = 0
  private var fingerprint = Checkpoint.Fingerprint(checksum: 0, storedAt: 0)

  /// - Parameter dedupes: whether every event id is looked up, too, which the benchmark does not ask.
  init(_ workload: YSBWorkload, allowedDisorder: Int64, dedupes: Bool) {
    counts = JoinedCounts(
      kind: .view, level: .tenSeconds, table: workload.facts(), policy: Self.policy)
    self.allowedDisorder = allowedDisorder
    if dedupes {
      dedupe = Deduplicator(groups: 0..<256, horizon: 86_400_000_000, countMax: 100_000_000)
    }
  }

  mutating func process(
    _ bytes: UnsafeRawBufferPointer, sequence: UInt64, storedAt: Int64
  ) throws {
    let frame = try FrameView(bytes)
    logTime = max(logTime, min(frame.header.originalLogTime, storedAt))
    let moment = FrameMoment(
      sequence: sequence, logTime: logTime, watermark: logTime - allowedDisorder)
    verdicts.reset(count: frame.count)
    if dedupe != nil {
      dedupe!.advance(to: moment)
      try dedupe!.process(frame, at: moment, verdicts: &verdicts)
    }
    counts.advance(to: moment)
    if frame.count > 0 { try counts.process(frame, at: moment, verdicts: &verdicts) }
    let tally = verdicts.tally()
    accounting.received += Int64(frame.count)
    accounting.onTime += Int64(tally.onTime)
    accounting.late += Int64(tally.late)
    accounting.tooLate += Int64(tally.tooLate)
    accounting.duplicate += Int64(tally.duplicate)
    events += frame.count
    position = sequence
    fingerprint = Checkpoint.Fingerprint(checksum: frame.checksum, storedAt: storedAt)
  }

  private var seams: Seams {
    var seams = Seams()
    for level in WindowLevel.allCases { seams[level] = counts.seam }
    return seams
  }

  mutating func drainCommit() -> CommitBatch {
    var outbox = Outbox()
    counts.drain(.commit(includeCoarse: false), into: &outbox)
    var batch = CommitBatch()
    batch.dimensions = outbox.dimensions
    batch.rows = outbox.rows
    batch.accounting = accounting
    batch.checkpoint.sequence = position
    batch.checkpoint.fingerprint = fingerprint
    batch.checkpoint.logTime = logTime
    batch.checkpoint.watermark = logTime - allowedDisorder
    batch.checkpoint.seams = seams
    return batch
  }

  mutating func drainHot(epoch: Int64, committed: UInt64) -> ([HotRow], HotHeader) {
    var outbox = Outbox()
    counts.drain(.hot, into: &outbox)
    return (
      outbox.hot,
      HotHeader(
        epoch: epoch, sequence: position, lastDeltaSequence: 0, committedSequence: committed,
        copy: 1, isComplete: true, logTime: logTime, watermark: logTime - allowedDisorder,
        seams: seams)
    )
  }
}

/// One partition from the log to the stores: read, count, a hot copy every 40 ms, a commit of rows and
/// checkpoint every 250 ms, as the processor does it. One thread each.
struct YSBLoop {
  let workload: YSBWorkload
  let stream: StreamPartition
  let allowedDisorder: Int64
  let dedupes: Bool
  let log: JetStreamLog
  let views: PostgresViewStore
  let hot: RedisHotStore

  /// Until everything up to `last` is in both stores.
  ///
  /// - Returns: events, and seconds of processor time of this thread.
  func run(until last: UInt64) throws -> (events: Int, cpu: Double) {
    var pipeline = YSBPipeline(workload, allowedDisorder: allowedDisorder, dedupes: dedupes)
    let (epoch, _, _) = try views.claim(stream, owner: "bench")
    let reader = try log.reader(stream: stream.stream, after: 0)
    let started = CPUTime.thread()
    var committed: UInt64 = 0
    var position: UInt64 = 0
    var lastHot: Int64 = 0
    var lastCommit: Int64 = benchNow()
    var header: HotHeader?
    while true {
      for frame in try reader.next(timeoutMs: 100) where frame.sequence <= last {
        try pipeline.process(
          frame.bytes, sequence: frame.sequence, storedAt: frame.storedAt)
        position = frame.sequence
      }
      let now = benchNow()
      if now - lastHot >= 40_000 || position >= last {
        let (rows, next) = pipeline.drainHot(epoch: epoch, committed: committed)
        if let header {
          try hot.update(rows, stream: stream, previous: header, header: next, keepFrom: Seams())
        } else {
          try hot.rebuild(rows, stream: stream, header: next)
        }
        header = next
        lastHot = now
      }
      if now - lastCommit >= 250_000 || position >= last {
        let batch = pipeline.drainCommit()
        try views.commit(batch, stream: stream, epoch: epoch, previous: committed)
        committed = batch.checkpoint.sequence
        lastCommit = now
      }
      if position >= last { break }
    }
    return (pipeline.events, CPUTime.thread() - started)
  }
}
