public import Events
public import Operators
public import Views

/// The operators of one pipeline on one stream: deduplication, then windows.
///
/// A pure state machine, confined to the thread of its loop, which feeds it frames and takes drained
/// batches to the stores. It goes through two phases, told apart by sequence:
///
///     0 ────── restored ─────────────── committed ─────────────▶ log
///              │ silent replay:         │ live: everything
///              │ nothing is drained     │ is drained
///
/// Being restored without snapshots, all up to the committed sequence is silent replay.
///
/// The order of calls: ``restore(base:increments:committed:accounting:)`` (or none, for an empty read
/// model), then `process` or `skip` for each frame after ``position``. While ``isSilent`` nothing may
/// be drained. A drained commit must be committed before the next one is drained, and a snapshot is
/// used only where everything up to it has been committed: corrections are handed out once.
public struct Pipeline: ~Copyable {
  public let spec: PipelineSpec
  public let stream: StreamPartition
  /// The key groups whose ids are remembered here; none for dead letters.
  public let groups: Range<Int>
  let partitions: Int
  let pipelineHash: UInt64

  var deduplicator: Deduplicator
  var windows: WindowAggregator
  var verdicts = Verdicts()

  /// The last frame that was read.
  public internal(set) var position: UInt64 = 0
  /// Running maximum of stored times, microseconds since the epoch; `.min` before the first frame.
  public internal(set) var logTime = Int64.min
  /// The position of the last snapshot taken or restored: the next increment starts after it.
  public internal(set) var snapshotPosition: UInt64 = 0
  public internal(set) var accounting = Accounting()
  /// The checkpoint that the read model had at the start.
  var committed = Checkpoint()
  var committedAccounting = Accounting()
  var coarseSequence: UInt64 = 0
  /// Of the frame at ``position``.
  public internal(set) var fingerprint = Checkpoint.Fingerprint(checksum: 0, storedAt: 0)

  /// Its stream is sealed, and all that was open is closed.
  public internal(set) var hasEnded = false

  /// Of a first stage whose pipeline has a second.
  var emitter: PartialEmitter?
  /// What a first stage has made and its loop has not taken yet.
  var emitted: [PartialFrame] = []
  /// Of a second stage.
  var intake: PartialIntake?
  /// Of both stages: histories of anonymous persons in the first, of known ones in the second.
  var persons: PersonHistories?
  /// Of a second stage that counts exposures.
  var experiments: ExperimentWindows?
  /// Of a second stage.
  var trends: HoppingWindows?
  var earlyTrends = EarlyTrends()
  /// Of a second stage.
  var incidents: IncidentWatch?
  /// Of a first stage: log time of the last frame with events; decides only how long somebody asks for time to go on.
  var eventsAt = Int64.min
  /// Of a first stage: which anonymous persons are known.
  var links: IdentityLinks?
  var contributions = Contributions()

  /// - Parameters:
  ///   - groups: ``KeyGroup/groups(of:partitions:)``; all for partials, none for dead letters.
  ///   - partitions: of the stream's generation; only partitions of the events need it.
  public init(
    spec: PipelineSpec, stream: StreamPartition, groups: Range<Int>, partitions: Int = 1
  ) {
    self.spec = spec
    self.stream = stream
    self.groups = groups
    self.partitions = partitions
    pipelineHash = spec.hash
    deduplicator = Self.deduplicator(spec, groups)
    windows = Self.windows(spec, stream)
    makeStage()
  }

  static func deduplicator(_ spec: PipelineSpec, _ groups: Range<Int>) -> Deduplicator {
    Deduplicator(groups: groups, horizon: spec.dedupeHorizon, countMax: spec.dedupeCountMax)
  }

  /// What is too late does not get past the first stage.
  static func windows(_ spec: PipelineSpec, _ stream: StreamPartition) -> WindowAggregator {
    WindowAggregator(
      policy: WindowPolicy(
        allowedLateness: stream.role == .partials ? nil : spec.allowedLateness,
        windowGrace: spec.windowGrace,
        tupleCountMax: spec.tupleCountMax))
  }

  // MARK: Where it is

  /// True up to the sequence that was committed before the start.
  public var isSilent: Bool { position < committed.sequence }

  /// Log time minus the allowed disorder; `.min` before the first frame.
  public var watermark: Int64 { watermark(at: logTime) }

  public var seams: Seams {
    var seams = Seams()
    for level in WindowLevel.allCases { seams[level] = windows.seam(level) }
    return seams
  }

  /// The last frame that corrected an expired window; 0 for none.
  public var lastDeltaSequence: UInt64 { windows.lastCorrectionSequence }

