import Dataflow
import Events
import Logging
import Operators
import Ports
import Threads
import Views

/// Owns one stream of one pipeline: reads its frames in order, runs the operators, and writes the
/// read models exactly once.
///
///     claiming -> checking ------------> opening -> reading: silent replay, then live
///                    \\-> inheriting -/              (fetch, process, hot copy, commit, snapshot)
///
/// A machine of steps on one thread: ``step()`` makes one attempt at what is next and never waits for
/// something that is away, so that whoever drives it decides how time passes. While a store is away
/// the loop keeps the batch in hand and reads nothing further: memory stays bounded and the log holds
/// what is to come. It halts, with an explanation, where going on could give a wrong number.
final class PartitionLoop {
  /// Everything that a loop uses and does not own.
  struct Environment {
    /// Id of this process, in whose name the stream is claimed.
    var owner: String
    var log: any EventLog
    var views: any ViewStore
    var hot: any HotStore
    var snapshots: SnapshotArchive
    /// For the partials of a first stage; nil where the pipeline has no second.
    var partials: (any FramePublisher)?
    /// Nil where another pipeline's loop writes the letters, or none.
    var poison: PoisonWriter?
    /// Of a second stage: makes partials again that are lost; nil where nobody does.
    var remaker: PartialRemaker?
    var heartbeats: any HeartbeatSink
    var siblings: LogTimes
    var generations = GenerationBoard()
    /// Of streams of earlier generations.
    var earlierSnapshots: Inheritance.Snapshots = { _, _ in (nil, []) }
    var parameters: RuntimeParameters
    var clock: LoopClock
    var metrics: LoopMetrics
    var logger: Logger
  }

  /// What a step left to do.
  enum Step: Equatable {
    /// The next step can be made at once; it waits for frames itself.
    case again
    /// Nothing is gained by the next step before so many milliseconds have passed.
    case rest(milliseconds: Int)
    /// Something is away: the next attempt is due after so many milliseconds.
    case wait(milliseconds: Int)
    case ended(End)
  }

  /// Why a loop has ended for good.
  enum End: Equatable {
    case stopped
    /// The stream is sealed and everything in it is committed; nobody needs to read it again.
    case finished
    /// Another process owns the stream; what was not committed is that one's work.
    case fenced
    case halted(String)
  }

  /// What the next step attempts.
  enum Stage {
    /// Taking the stream over; becomes `checking`.
    case claiming
    /// Comparing the log with the checkpoint; becomes `opening` once state is restored, or `inheriting`
    /// at the beginning of a generation that is not the first.
    case checking
    /// Taking over persons of the generation before; becomes `opening`.
    case inheriting(Inheritance)
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
  /// What the first stage has handed on and is not yet durable.
  var sender: PartialSender?
  var hotCopy: HotCopy
  /// Whether a backlog is worked off.
  private(set) var isBehind = false
  var lastCommit: Int64 = 0
  var commitDuration: Int64 = 0
  var lastCoarse: Int64 = 0
  var lastSnapshot: Int64 = 0
  var lastRelease: Int64 = 0
  /// State holds what earlier streams knew, which no increment from frame 0 on has.
  var hasInherited = false
  /// What state was taken over from, until all of it is.
  var inherited: [[UInt8]] = []
  /// When the stream became this loop's.
  var claimedAt: Int64 = 0
  /// When silent replay began; nil once the loop is live.
  var replayStarted: Int64?
  /// Of a second stage: partials that others wait for, since when, and when they were last asked for.
  var missing: (partials: PartialIntake.Missing, since: Int64, askedAt: Int64?)?
  private var lastHeartbeat: Int64 = 0
  private var times = LoopTimes()
  let startedAt: Int64

