import Dataflow
import Events
import Logging
import Ports
import Views

/// Owns one stream of one pipeline: reads its frames in order, runs the operators, and writes the
/// read models exactly once.
///
///     claim -> restore -> replay silently -> live: fetch, process, hot copy, commit, snapshot
///
/// Everything happens on one thread. While a store is away the loop waits with the batch in hand
/// and reads nothing further, so memory stays bounded and the log holds what is to come. It halts,
/// with an explanation, where going on could give a wrong number.
final class PartitionLoop {
  /// Everything that a loop uses and does not own.
  struct Environment {
    var log: any EventLog
    var views: any ViewStore
    var hot: any HotStore
    var snapshots: SnapshotArchive
    var heartbeats: HeartbeatWriter
    var siblings: LogTimes
    var parameters: RuntimeParameters
    var clock: LoopClock
    var metrics: LoopMetrics
    var logger: Logger
  }

  /// The loop ends: it was told to, or cannot go on.
  private enum Exit: Error {
    case stopped
    case halted(String)
  }

  private let spec: PipelineSpec
  private let stream: StreamPartition
  private let environment: Environment
  private let stop: StopFlag
  private let status: Shared<PartitionStatus>

  private let groups: Range<Int>
  private var pipeline: Pipeline
  private var epoch: Int64 = 0
  private var committed: Checkpoint
  /// Drained and not yet committed, because Postgres is away.
  private var uncommitted: CommitBatch?
  private var hotCopy: HotCopy
  private var lastCommit: Int64 = 0
  private var commitDuration: Int64 = 0
  private var lastCoarse: Int64 = 0
  private var lastSnapshot: Int64 = 0
  private var snapshotSequence: UInt64 = 0
  private var nextSnapshotGroup = 0
  private var lastHeartbeat: Int64 = 0

  init(
    spec: PipelineSpec, stream: StreamPartition, environment: Environment, stop: StopFlag,
    status: Shared<PartitionStatus>
  ) {
    self.spec = spec
    self.stream = stream
    self.environment = environment
    self.stop = stop
    self.status = status
    groups =
      stream.role != .events
      ? 0..<0
      : KeyGroup.groups(of: stream.partition, partitions: environment.siblings.partitions)
    pipeline = Pipeline(spec: spec, stream: stream, groups: groups)
    committed = Checkpoint()
    hotCopy = HotCopy(
      store: environment.hot, stream: stream, parameters: environment.parameters,
      clock: environment.clock, metrics: environment.metrics, logger: environment.logger)
  }

  /// Runs until it is stopped or halts. Called once, on the loop's own thread.
  func run() {
    do throws(Exit) {
      let reader = try openReader(after: try start())
      try replay(reader)
      set(.live, "")
      while true { try step(reader) }
    } catch {
      switch error {
      case .stopped:
        finish()
        set(.stopped, "")
      case .halted(let reason):
        environment.logger.critical("partition halted", metadata: ["reason": "\(reason)"])
        environment.metrics.halted()
        set(.halted, reason)
      }
    }
  }

  // MARK: Starting

  /// - Returns: the sequence after which to read.
  private func start() throws(Exit) -> UInt64 {
    let claim = try claimStream()
    epoch = claim.epoch
    committed = claim.checkpoint
    hotCopy.epoch = epoch
    environment.metrics.claimed(claim.accounting)
    try checkFingerprint()
    let snapshots = environment.snapshots.restore(notAfter: committed.sequence)
    let report: RestoreReport
    do throws(PipelineError) {
      report = try pipeline.restore(
        head: snapshots?.head, group: { snapshots?.groups[$0] }, committed: committed,
        accounting: claim.accounting)
    } catch {
      throw .halted("\(error)")
    }
    for finding in report.findings where committed.sequence > 0 {
      environment.logger.warning("snapshot incomplete", metadata: ["finding": "\(finding)"])
    }
    snapshotSequence = report.headSequence
    environment.logger.info(
      "partition taken over",
      metadata: [
        "epoch": "\(epoch)", "committed": "\(committed.sequence)",
        "replay_after": "\(report.replayAfter)",
      ])
    return report.replayAfter
  }