  /// The next watermark at which windows become final or expire without further events; nil if there
  /// are none. Heartbeats are needed while it is not nil.
  public var earliestTimer: Int64? {
    let timers = [
      windows.earliestTimer, personTimer, experimentTimer, trendTimer, watchTimer, cohortTimer,
    ].compactMap { $0 }
    return timers.min()
  }

  /// Rows in state.
  public var rowCount: Int { windows.rowCount }
  /// Tuples with rows in state.
  public var tupleCount: Int { windows.tupleCount }
  /// Events that counted for `(other)`.
  public var overflowedCount: Int64 { windows.overflowed }
  /// Remembered event ids, of at most ``PipelineSpec/dedupeCountMax``.
  public var idCount: Int { deduplicator.count }

  /// Copies that were found since the last call, those of a silent replay left out.
  public mutating func takeCopies() -> CopyCounts { deduplicator.takeCopies() }
  /// Rows, corrections, late events, trends and incidents that are kept only until the next commit is drained; a
  /// loop commits early when they are many.
  public var pendingCount: Int {
    windows.pendingCount + pendingExperimentCount + pendingTrendCount + pendingIncidentCount
  }

  // MARK: Input

  /// Says whether somebody waits for single frames: then memory for more persons is taken without a stop, else sooner
  /// (``PersonHistories/growsGently``).
  public mutating func growGently(_ isGentle: Bool) { persons?.growsGently = isGentle }

  /// Takes a frame in.
  ///
  /// - Parameters:
  ///   - sequence: the frame's sequence in the stream.
  ///   - storedAt: when the log stored it, microseconds since the epoch.
  public mutating func process(
    frame: FrameView, sequence: UInt64, storedAt: Int64
  ) throws(PipelineError) {
    guard let rules = spec.bots, let judged = FrameJudgement.frame(frame, by: rules) else {
      return try process(frame, checksum: frame.checksum, sequence: sequence, storedAt: storedAt)
    }
    try judged.span.withUnsafeBytes { bytes throws(PipelineError) in
      let view: FrameView
      do throws(FrameError) {
        view = try FrameView(bytes)
      } catch {
        preconditionFailure("a frame that was just written cannot be read: \(error)")
      }
      try process(view, checksum: frame.checksum, sequence: sequence, storedAt: storedAt)
    }
  }

  /// - Parameter checksum: of the frame in the log.
  private mutating func process(
    _ frame: FrameView, checksum: UInt32, sequence: UInt64, storedAt: Int64
  ) throws(PipelineError) {
    // A copied frame has the time at which its original was stored, which is not after its own.
    let stored =
      frame.header.originalLogTime != 0 ? min(frame.header.originalLogTime, storedAt) : storedAt
    let moment = try self.moment(sequence: sequence, stored: stored)
    let holdsEvents = frame.header.kind == .events && frame.count > 0
    closeTick(before: moment)
    deduplicator.advance(to: moment)
    if holdsEvents {
      verdicts.reset(count: frame.count)
      // Before anything else is changed: a frame that is refused has left no trace but time.
      do throws(OperatorError) {
        try deduplicator.process(frame, at: moment, verdicts: &verdicts)
      } catch {
        throw .refused(sequence: sequence, error)
      }
    }
    windows.advance(to: moment)
    if holdsEvents {
      do throws(OperatorError) {
        try windows.process(frame, at: moment, verdicts: &verdicts)
      } catch {
        throw .refused(sequence: sequence, error)
      }
      if emitter != nil { handOn(frame, at: moment) }
    }
    if holdsEvents { eventsAt = moment.logTime }
    account(for: frame)
    fingerprint = Checkpoint.Fingerprint(checksum: checksum, storedAt: storedAt)
    try finish(moment)
  }

  /// Passes over a frame that cannot be read: only time moves, and in a second stage not even that,
  /// because its time is that of its sources.
  ///
  /// - Parameter checksum: what stands in its header, if it has one.
  public mutating func skip(
    sequence: UInt64, storedAt: Int64, checksum: UInt32 = 0
  ) throws(PipelineError) {
    if stream.role == .partials {
      try checkOrder(sequence)
      fingerprint = Checkpoint.Fingerprint(checksum: checksum, storedAt: storedAt)
      return try finish(moment(sequence: sequence, logTime: logTime))
    }
    let moment = try self.moment(sequence: sequence, stored: storedAt)
    deduplicator.advance(to: moment)
    closeTick(before: moment)
    windows.advance(to: moment)
    fingerprint = Checkpoint.Fingerprint(checksum: checksum, storedAt: storedAt)
    try finish(moment)
  }

  func moment(
    sequence: UInt64, stored: Int64
  ) throws(PipelineError) -> FrameMoment {
    try checkOrder(sequence)
    let time = max(logTime, TimeRange.clamp(stored))
    return FrameMoment(
      sequence: sequence, logTime: time, watermark: watermark(at: time),
      isSilent: sequence <= committed.sequence)
  }