  init(
    spec: PipelineSpec, stream: StreamPartition, environment: Environment, stop: StopFlag,
    status: Shared<PartitionStatus>
  ) {
    self.spec = spec
    self.stream = stream
    self.environment = environment
    self.stop = stop
    self.status = status
    startedAt = environment.clock.monotonic()
    let partitions =
      environment.generations.generation(stream.generation)?.partitions
      ?? environment.siblings.partitions
    groups = Self.groups(stream, partitions: partitions)
    pipeline = Pipeline(spec: spec, stream: stream, groups: groups, partitions: partitions)
    if stream.role == .events, let publisher = environment.partials {
      sender = PartialSender(
        publisher: publisher, stream: spec.partialsStream, metrics: environment.metrics)
    }
    committed = Checkpoint()
    hotCopy = HotCopy(
      store: environment.hot, stream: stream, parameters: environment.parameters,
      clock: environment.clock, metrics: environment.metrics, logger: environment.logger)
  }

  static func groups(_ stream: StreamPartition, partitions: Int) -> Range<Int> {
    switch stream.role {
    case .events: KeyGroup.groups(of: stream.partition, partitions: partitions)
    case .deadLetters: 0..<0
    case .partials: 0..<KeyGroup.count
    }
  }

  /// For what is logged about how long a take-over takes.
  var sinceStartMs: Int64 { (environment.clock.monotonic() - startedAt) / 1000 }

  // MARK: Steps

  /// Runs until it is stopped, fenced or halts. Called once, on the loop's own thread.
  func run() -> End {
    while true {
      switch step() {
      case .again: continue
      case .rest(let milliseconds): times.idle += pause(milliseconds)
      case .wait(let milliseconds):
        times.away += pause(milliseconds)
        publishTimes()
      case .ended(let end): return end
      }
    }
  }

  /// - Returns: how long it was, microseconds; less than asked for where the loop is to stop.
  private func pause(_ milliseconds: Int) -> Int64 {
    let began = environment.clock.monotonic()
    _ = stop.wait(milliseconds: milliseconds)
    return environment.clock.monotonic() - began
  }