  private func claimStream() throws(Exit) -> (
    epoch: Int64, checkpoint: Checkpoint, accounting: Accounting
  ) {
    while true {
      do throws(ViewStoreError) {
        return try environment.views.claim(stream)
      } catch {
        try pauseOrHalt(error)
      }
    }
  }

  /// A log whose frame at the committed sequence is not the one that was committed went back in
  /// time: its sequences mean other events now, and counting on would be silently wrong.
  private func checkFingerprint() throws(Exit) {
    guard committed.sequence > 0 else { return }
    while true {
      do throws(LogError) {
        let bounds = try environment.log.bounds(stream: stream.stream)
        if bounds.last < committed.sequence {
          throw .wentBack(stream: stream.stream, wanted: committed.sequence, last: bounds.last)
        }
        if bounds.first > committed.sequence { return }
        let frame = try environment.log.frame(
          stream: stream.stream, sequence: committed.sequence)
        let stored = Checkpoint.Fingerprint(
          checksum: Self.checksum(frame.bytes), storedAt: frame.storedAt)
        guard stored == committed.fingerprint else {
          throw .wentBack(
            stream: stream.stream, wanted: committed.sequence, last: bounds.last)
        }
        return
      } catch {
        try pauseOrHalt(error)
      }
    }
  }

  private func openReader(after: UInt64) throws(Exit) -> any FrameReader {
    while true {
      do throws(LogError) {
        return try environment.log.reader(stream: stream.stream, after: after)
      } catch {
        try pauseOrHalt(error)
      }
    }
  }

  private func replay(_ reader: any FrameReader) throws(Exit) {
    guard pipeline.isSilent else { return }
    set(.replaying, "")
    while pipeline.isSilent {
      for frame in try fetch(reader, waitMs: 250) { try process(frame) }
      publishStatus(reader)
    }
  }

  // MARK: Live

  private func step(_ reader: any FrameReader) throws(Exit) {
    let now = environment.clock.monotonic()
    for frame in try fetch(reader, waitMs: waitMs(now)) {
      try process(frame)
      // A replay can end inside a batch; what follows it is live.
      if hotCopy.isDue(hasChanges: true) {
        hotCopy.update(&pipeline, committed: committed.sequence)
      }
      try commitIfDue()
    }
    if hotCopy.isDue(hasChanges: pipeline.position > hotCopy.sequence) {
      hotCopy.update(&pipeline, committed: committed.sequence)
    }
    try commitIfDue()
    beat()
    publishStatus(reader)
  }

  /// Under backlog commits fall due inside of batches, so that is where snapshots are taken too.
  private func commitIfDue() throws(Exit) {
    guard isCommitDue(environment.clock.monotonic()) else { return }
    try commit()
    takeSnapshot()
  }

  private func fetch(
    _ reader: any FrameReader, waitMs: Int
  ) throws(Exit) -> [any StoredFrame] {
    if stop.isSet { throw .stopped }
    do throws(LogError) {
      let frames = try reader.next(timeoutMs: waitMs)
      if status.current.phase == .waiting { set(pipeline.isSilent ? .replaying : .live, "") }
      return frames
    } catch {
      try pauseOrHalt(error)
      return []
    }
  }

  private func process(_ frame: any StoredFrame) throws(Exit) {
    environment.metrics.fetched(bytes: frame.bytes.count)
    let view: FrameView
    do throws(FrameError) {
      view = try FrameView(frame.bytes)
    } catch {
      environment.logger.error(
        "poison frame passed over",
        metadata: ["sequence": "\(frame.sequence)", "error": "\(error)"])
      environment.metrics.poisoned()
      do throws(PipelineError) {
        try pipeline.skip(
          sequence: frame.sequence, storedAt: frame.storedAt, checksum: Self.checksum(frame.bytes))
      } catch {
        throw .halted("\(error)")
      }
      return
    }
    do throws(PipelineError) {
      try pipeline.process(frame: view, sequence: frame.sequence, storedAt: frame.storedAt)
    } catch {
      throw .halted("\(error)")
    }
    if !pipeline.isSilent { hotCopy.stored(at: frame.storedAt) }
    environment.metrics.processed(events: view.count)
  }

