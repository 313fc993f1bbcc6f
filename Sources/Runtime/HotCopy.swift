import Dataflow
import Logging
import Ports
import Views

/// Keeps the hot copy of one partition in step with its operators' state.
///
/// The copy is a cache. Where it is lost, evicted or another state's, it is written anew from state;
/// while its store is away, rows simply stay marked as changed.
///
/// A new owner takes over what the one before it has left: a copy is what the operators' state is at
/// its sequence, so once the new owner has come to that frame, all that its copy lacks is what changes
/// afterwards. It is written anew only where it is behind all that can be restored, or of another log.
///
///     restored state      copy that was left            log
///     ──────┬───────────────────┬──────────────────────────▶
///           └ (silent) replay ──┘ taken over: only later changes are written
struct HotCopy: ~Copyable {
  var epoch: Int64 = 0
  /// Whether its loop works off a backlog.
  var isBehind = false
  /// The last sequence whose effects the copy has.
  private(set) var sequence: UInt64 = 0
  /// Whether an owner with a higher epoch writes the copy.
  private(set) var isFenced = false

  private let store: any HotStore
  private let stream: StreamPartition
  private let parameters: RuntimeParameters
  private let clock: LoopClock
  private let metrics: LoopMetrics
  private let logger: Logger
  private var last: HotHeader?
  /// The update whose answer was lost or that was refused; the next one finds out and repeats it, so
  /// that a store that was slow once need not be written anew.
  private var unsettled: (rows: [HotRow], header: HotHeader, keepFrom: Seams)?
  /// What another owner has left, until its sequence is reached.
  private var left: HotHeader?
  private var lastUpdate: Int64 = 0
  private var duration: Int64 = 0
  private var isAway: Bool { problem != nil }
  /// Since the copy was last written. The first may be that of a connection that died: another attempt
  /// is made at once.
  private var failureCount = 0
  /// Why the copy could not be written last; nil where it could.
  private(set) var problem: String?
  /// Whether its store has no room, until that takes something again.
  private(set) var isStoreFull = false
  /// Stored times of frames whose effects are not yet in the copy, for the freshness histogram.
  private var waiting: [Int64] = []

  /// More frames than this between two updates are a backlog; their freshness says nothing new.
  private static let waitingCountMax = 256

  init(
    store: any HotStore, stream: StreamPartition, parameters: RuntimeParameters, clock: LoopClock,
    metrics: LoopMetrics, logger: Logger
  ) {
    self.store = store
    self.stream = stream
    self.parameters = parameters
    self.clock = clock
    self.metrics = metrics
    self.logger = logger
  }

  /// Looks at what an earlier owner has left, before state is restored. A server that is busy is asked once
  /// more: writing the copy anew would keep it busy for longer.
  ///
  /// - Returns: the sequence of a copy that can be taken over by whoever starts at or before it.
  mutating func look() -> UInt64? {
    guard stream.role != .deadLetters else { return nil }
    for isLast in [false, true] {
      do throws(HotStoreError) {
        let header = try store.header(of: stream)
        left = header.flatMap { $0.isComplete && $0.sequence > 0 ? $0 : nil }
        return left?.sequence
      } catch {
        metrics.hotFailed()
        guard isLast else { continue }
        logger.warning("hot copy cannot be looked at", metadata: ["error": "\(error)"])
      }
    }
    return nil
  }

  /// Once state is restored.
  mutating func begin(_ pipeline: inout Pipeline) {
    if let header = left, header.sequence < pipeline.position { left = nil }
    takeOver(&pipeline)
  }

  /// After each frame: takes over what was left where its sequence is reached.
  @inline(__always)
  mutating func passed(_ pipeline: inout Pipeline) {
    if left != nil { takeOver(&pipeline) }
  }

  private mutating func takeOver(_ pipeline: inout Pipeline) {
    guard let header = left, pipeline.position >= header.sequence else { return }
    left = nil
    guard pipeline.position == header.sequence, pipeline.position > 0,
      pipeline.fingerprint == header.fingerprint
    else { return }
    pipeline.forgetHotChanges()
    last = header
    sequence = header.sequence
  }

  mutating func stored(at time: Int64) {
    if waiting.count < Self.waitingCountMax { waiting.append(time) }
  }

