import Dataflow
import Events
import Logging
import Ports
import Views

/// Owns one stream of one pipeline: reads its frames in order, runs the operators, and writes the
/// read models exactly once.
///
///     claiming -> checking -> opening -> reading: silent replay, then live
///                                        (fetch, process, hot copy, commit, snapshot)
///
/// A machine of steps on one thread: ``step()`` makes one attempt at what is next and never waits for
/// something that is away, so that whoever drives it decides how time passes. While a store is away
/// the loop keeps the batch in hand and reads nothing further: memory stays bounded and the log holds
/// what is to come. It halts, with an explanation, where going on could give a wrong number.
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

  /// What a step left to do.
  enum Step: Equatable {
    /// The next step can be made at once; it waits for frames itself.
    case again
    /// Something is away: the next attempt is due after so many milliseconds.
    case wait(milliseconds: Int)
    case ended(End)
  }

  /// Why a loop has ended for good.
  enum End: Equatable {
    case stopped
    case fenced
    case halted(String)
  }

  /// What the next step attempts.
  enum Stage {
    /// Taking the stream over; becomes `checking`.
    case claiming
    /// Comparing the log with the checkpoint; becomes `opening` once state is restored.
    case checking
    /// Opening the reader after that sequence; becomes `reading`.
    case opening(after: UInt64)
    /// Silent replay, then live, until the loop ends.
    case reading(any FrameReader)
  }

  let spec: PipelineSpec
  let stream: StreamPartition
  let environment: Environment
  let stop: StopFlag
  let status: Shared<PartitionStatus>

  let groups: Range<Int>
  var pipeline: Pipeline
  var stage = Stage.claiming
  var epoch: Int64 = 0
  var committed: Checkpoint
  /// The view store's accounting at the claim.
  var claimedAccounting = Accounting()
  /// Fetched and not yet processed, in order.
  var fetched: ArraySlice<any StoredFrame> = []
  /// Drained and not yet committed, because Postgres is away.
  var uncommitted: CommitBatch?
  var hotCopy: HotCopy
  var lastCommit: Int64 = 0
  var commitDuration: Int64 = 0
  var lastCoarse: Int64 = 0
  var lastSnapshot: Int64 = 0
  var snapshotSequence: UInt64 = 0
  var nextSnapshotGroup = 0
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

  // MARK: Steps

  /// Runs until it is stopped, fenced or halts. Called once, on the loop's own thread.
  func run() -> End {
    while true {
      switch step() {
      case .again: continue
      case .wait(let milliseconds): _ = stop.wait(milliseconds: milliseconds)
      case .ended(let end): return end
      }
    }
  }

  /// Makes one attempt at what is next. Not called again once it has answered `ended`.
  func step() -> Step {
    do throws(LoopExit) {
      if stop.isSet { throw .stopped }
      switch stage {
      case .claiming: try claim()
      case .checking: try checkAndRestore()
      case .opening(let after): try open(after: after)
      case .reading(let reader): try read(reader)
      }
      return .again
    } catch {
      switch error {
      case .waiting(let reason):
        noteWaiting(reason)
        return .wait(milliseconds: Self.retryIntervalMs)
      case .stopped:
        finish()
        set(.stopped, "")
        return .ended(.stopped)
      case .fenced:
        let reason =
          "another process has taken over \(stream.stream) of pipeline \(spec.name); end one of them"
        halt(reason)
        return .ended(.fenced)
      case .halted(let reason):
        halt(reason)
        return .ended(.halted(reason))
      }
    }
  }

  /// Time between two attempts at something that is away.
  static let retryIntervalMs = 250

  private func halt(_ reason: String) {
    environment.logger.critical("partition halted", metadata: ["reason": "\(reason)"])
    environment.metrics.halted()
    set(.halted, reason)
  }

  private func noteWaiting(_ reason: String) {
    if status.current.phase != .waiting || status.current.detail != reason {
      environment.logger.warning("waiting", metadata: ["for": "\(reason)"])
      set(.waiting, reason)
    }
    environment.metrics.waited()
  }

  func set(_ phase: PartitionStatus.Phase, _ detail: String) {
    status.update {
      $0.phase = phase
      $0.detail = detail
    }
  }

  /// Whatever was away is back.
  func noteReached() {
    if status.current.phase == .waiting { set(pipeline.isSilent ? .replaying : .live, "") }
  }

  // MARK: Reading

  private func read(_ reader: any FrameReader) throws(LoopExit) {
    if uncommitted != nil { try commitAndSnapshot() }
    if fetched.isEmpty {
      try fetch(reader, waitMs: waitMs(environment.clock.monotonic()))
    }
    while let frame = fetched.first {
      try process(frame)
      fetched.removeFirst()
      // A replay can end inside a batch; what follows it is live.
      if pipeline.isSilent { continue }
      if hotCopy.isDue(hasChanges: true) {
        hotCopy.update(&pipeline, committed: committed.sequence)
      }
      try commitIfDue()
    }
    if !pipeline.isSilent {
      if status.current.phase == .replaying { set(.live, "") }
      if hotCopy.isDue(hasChanges: pipeline.position > hotCopy.sequence) {
        hotCopy.update(&pipeline, committed: committed.sequence)
      }
      try commitIfDue()
      beat()
    }
    publishStatus(reader)
  }

  private func fetch(_ reader: any FrameReader, waitMs: Int) throws(LoopExit) {
    do throws(LogError) {
      fetched = try reader.next(timeoutMs: waitMs)[...]
    } catch {
      throw LoopExit(error)
    }
    noteReached()
  }

  private func process(_ frame: any StoredFrame) throws(LoopExit) {
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
        throw LoopExit(error)
      }
      return
    }
    do throws(PipelineError) {
      try pipeline.process(frame: view, sequence: frame.sequence, storedAt: frame.storedAt)
    } catch {
      throw LoopExit(error)
    }
    if !pipeline.isSilent { hotCopy.stored(at: frame.storedAt) }
    environment.metrics.processed(events: view.count)
  }

  /// How long to wait for frames: until something of our own is due.
  private func waitMs(_ now: Int64) -> Int {
    var wait = environment.parameters.fetchWaitMsMax
    if pipeline.isSilent { return wait }
    if pipeline.position > committed.sequence {
      wait = min(wait, Int((lastCommit + commitInterval - now) / 1000))
    }
    // Dead letters have no hot copy, whose sequence stays 0.
    if stream.role == .events && pipeline.position > hotCopy.sequence {
      wait = min(wait, hotCopy.waitMs)
    }
    return max(1, wait)
  }

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

  static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    bytes.count >= 8
      ? UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) : 0
  }
}