  /// How long to wait for frames: until something of our own is due.
  private func waitMs(_ now: Int64) -> Int {
    var wait = environment.parameters.fetchWaitMsMax
    if pipeline.position > committed.sequence {
      wait = min(wait, Int((lastCommit + commitInterval - now) / 1000))
    }
    // Dead letters have no hot copy, whose sequence stays 0.
    if stream.role == .events && pipeline.position > hotCopy.sequence {
      wait = min(wait, hotCopy.waitMs)
    }
    return max(1, wait)
  }

  private var commitInterval: Int64 {
    let parameters = environment.parameters
    return min(
      Int64(parameters.commitIntervalMsMax) * 1000,
      max(Int64(parameters.commitIntervalMs) * 1000, commitDuration * Int64(parameters.sinkShare)))
  }

  private func isCommitDue(_ now: Int64) -> Bool {
    if pipeline.position > committed.sequence {
      return now - lastCommit >= commitInterval
        || pipeline.pendingCount > environment.parameters.pendingCountMax
    }
    // A stream that went quiet still owes the hour and day rows of its last frames.
    return committed.coarseSequence < committed.sequence && isCoarseDue(now)
  }

  private func isCoarseDue(_ now: Int64) -> Bool {
    now - lastCoarse >= Int64(environment.parameters.coarseIntervalMs) * 1000
  }

  private func commit() throws(Exit) {
    let started = environment.clock.monotonic()
    // What was drained and not committed goes first: corrections are handed out once.
    let batch = uncommitted ?? pipeline.drainCommit(includeCoarse: isCoarseDue(started))
    uncommitted = batch
    while true {
      do throws(ViewStoreError) {
        try environment.views.commit(
          batch, stream: stream, epoch: epoch, previous: committed.sequence)
        break
      } catch {
        environment.metrics.commitFailed()
        try pauseOrHalt(error)
      }
    }
    if status.current.phase == .waiting { set(.live, "") }
    uncommitted = nil
    committed = batch.checkpoint
    lastCommit = environment.clock.monotonic()
    commitDuration = lastCommit - started
    if committed.coarseSequence == committed.sequence { lastCoarse = started }
    environment.metrics.committed(batch, durationMicros: commitDuration)
  }

  // MARK: Heartbeats and snapshots

  /// Asks for a heartbeat where only the lack of frames keeps this partition's windows open.
  private func beat() {
    guard stream.role == .events, pipeline.logTime > .min else { return }
    let now = environment.clock.monotonic()
    guard now - lastHeartbeat >= Int64(environment.parameters.heartbeatIntervalMs) * 1000 else {
      return
    }
    environment.siblings.report(stream.partition, pipeline.logTime)
    let wall = environment.clock.wall()
    let timerIsDue = pipeline.earliestTimer.map {
      $0 + spec.allowedDisorder > pipeline.logTime && wall > $0 + spec.allowedDisorder
    }
    let isBehind =
      environment.siblings.latest - pipeline.logTime
      > Int64(environment.parameters.heartbeatIdleMs) * 1000
    if timerIsDue ?? false || isBehind {
      lastHeartbeat = now
      environment.heartbeats.write(stream)
    }
  }

