import Dataflow
import Ports
import Synchronization
import Testing
import Views

/// A window of a tuple, with the tuple written out.
struct RowKey: Hashable {
  var level: WindowLevel
  var start: Int64
  var tuple: [UInt8]

  var end: Int64 { start + level.length }
}

struct RowValue: Hashable {
  var counts = Counts()
  var revision: Int32 = 0
}

/// Durable rows in memory: transactions with the compare-and-set of checkpoint and epoch, and a
/// script of what becomes of the next ones.
final class MemoryViewStore: ViewStore, Sendable {
  /// What becomes of a commit.
  enum Outcome {
    case done
    case unavailable
    case full
    /// As `unavailable`, and the loop is asked to end meanwhile.
    case unavailableAndStop
    /// The power is cut before anything is written.
    case crashBefore
    /// The power is cut after everything is written.
    case crashAfter
  }

  struct State {
    var epoch: Int64 = 0
    /// An owner whose lease runs, so that nobody else may claim.
    var holder: String?
    var checkpoint = Checkpoint()
    var accounting = Accounting()
    var rows: [RowKey: RowValue] = [:]
    var late: [LateEvent] = []
    var tuples: [Int64: [UInt8]] = [:]
    /// Every batch that was offered, and whether it was written.
    var offered: [(batch: CommitBatch, isWritten: Bool)] = []
    /// What becomes of the next commits; those after the last are done.
    var script: [Outcome] = []
    /// Called before each commit, on the loop's thread.
    var turn: (@Sendable () -> Void)?
  }

  private let state = Mutex(State())
  private let power: PowerSwitch

  init(power: PowerSwitch) { self.power = power }

  var now: State { state.withLock { $0 } }

  func change(_ change: (inout sending State) -> Void) { state.withLock { change(&$0) } }

  func claim(
    _ stream: StreamPartition, owner: String
  ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting) {
    let holder = state.withLock { $0.holder }
    if let holder, holder != owner { throw .held(stream: stream.stream, by: holder) }
    return state.withLock { state in
      state.epoch += 1
      return (state.epoch, state.checkpoint, state.accounting)
    }
  }

  func committed(
    _ stream: StreamPartition
  ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting) {
    state.withLock { ($0.checkpoint, $0.accounting) }
  }

  func commit(
    _ batch: CommitBatch, stream: StreamPartition, epoch: Int64, previous: UInt64
  ) throws(ViewStoreError) {
    state.withLock { $0.turn }?()
    if power.isOff { throw .unavailable("the power is off") }
    let failure: ViewStoreError? = state.withLock { state in
      let outcome = state.script.isEmpty ? .done : state.script.removeFirst()
      state.offered.append((batch, false))
      switch outcome {
      case .unavailableAndStop: power.askToStop()
      case .crashBefore: power.cut()
      case .full: return .full("no space left on device")
      case .done, .crashAfter, .unavailable: break
      }
      guard outcome == .done || outcome == .crashAfter else {
        return .unavailable("as the script says")
      }
      guard epoch == state.epoch, previous == state.checkpoint.sequence else {
        return .fenced(stream: stream.stream)
      }
      Self.write(batch, &state)
      state.offered[state.offered.count - 1].isWritten = true
      if outcome == .crashAfter { power.cut() }
      return nil
    }
    if let failure { throw failure }
  }

  private static func write(_ batch: CommitBatch, _ state: inout State) {
    #expect(batch.accounting.isConserved)
    #expect(batch.checkpoint.sequence >= state.checkpoint.sequence)
    for entry in batch.dimensions { state.tuples[entry.id] = entry.encoded }
    for row in batch.rows {
      #expect(row.start >= state.checkpoint.seams[row.level], "row of an expired window")
      state.rows[key(row, state)] = RowValue(counts: row.counts, revision: row.revision)
    }
    for delta in batch.deltas {
      #expect(delta.start < batch.checkpoint.seams[delta.level], "correction of a live window")
      state.rows[key(delta, state), default: RowValue()].counts += delta.counts
      state.rows[key(delta, state), default: RowValue()].revision += delta.revision
    }
    state.late += batch.lateEvents
    state.accounting = batch.accounting
    state.checkpoint = batch.checkpoint
  }

  private static func key(_ row: WindowRow, _ state: State) -> RowKey {
    let tuple = state.tuples[row.dimensionID]
    #expect(tuple != nil, "a row's tuple was never written")
    return RowKey(level: row.level, start: row.start, tuple: tuple ?? [])
  }
}