  private var interval: Int64 {
    if isAway {
      let milliseconds =
        failureCount > 1 ? parameters.hotIntervalMsMax : parameters.hotIntervalMs
      return Int64(milliseconds) * 1000
    }
    if isBehind { return Int64(parameters.hotIntervalMsMax) * 1000 }
    return min(
      Int64(parameters.hotIntervalMsMax) * 1000,
      max(Int64(parameters.hotIntervalMs) * 1000, duration * Int64(parameters.sinkShare)))
  }

  /// How long until the next update may be made.
  var waitMs: Int { max(0, Int((lastUpdate + interval - clock.monotonic()) / 1000)) }

  /// Without changes it is due now and then all the same: an update finds out whether its store has
  /// lost the copy, and nothing else would while no events come.
  func isDue(hasChanges: Bool) -> Bool {
    guard stream.role != .deadLetters, hasChanges || sequence > 0 else { return false }
    return clock.monotonic() - lastUpdate >= (hasChanges ? interval : Self.checkInterval)
  }

  /// A lost copy of a quiet stream is back after this time, microseconds.
  private static let checkInterval: Int64 = 500_000

  /// - Parameter logEnd: the last sequence of the stream that is known.
  mutating func update(_ pipeline: inout Pipeline, committed: UInt64, logEnd: UInt64) {
    let started = clock.monotonic()
    if let header = left {
      if header.sequence <= logEnd {
        lastUpdate = started
        return
      }
      // The copy is of frames that the log does not have.
      left = nil
    }
    var header = HotHeader(
      epoch: epoch, sequence: pipeline.position, lastDeltaSequence: pipeline.lastDeltaSequence,
      committedSequence: committed, copy: last?.copy ?? 0, isComplete: true,
      logTime: pipeline.logTime, watermark: pipeline.watermark, seams: pipeline.seams,
      sources: pipeline.sources, fingerprint: pipeline.fingerprint)
    do throws(HotStoreError) {
      try settle()
      let changed = pipeline.drainHot()
      if changed.count > store.updateRowCountMax { last = nil }
      if last != nil {
        unsettled = (changed, header, keepFrom(pipeline))
        try settle()
      }
      if last == nil { try rebuild(&pipeline, &header) }
      last = header
      sequence = header.sequence
      if isAway { logger.info("hot copy is back") }
      problem = nil
      failureCount = 0
      isStoreFull = false
    } catch {
      isFenced = error == .fenced
      failureCount += 1
      metrics.hotFailed()
      if !isAway { logger.warning("hot copy cannot be written", metadata: ["error": "\(error)"]) }
      problem = "\(error)"
      if case .full = error { isStoreFull = true }
    }
    lastUpdate = clock.monotonic()
    duration = lastUpdate - started
    guard !isAway else { return }
    metrics.hotUpdated(durationMicros: duration)
    let now = clock.wall()
    for time in waiting { metrics.fresh(micros: now - time) }
    waiting.removeAll(keepingCapacity: true)
  }

  /// What the seams were when the watermark was ``HotHeader/expiredKept`` earlier.
  private func keepFrom(_ pipeline: borrowing Pipeline) -> Seams {
    var keep = pipeline.seams
    let margin = pipeline.spec.windowGrace + HotHeader.expiredKept
    guard pipeline.watermark > .min + margin else { return keep }
    for level in WindowLevel.allCases {
      keep[level] = min(keep[level], level.start(of: pipeline.watermark - margin))
    }
    return keep
  }

  /// Carries out the update that is not known to be in the copy. Afterwards `last` is its header, or
  /// nil where the store has something else, which only a copy written anew gets right.
  private mutating func settle() throws(HotStoreError) {
    guard let update = unsettled, let previous = last else { return }
    do throws(HotStoreError) {
      try store.update(
        update.rows, stream: stream, previous: previous, header: update.header,
        keepFrom: update.keepFrom)
      last = update.header
    } catch .stale {
      // Its first attempt may have been carried out.
      last = try store.header(of: stream) == update.header ? update.header : nil
      if last == nil { logger.warning("hot copy is not what was written last: written anew") }
    }
    unsettled = nil
  }

  private mutating func rebuild(
    _ pipeline: inout Pipeline, _ header: inout HotHeader
  ) throws(HotStoreError) {
    let stored = try store.header(of: stream)
    header.copy = (stored?.copy ?? 0) + 1
    let began = clock.monotonic()
    let rows = pipeline.allHot()
    try store.rebuild(rows, stream: stream, header: header)
    metrics.hotRebuilt()
    logger.info(
      "hot copy written anew",
      metadata: ["rows": "\(rows.count)", "ms": "\((clock.monotonic() - began) / 1000)"])
  }
}