  func checkOrder(_ sequence: UInt64) throws(PipelineError) {
    guard sequence > position else { throw .outOfOrder(sequence: sequence, position: position) }
    // Where frames were purged a step may lead past the committed sequence.
    if isSilent && sequence > committed.sequence { try checkReplay() }
  }

  func watermark(at logTime: Int64) -> Int64 {
    logTime == .min
      ? .min : logTime - min(max(0, spec.allowedDisorder), TimeRange.latest)
  }

  mutating func finish(_ moment: FrameMoment) throws(PipelineError) {
    position = moment.sequence
    logTime = moment.logTime
    if position == committed.sequence {
      try checkReplay()
      forgetCommitted()
      trends?.forgetCommitted()
    }
  }

  /// What the read model has of the state at ``position`` need not be written once more: rows of final
  /// windows, and those of open ones if they were written since the position.
  mutating func forgetCommitted() {
    guard position <= committed.sequence else { return }
    windows.forgetCommitted(includeCoarse: position <= committed.coarseSequence)
    experiments?.forgetCommitted(includeCoarse: position <= committed.coarseSequence)
  }

  /// What replay found must be what was committed.
  func checkReplay() throws(PipelineError) {
    guard accounting == committedAccounting else {
      throw .diverged(
        sequence: committed.sequence, committed: committedAccounting, replayed: accounting)
    }
  }

  private mutating func account(for frame: FrameView) {
    switch frame.header.kind {
    case .heartbeat, .partials: break  // A view of events is never of partials.
    case .deadLetters:
      accounting.received += Int64(frame.count)
      accounting.rejected += Int64(frame.count)
    case .events:
      if frame.count == 0 { return }
      let tally = verdicts.tally()
      accounting.received += Int64(frame.count)
      accounting.duplicate += Int64(tally.duplicate)
      accounting.onTime += Int64(tally.onTime)
      accounting.late += Int64(tally.late)
      accounting.tooLate += Int64(tally.tooLate)
      accounting.clampedFuture += Int64(verdicts.clampedFuture)
    }
  }

  // MARK: Output

  /// Rows whose counts changed since the last call, in key order: absolute values, open and final, and
  /// the last ones of windows that have expired since.
  public mutating func drainHot() -> [HotRow] {
    precondition(!isSilent, "nothing is drained during silent replay")
    var outbox = Outbox()
    windows.drain(.hot, into: &outbox)
    return outbox.hot
  }

  /// Every row in state, in key order, and those that have left it since the last commit was
  /// drained; the next ``drainHot()`` starts from here.
  public mutating func allHot() -> [HotRow] {
    precondition(!isSilent, "nothing is drained during silent replay")
    var outbox = Outbox()
    windows.drain(.hotComplete, into: &outbox)
    return outbox.hot
  }

  /// Says that a hot copy has everything up to ``position``: the next ``drainHot()`` starts from here.
  /// Allowed during silent replay.
  public mutating func forgetHotChanges() { windows.forgetHotChanges() }

  /// Everything that the next transaction must write, with its checkpoint at ``position``.
  ///
  /// The batch is handed out once: the caller keeps it until it is committed and neither processes
  /// nor takes snapshots meanwhile.
  ///
  /// - Parameter includeCoarse: also hour and day rows of open windows that have changed.
  public mutating func drainCommit(includeCoarse: Bool) -> CommitBatch {
    precondition(!isSilent, "nothing is drained during silent replay")
    var outbox = Outbox()
    windows.drain(.commit(includeCoarse: includeCoarse), into: &outbox)
    if includeCoarse { coarseSequence = position }
    var batch = CommitBatch()
    batch.dimensions = outbox.dimensions
    batch.rows = outbox.rows
    batch.deltas = outbox.deltas
    batch.lateEvents = outbox.lateEvents
    experiments?.drain(includeCoarse: includeCoarse, into: &batch)
    drainTrends(into: &batch)
    batch.orderDimensions()
    incidents?.drain(into: &batch.incidents)
    batch.measure = stream.role == .partials ? .outcomes : .activity
    batch.accounting = accounting
    batch.checkpoint.sources = sources
    batch.checkpoint.sequence = position
    batch.checkpoint.fingerprint = fingerprint
    batch.checkpoint.logTime = logTime
    batch.checkpoint.watermark = watermark
    batch.checkpoint.coarseSequence = coarseSequence
    batch.checkpoint.lastDeltaSequence = lastDeltaSequence
    batch.checkpoint.seams = hasEnded ? .finished : seams
    return batch
  }
}