  /// Makes one attempt at what is next. Not called again once it has answered `ended`.
  func step() -> Step {
    do throws(LoopExit) {
      if stop.isSet { throw .stopped }
      switch stage {
      case .claiming: try claim()
      case .checking: try checkAndRestore()
      case .inheriting(let inheritance): try inherit(inheritance)
      case .opening(let after): try open(after: after)
      case .reading(let reader): return try read(reader)
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
      case .finished:
        environment.logger.notice("stream has ended and is committed to its end")
        set(.stopped, "the stream has ended")
        return .ended(.finished)
      case .fenced:
        set(.stopped, "another process owns the stream")
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

  /// Remembers that a store has no room, until it has taken something again.
  func note(_ store: WrittenStore, isFull: Bool) {
    guard isFull != status.current.fullStores.contains(store) else { return }
    status.update { status in
      if isFull { status.fullStores.insert(store) } else { status.fullStores.remove(store) }
    }
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

  private func read(_ reader: any FrameReader) throws(LoopExit) -> Step {
    if uncommitted != nil { try commit() }
    if fetched.isEmpty {
      sender?.poll(timeoutMs: 0)
      try fetch(reader, waitMs: waitMs(environment.clock.monotonic()))
    }
    let frameCount = fetched.count
    isBehind = reader.lastKnownSequence >= pipeline.position + Self.backlogFrames
    hotCopy.isBehind = isBehind
    // A backlog is done sooner without.
    pipeline.growGently(!pipeline.isSilent && !isBehind)
    while let frame = fetched.first {
      try makeRoomForPartials()
      try process(frame)
      fetched.removeFirst()
      takeSnapshotIfDue()
      // A replay can end inside a batch; what follows it is live.
      if pipeline.isSilent { continue }
      if replayStarted != nil { goLive() }
      if hotCopy.isDue(hasChanges: true) { try updateHotCopy(reader) }
      try timedCommit()
    }
    if !pipeline.isSilent {
      if replayStarted != nil { goLive() }
      if hotCopy.isDue(hasChanges: pipeline.position > hotCopy.sequence) {
        try updateHotCopy(reader)
      }
      try timedCommit()
      takeSnapshotIfDue()
      releaseIfQuiet()
      beat(reader)
    }
    try finishAtEnd()
    publishStatus(reader)
    let rest = frameCount > 0 ? restMs(reader) : 0
    return rest > 0 ? .rest(milliseconds: rest) : .again
  }

  /// Between two updates of the hot copy nobody sees what the loop reads. Where it has read all that there is, frames
  /// gather until the next update is due, or something else that is visible: the loop would be woken for each one
  /// otherwise, which takes longer than counting what a small one has.
  private func restMs(_ reader: any FrameReader) -> Int {
    guard !pipeline.isSilent, stream.role != .deadLetters,
      reader.lastKnownSequence <= pipeline.position
    else { return 0 }
    var rest = min(hotCopy.waitMs, waitMs(environment.clock.monotonic()))
    // The first frame past it hands on what is held for the second stage.
    if let end = pipeline.tickEnd {
      rest = min(rest, Int((end - environment.clock.wall()) / 1000) + 1)
    }
    return rest < Self.restMsMin ? 0 : rest
  }

  /// So many frames that are known and not read are a backlog: nobody waits for single ones of it, and what is
  /// written of it is soon written over.
  private static let backlogFrames: UInt64 = 1024

  /// A shorter rest saves nothing.
  private static let restMsMin = 5

  private func timedCommit() throws(LoopExit) {
    let began = environment.clock.monotonic()
    defer { times.stores += environment.clock.monotonic() - began }
    try commitIfDue()
  }

  func updateHotCopy(_ reader: any FrameReader) throws(LoopExit) {
    let began = environment.clock.monotonic()
    hotCopy.update(
      &pipeline, committed: committed.sequence, logEnd: reader.lastKnownSequence)
    times.stores += environment.clock.monotonic() - began
    if hotCopy.isFenced { throw .fenced }
  }

  private func fetch(_ reader: any FrameReader, waitMs: Int) throws(LoopExit) {
    let began = environment.clock.monotonic()
    defer { times.idle += environment.clock.monotonic() - began }
    do throws(LogError) {
      fetched = try reader.next(timeoutMs: waitMs)[...]
    } catch {
      throw LoopExit(error, spec)
    }
    noteReached()
  }

  private func process(_ frame: any StoredFrame) throws(LoopExit) {
    environment.metrics.fetched(bytes: frame.bytes.count)
    let content = FrameContent(frame, of: stream.role)
    switch content {
    case .events(let view): environment.metrics.processed(events: view.count)
    case .partials(let view): environment.metrics.processed(events: view.recordCount)
    case .poison(let error): try bury(frame, error)
    }
    do throws(PipelineError) {
      try pipeline.process(content, of: frame)
      environment.metrics.found(pipeline.takeCopies())
    } catch {
      throw LoopExit(error, spec)
    }
    sender?.send(pipeline.takeEmitted())
    hotCopy.passed(&pipeline)
    if !pipeline.isSilent { hotCopy.stored(at: frame.storedAt) }
  }

  /// A frame that cannot be read goes to the dead letters before it is passed over.
  private func bury(_ frame: any StoredFrame, _ error: FrameError) throws(LoopExit) {
    if frame.sequence > committed.sequence, let poison = environment.poison {
      do throws(LogError) {
        try poison.write(frame, of: stream, error)
      } catch {
        throw LoopExit(error, spec)
      }
    }
    environment.logger.error(
      "poison frame passed over",
      metadata: ["sequence": "\(frame.sequence)", "error": "\(error)"])
    environment.metrics.poisoned()
  }

  /// How long to wait for frames: until something of our own is due.
  private func waitMs(_ now: Int64) -> Int {
    var wait = environment.parameters.fetchWaitMsMax
    if pipeline.isSilent { return wait }
    if pipeline.position > committed.sequence {
      wait = min(wait, Int((lastCommit + commitInterval - now) / 1000))
    }
    // Dead letters have no hot copy, whose sequence stays 0.
    if stream.role != .deadLetters && pipeline.position > hotCopy.sequence {
      wait = min(wait, hotCopy.waitMs)
    }
    if let end = pipeline.tickEnd {
      wait = min(wait, Int((end + Self.tickGrace - environment.clock.wall()) / 1000))
    }
    return max(1, wait)
  }

  /// What is held for the second stage goes out after this time without a frame, microseconds past
  /// the end of its tick, and so does word of events that have nothing for it, which queries may wait
  /// for; a heartbeat is asked for no more often.
  private static let tickGrace: Int64 = 50_000

  /// Asks for a heartbeat where only the lack of frames keeps windows or a tick of this partition open.
  private func beat(_ reader: any FrameReader) {
    guard stream.role == .events else { return }
    let now = environment.clock.monotonic()
    guard pipeline.logTime > .min else { return beatUnheard(now) }
    environment.siblings.report(stream.partition, pipeline.logTime)
    let sinceLast = now - lastHeartbeat
    let wall = environment.clock.wall()
    if let end = pipeline.tickEnd, wall > end + Self.tickGrace, sinceLast >= Self.tickGrace,
      reader.lastKnownSequence <= pipeline.position
    {
      return writeHeartbeat(now)
    }
    guard sinceLast >= Int64(environment.parameters.heartbeatIntervalMs) * 1000 else { return }
    let timerIsDue = pipeline.earliestTimer.map {
      $0 + spec.allowedDisorder > pipeline.logTime && wall > $0 + spec.allowedDisorder
    }
    let idleMs =
      spec.hasSecondStage
      ? environment.parameters.stageHeartbeatIdleMs : environment.parameters.heartbeatIdleMs
    let isBehind = environment.siblings.latest - pipeline.logTime > Int64(idleMs) * 1000
    if timerIsDue ?? false || isBehind { writeHeartbeat(now) }
  }

  /// A partition that never had a frame holds nothing open, but the time of the second stage stands
  /// still until every partition has told its own.
  private func beatUnheard(_ now: Int64) {
    let interval = Int64(environment.parameters.heartbeatIntervalMs) * 1000
    guard spec.hasSecondStage, environment.siblings.latest > .min, now - lastHeartbeat >= interval
    else { return }
    writeHeartbeat(now)
  }

  private func writeHeartbeat(_ now: Int64) {
    lastHeartbeat = now
    environment.heartbeats.write(stream)
  }

  /// Reads nothing further while too much of what was handed on is not durable.
  private func makeRoomForPartials() throws(LoopExit) {
    guard sender?.isFull ?? false else { return }
    sender?.poll(timeoutMs: Self.retryIntervalMs)
    if sender?.isFull ?? false { throw .waiting(partialsReason) }
  }

  var partialsReason: String {
    "NATS: \(spec.partialsStream) does not take what is handed on: "
      + (sender?.failure ?? "no answer yet")
  }

  private func publishTimes() {
    times.whole = environment.clock.monotonic() - startedAt
    status.update { $0.times = times }
  }

  private func publishStatus(_ reader: any FrameReader) {
    publishTimes()
    watchPartials()
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
      $0.snapshots = environment.snapshots.progress
      $0.stateSizes = pipeline.stateSizes
      $0.limitCounts = pipeline.limitCounts
      $0.hotProblem = hotCopy.problem
      $0.waitingPartialCount = missing?.partials.waitingCount ?? 0
      $0.partialsProblem = partialsProblem
    }
    note(.redis, isFull: hotCopy.isStoreFull)
    note(.snapshots, isFull: environment.snapshots.progress.isStoreFull)
  }

  static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    bytes.count >= 8
      ? UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) : 0
  }
}
