import Ports
import Synchronization

/// One stream in memory. Its readers never block: where there is nothing to read, the wait passes
/// on the virtual clock.
final class MemoryLog: EventLog {
  private struct State {
    var entries: [LogEntry] = []
    var batchCountMax = 4
    var waits: [Int] = []
    /// The first frame that has not been purged.
    var first: UInt64 = 1
    /// New readers cannot be opened.
    var givesNothing = false
    var turn: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())
  private let clock: VirtualClock

  init(clock: VirtualClock) { self.clock = clock }

  var entries: [LogEntry] {
    get { state.withLock { $0.entries } }
    set { state.withLock { $0.entries = newValue } }
  }

  var count: UInt64 { UInt64(state.withLock { $0.entries.count }) }

  func append(_ entry: LogEntry) { state.withLock { $0.entries.append(entry) } }

  /// The most frames that a reader hands out at once.
  func setBatchCountMax(_ count: Int) { state.withLock { $0.batchCountMax = count } }

  /// Frames before it are gone.
  func purge(before first: UInt64) { state.withLock { $0.first = first } }

  /// Whoever opens a reader is told that the log cannot be reached; those that are open go on.
  func setGivesNothing(_ givesNothing: Bool) { state.withLock { $0.givesNothing = givesNothing } }

  /// Called before each batch, on the reader's thread.
  func onTurn(_ turn: (@Sendable () -> Void)?) { state.withLock { $0.turn = turn } }

  /// How long readers were willing to wait since the last call, milliseconds, where nothing came.
  func takeWaits() -> [Int] {
    state.withLock { state in
      defer { state.waits = [] }
      return state.waits
    }
  }

  func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    if state.withLock({ $0.givesNothing }) { throw .unavailable("as the script says") }
    return MemoryReader(log: self, position: after)
  }

  func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    guard sequence >= 1, sequence <= count else {
      throw .missing(stream: stream, from: sequence, to: sequence)
    }
    return MemoryFrame(entries[Int(sequence) - 1], sequence: sequence)
  }

  func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    (state.withLock { $0.first }, count)
  }

  fileprivate func next(
    after position: UInt64, timeoutMs: Int
  ) throws(LogError) -> [MemoryFrame] {
    state.withLock { $0.turn }?()
    let first = state.withLock { $0.first }
    if position + 1 < first {
      throw .missing(stream: "the log", from: position + 1, to: first - 1)
    }
    let frames = state.withLock { state in
      let from = min(Int(position), state.entries.count)
      let to = min(state.entries.count, from + state.batchCountMax)
      if from == to { state.waits.append(timeoutMs) }
      return (from..<to).map { MemoryFrame(state.entries[$0], sequence: UInt64($0 + 1)) }
    }
    if frames.isEmpty { clock.advance(micros: Int64(timeoutMs) * 1000) }
    return frames
  }
}

/// Reads a ``MemoryLog`` in order.
private final class MemoryReader: FrameReader {
  private let log: MemoryLog
  private var position: UInt64

  init(log: MemoryLog, position: UInt64) {
    self.log = log
    self.position = position
  }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    let frames = try log.next(after: position, timeoutMs: timeoutMs)
    position = frames.last?.sequence ?? position
    return frames
  }

  var lastKnownSequence: UInt64 { log.count }
}

final class MemoryFrame: StoredFrame {
  let sequence: UInt64
  let storedAt: Int64
  private let memory: UnsafeMutableRawBufferPointer

  convenience init(_ entry: LogEntry, sequence: UInt64) {
    self.init(bytes: entry.bytes, storedAt: entry.storedAt, sequence: sequence)
  }

  init(bytes: [UInt8], storedAt: Int64, sequence: UInt64) {
    self.sequence = sequence
    self.storedAt = storedAt
    memory = .allocate(byteCount: bytes.count, alignment: 8)
    memory.copyBytes(from: bytes)
  }

  deinit { memory.deallocate() }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
