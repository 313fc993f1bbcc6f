import Dataflow
import Logging
import Operators
import Ports
import Synchronization
import Threads

/// Keeps the chain of snapshots of one stream of a pipeline: takes increments from the loop, writes
/// them, puts a new base in their place when they outweigh the last one, and finds the best chain
/// again at a start.
///
///     loop ──add──▶ waiting ──release: committed──▶ writer thread: increment-… files
///                   (bounded)                        compactor thread: base-… from a chain and the log
///
/// An increment is written only once everything up to it has been committed. While too many bytes
/// wait, ``canTake`` is false: the loop takes no further increment. Increments need not join: where the
/// loop has left changes out, or a file turned out to be corrupt, a base is made of what is stored
/// before and of the log between (``BaseMaker``). So the loop never writes all of its state. Files are
/// removed one base late: the chain before the newest base stays whole, so that any one file may turn
/// out to be corrupt. Only where the store has no room left is that chain given up for what is new.
final class SnapshotArchive: Sendable {
  /// What a partition can start from, checked against its checksums.
  struct Restored {
    var base: [UInt8]?
    var increments: [[UInt8]] = []
  }

  struct Waiting {
    var name: SnapshotName
    var bytes: [UInt8]
    var mark: PipelineMark
    var takenAt: Int64
  }

  struct State {
    /// In order; the first ones may be being written.
    var waiting: [Waiting] = []
    var waitingByteCount = 0
    /// Everything up to it has been committed.
    var released: UInt64 = 0
    var isWriting = false
    var isCompacting = false
    /// Only the loop can make a base: what else it would be made of is gone.
    var needsBase = false
    var isAbandoned = false
    var origin = BaseMaker.Origin.empty
    /// Where the file that was written last ends, or the changes that were left out last, and when that
    /// was.
    var last: (mark: PipelineMark, takenAt: Int64)?
    /// Changes up to it were left out; it waits to be released.
    var gap: (mark: PipelineMark, takenAt: Int64)?
    /// So many releases pass before a base is tried again that could not be made.
    var skipCount = 0
    var failureCount = 0
    /// Stored snapshots and their sizes in bytes.
    var files: [SnapshotName: Int] = [:]
    var progress = SnapshotProgress()
  }

  let state = Mutex(State())
  let store: any SnapshotStore
  let maker: BaseMaker
  let writing: SerialWorker
  let compacting: SerialWorker
  let parameters: RuntimeParameters
  let metrics: LoopMetrics
  let logger: Logger
  /// Snapshots by name that were read ahead of ``restore(notAfter:)``, and the thread that reads them.
  let ahead = Mutex<[String: [UInt8]]>([:])
  let readerAhead = Mutex<LoopThread?>(nil)

  init(
    store: any SnapshotStore, maker: BaseMaker, writing: SerialWorker,
    compacting: SerialWorker, parameters: RuntimeParameters, metrics: LoopMetrics, logger: Logger
  ) {
    self.store = store
    self.maker = maker
    self.writing = writing
    self.compacting = compacting
    self.parameters = parameters
    self.metrics = metrics
    self.logger = logger
  }

  // MARK: The loop's side

  /// False while too many bytes wait to be written.
  var canTake: Bool {
    state.withLock { $0.waitingByteCount < parameters.snapshotWaitingBytesMax }
  }

  /// True while too many bytes wait, and some of them only for a commit.
  var waitsForCommit: Bool {
    state.withLock { state in
      state.waitingByteCount >= parameters.snapshotWaitingBytesMax
        && state.waiting.last.map { $0.name.to > state.released } ?? false
    }
  }

  /// True where what is stored does not lead up to the next increment and neither does the log, because
  /// frames that it needs are gone: only a snapshot of everything, by the loop, helps.
  var needsBase: Bool { state.withLock { $0.needsBase } }

  /// True while nothing is being written or compacted.
  var isIdle: Bool { state.withLock { !$0.isWriting && !$0.isCompacting } }

  var progress: SnapshotProgress { state.withLock { $0.progress } }

  /// Takes a snapshot over; it is written once ``release(upTo:)`` has passed it.
  ///
  /// - Parameters:
  ///   - mark: of the pipeline when it was taken.
  ///   - takenAt: microseconds since the epoch.
  func add(_ name: SnapshotName, _ bytes: [UInt8], mark: PipelineMark, takenAt: Int64) {
    state.withLock { state in
      if name.isBase { state.needsBase = false }
      state.waiting.append(Waiting(name: name, bytes: bytes, mark: mark, takenAt: takenAt))
      state.waitingByteCount += bytes.count
    }
  }

  /// Notes that changes up to the mark are in no increment; the next one starts there.
  ///
  /// - Parameter takenAt: microseconds since the epoch.
  func leaveOut(upTo mark: PipelineMark, takenAt: Int64) {
    state.withLock { $0.gap = (mark, takenAt) }
  }

  /// Says what the stream's state was before its first frame, where that is not nothing.
  func begins(with origin: BaseMaker.Origin) { state.withLock { $0.origin = origin } }

