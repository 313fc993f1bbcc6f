import Dataflow
import Logging
import Operators
import Ports
import Synchronization

/// Keeps the chain of snapshots of one stream of a pipeline: takes increments from the loop, writes
/// them, puts a new base in their place when they outweigh the last one, and finds the best chain
/// again at a start.
///
///     loop ──add──▶ waiting ──release: committed──▶ writer thread: increment-… files
///                   (bounded)                        compactor thread: base-… from a chain
///
/// An increment is written only once everything up to it has been committed. While too many bytes
/// wait, ``canTake`` is false: the loop takes no further increment and its changes go on accumulating
/// in the operators. Files are removed one base late: the chain before the newest base stays whole, so
/// that any one file may turn out to be corrupt.
final class SnapshotArchive: Sendable {
  /// What a partition can start from, checked against its checksums.
  struct Restored {
    var base: [UInt8]?
    var increments: [[UInt8]] = []
  }

  struct Waiting {
    var name: SnapshotName
    var bytes: [UInt8]
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
    var needsBase = false
    /// Stored snapshots and their sizes in bytes.
    var files: [SnapshotName: Int] = [:]
    var progress = SnapshotProgress()
  }

  /// Makes a base of a chain; nil where it cannot be read whole.
  typealias Compactor = @Sendable (Restored) throws(PipelineError) -> [UInt8]?

  let state = Mutex(State())
  let store: any SnapshotStore
  let compactor: Compactor
  let writing: SerialWorker
  let compacting: SerialWorker
  let parameters: RuntimeParameters
  let metrics: LoopMetrics
  let logger: Logger

  init(
    store: any SnapshotStore, compactor: @escaping Compactor, writing: SerialWorker,
    compacting: SerialWorker, parameters: RuntimeParameters, metrics: LoopMetrics, logger: Logger
  ) {
    self.store = store
    self.compactor = compactor
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

  /// True where what is stored does not lead up to the next increment, because files that it needs
  /// were found corrupt: only a snapshot of everything helps.
  var needsBase: Bool { state.withLock { $0.needsBase } }

  /// True while nothing is being written or compacted.
  var isIdle: Bool { state.withLock { !$0.isWriting && !$0.isCompacting } }

  var progress: SnapshotProgress { state.withLock { $0.progress } }

  /// Takes a snapshot over; it is written once ``release(upTo:)`` has passed it.
  ///
  /// - Parameter takenAt: microseconds since the epoch.
  func add(_ name: SnapshotName, _ bytes: [UInt8], takenAt: Int64) {
    state.withLock { state in
      if name.isBase { state.needsBase = false }
      state.waiting.append(Waiting(name: name, bytes: bytes, takenAt: takenAt))
      state.waitingByteCount += bytes.count
    }
  }

  /// Lets increments be written up to the committed sequence, those too that could not be written
  /// before. Never blocks.
  func release(upTo committed: UInt64) {
    let isDue = state.withLock { state in
      state.released = max(state.released, committed)
      guard !state.isWriting, let first = state.waiting.first, first.name.to <= state.released
      else { return false }
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
          return state.withLock { $0.isWriting = false }
        }
      }
      compactIfDue()
      let isDone = state.withLock { state in
        state.isWriting = state.waiting.first.map { $0.name.to <= state.released } ?? false
        return !state.isWriting
      }
      if isDone { return }
    }
  }

  /// What the next file is to hold: as many increments as are released, or one base.
  private func dueFile() -> [Waiting]? {
    state.withLock { state in
      let released = state.waiting.prefix { $0.name.to <= state.released }
      let increments = released.prefix { !$0.name.isBase }
      let due = increments.isEmpty ? released.prefix(1) : increments
      return due.isEmpty ? nil : Array(due)
    }
  }

  private func write(_ due: [Waiting]) throws(SnapshotError) {
    let last = due[due.count - 1]
    let name =
      last.name.isBase ? last.name : .increment(from: due[0].name.from, to: last.name.to)
    let bytes = due.count == 1 ? last.bytes : Array(due.map(\.bytes).joined())
    try store.write("\(name)", bytes)
    metrics.snapshotWritten(bytes: bytes.count)
    state.withLock { state in
      state.waiting.removeFirst(due.count)
      state.waitingByteCount -= bytes.count
      state.files[name] = bytes.count
      state.progress.sequence = name.to
      state.progress.takenAt = last.takenAt
      noteChain(&state)
    }
  }

  func noteChain(_ state: inout State) {
    let chain = SnapshotChain.best(of: state.files.keys)
    if chain.end < state.progress.sequence { state.needsBase = true }
    state.progress.fileCount = chain.names.count
    state.progress.byteCount = chain.names.reduce(0) { $0 + (state.files[$1] ?? 0) }
  }
}

/// How far snapshots have come.
struct SnapshotProgress: Sendable {
  /// The last frame in a written snapshot, and when that was taken, microseconds since the epoch; 0
  /// before the first.
  var sequence: UInt64 = 0
  var takenAt: Int64 = 0
  /// The files that a start would read, and their bytes.
  var fileCount = 0
  var byteCount = 0
}