  /// Only right after a commit, so that a snapshot is never ahead of the checkpoint.
  private func takeSnapshot(everything: Bool = false) {
    let now = environment.clock.monotonic()
    let interval = Int64(environment.parameters.snapshotIntervalMs) * 1000
    guard everything || now - lastSnapshot >= interval else { return }
    guard uncommitted == nil, pipeline.position == committed.sequence,
      pipeline.position > snapshotSequence, !environment.snapshots.isWriting
    else { return }
    lastSnapshot = now
    var sections: [(group: Int, bytes: [UInt8])] = []
    var byteCount = 0
    for _ in groups {
      if byteCount > environment.parameters.snapshotBytesMax && !everything { break }
      let group = groups.lowerBound + nextSnapshotGroup
      nextSnapshotGroup = (nextSnapshotGroup + 1) % groups.count
      let bytes = pipeline.snapshotGroup(group)
      byteCount += bytes.count
      sections.append((group, bytes))
    }
    sections.append((SnapshotFile.head, pipeline.snapshotHead()))
    snapshotSequence = pipeline.position
    let written = byteCount
    let metrics = environment.metrics
    let logger = environment.logger
    metrics.snapshotTaken(durationMicros: environment.clock.monotonic() - now)
    environment.snapshots.write(
      SnapshotFile(sequence: pipeline.position, sections: sections)
    ) { failure in
      guard let failure else { return metrics.snapshotWritten(bytes: written) }
      metrics.snapshotFailed()
      logger.error("snapshot not written", metadata: ["error": "\(failure)"])
    }
  }

  /// Commits what is processed, so that the next start has nothing to replay.
  private func finish() {
    guard epoch > 0, !pipeline.isSilent else { return }
    do throws(Exit) {
      if uncommitted != nil || pipeline.position > committed.sequence { try commit() }
      takeSnapshot(everything: true)
    } catch {
      environment.logger.warning(
        "last commit left to the next start", metadata: ["reason": "\(error)"])
    }
  }

  // MARK: Faults

  private func pauseOrHalt(_ error: ViewStoreError) throws(Exit) {
    switch error {
    case .unavailable(let reason): try pause("Postgres: \(reason)")
    case .fenced:
      throw .halted(
        "another process has taken over \(stream.stream) of pipeline \(spec.name); end one of them")
    case .otherPipeline(let stored, let declared):
      throw .halted(
        "the stored results of pipeline \(spec.name) version \(spec.version) were computed by another"
          + " declaration (\(String(stored, radix: 16)), now \(String(declared, radix: 16)));"
          + " raise `version` in Streams/pipelines.yaml to compute them anew")
    case .refused(let reason): throw .halted("Postgres refuses the rows: \(reason)")
    }
  }

  private func pauseOrHalt(_ error: LogError) throws(Exit) {
    switch error {
    case .unavailable(let reason): try pause("NATS: \(reason)")
    case .missing(let stream, let from, let to):
      throw .halted(
        "frames \(from) to \(to) of \(stream) are no longer in the log; restore the stream, or raise"
          + " the pipeline's `version` to compute anew from what is left")
    case .wentBack(let stream, let wanted, let last):
      throw .halted(
        "\(stream) went back in time: frame \(wanted) is committed, the log ends at \(last) or holds"
          + " another frame there; restore the log, or raise the pipeline's `version` to compute anew"
      )
    case .refused(let reason): throw .halted("NATS refuses: \(reason)")
    }
  }

  private func pause(_ reason: String) throws(Exit) {
    if status.current.phase != .waiting || status.current.detail != reason {
      environment.logger.warning("waiting", metadata: ["for": "\(reason)"])
      set(.waiting, reason)
    }
    environment.metrics.waited()
    if stop.wait(milliseconds: 250) { throw .stopped }
  }

  private func set(_ phase: PartitionStatus.Phase, _ detail: String) {
    status.update {
      $0.phase = phase
      $0.detail = detail
    }
  }

  private func publishStatus(_ reader: any FrameReader) {
    let lastKnown = reader.lastKnownSequence
    status.update {
      $0.sequence = pipeline.position
      $0.committed = committed.sequence
      $0.lastKnown = lastKnown
      $0.logTime = pipeline.logTime
      $0.watermark = pipeline.watermark
      $0.idCount = pipeline.idCount
      $0.rowCount = pipeline.rowCount
      $0.overflowedCount = pipeline.overflowedCount
    }
  }

  private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    bytes.count >= 8
      ? UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) : 0
  }
}