  /// The loop has ended: what takes long is not finished.
  func abandon() {
    state.withLock { $0.isAbandoned = true }
    _ = takeAhead()
  }

  /// Lets increments be written up to the committed sequence, those too that could not be written
  /// before. Never blocks.
  func release(upTo committed: UInt64) {
    let isDue = state.withLock { state in
      state.released = max(state.released, committed)
      let isWaiting = state.waiting.first.map { $0.name.to <= state.released } ?? false
      let isGap = state.gap.map { $0.mark.sequence <= state.released } ?? false
      let isStuck = state.skipCount > 0
      guard !state.isWriting, isWaiting || isGap || isStuck else { return false }
      state.isWriting = true
      return true
    }
    guard isDue else { return }
    if !writing.submit({ [self] in writeReleased() }) {
      state.withLock { $0.isWriting = false }
    }
  }

  // MARK: The writer's side

  private func writeReleased() {
    while true {
      while let due = dueFile() {
        do throws(SnapshotError) {
          try write(due)
        } catch {
          metrics.snapshotFailed()
          logger.error("snapshot not written", metadata: ["error": "\(error)"])
          // The next release tries again.
          return state.withLock { state in
            state.progress.problem = "\(error)"
            if case .full = error { state.progress.isStoreFull = true }
            state.isWriting = false
          }
        }
      }
      state.withLock { state in
        guard let gap = state.gap, gap.mark.sequence <= state.released else { return }
        state.gap = nil
        if state.last.map({ $0.mark.sequence < gap.mark.sequence }) ?? true { state.last = gap }
      }
      compactIfDue()
      let isDone = state.withLock { state in
        state.isWriting = state.waiting.first.map { $0.name.to <= state.released } ?? false
        return !state.isWriting
      }
      if isDone { return }
    }
  }

  /// What the next file is to hold: as many increments as are released and join, or one base.
  private func dueFile() -> [Waiting]? {
    state.withLock { state in
      var due: [Waiting] = []
      for next in state.waiting {
        guard next.name.to <= state.released else { break }
        if let last = due.last,
          next.name.isBase || last.name.isBase || next.name.from != last.name.to
        {
          break
        }
        due.append(next)
      }
      return due.isEmpty ? nil : due
    }
  }

  private func write(_ due: [Waiting]) throws(SnapshotError) {
    let last = due[due.count - 1]
    let name =
      last.name.isBase ? last.name : .increment(from: due[0].name.from, to: last.name.to)
    let bytes = due.count == 1 ? last.bytes : Array(due.map(\.bytes).joined())
    try keep("\(name)", bytes)
    metrics.snapshotWritten(bytes: bytes.count)
    state.withLock { state in
      state.waiting.removeFirst(due.count)
      state.waitingByteCount -= bytes.count
      state.files[name] = bytes.count
      state.last = (last.mark, last.takenAt)
      state.progress.problem = nil
      state.progress.isStoreFull = false
      noteChain(&state)
    }
  }

  /// Writes a file, over what nobody needs where there is no room.
  func keep(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    do throws(SnapshotError) {
      try store.write(name, bytes)
    } catch {
      guard case .full = error, try makeRoom() else { throw error }
      try store.write(name, bytes)
    }
  }

  /// Removes what the best chain does without. What lies after its end is kept: a base may come to lead
  /// up to it.
  ///
  /// - Returns: false where there was nothing to remove.
  private func makeRoom() throws(SnapshotError) -> Bool {
    let spare = state.withLock { state in
      let chain = SnapshotChain.best(of: state.files.keys)
      let needed = Set(chain.names)
      let spare = state.files.keys.filter { $0.to <= chain.end && !needed.contains($0) }
      for name in spare { state.files[name] = nil }
      return spare.sorted()
    }
    if spare.isEmpty { return false }
    logger.warning(
      "no room for snapshots: older ones, kept in case that newer ones are damaged, are removed",
      metadata: ["count": "\(spare.count)"])
    for name in spare { try store.remove("\(name)") }
    return true
  }

  func noteChain(_ state: inout State) {
    let chain = SnapshotChain.best(of: state.files.keys)
    state.progress.sequence = chain.end
    if let last = state.last, chain.end >= last.mark.sequence {
      state.progress.takenAt = last.takenAt
    }
    state.progress.fileCount = chain.names.count
    state.progress.byteCount = chain.names.reduce(0) { $0 + (state.files[$1] ?? 0) }
  }
}

/// How far snapshots have come.
struct SnapshotProgress: Sendable {
  /// The last frame that a start would not read again, and when its snapshot was taken, microseconds
  /// since the epoch; 0 before the first.
  var sequence: UInt64 = 0
  var takenAt: Int64 = 0
  /// The files that a start would read, and their bytes.
  var fileCount = 0
  var byteCount = 0
  /// Why nothing can be written now; nil where it can.
  var problem: String?
  /// Whether there is no room for it, until something can be written again.
  var isStoreFull = false
}
