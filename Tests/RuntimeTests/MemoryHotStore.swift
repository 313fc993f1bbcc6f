import Dataflow
import Ports
import Synchronization
import Views

/// A hot copy in memory that can go away and that can lose what it holds.
final class MemoryHotStore: HotStore, Sendable {
  struct State {
    var header: HotHeader?
    var rows: [RowKey: RowValue] = [:]
    var isAway = false
    /// Updates are carried out, and their answers are lost.
    var isMute = false
    var isFull = false
    /// So many of the next requests are not answered in time.
    var unansweredCount = 0
    /// Passes while an update is carried out.
    var slowness: (@Sendable () -> Void)?
    var updateCount = 0
    var failureCount = 0
    var rebuildCount = 0
  }

  private let state = Mutex(State())
  private let power: PowerSwitch

  init(power: PowerSwitch) { self.power = power }

  var now: State { state.withLock { $0 } }

  func change(_ change: (inout sending State) -> Void) { state.withLock { change(&$0) } }

  private func access<T>(
    _ body: (inout State) -> Result<T, HotStoreError>
  ) throws(HotStoreError) -> T {
    let result: Result<T, HotStoreError> = state.withLock { state in
      if state.isAway || power.isOff || state.unansweredCount > 0 {
        state.unansweredCount = max(0, state.unansweredCount - 1)
        state.failureCount += 1
        return .failure(.unavailable("as the script says"))
      }
      return state.isFull ? .failure(.full("no memory left")) : body(&state)
    }
    return try result.get()
  }

  func update(
    _ rows: [HotRow], stream: StreamPartition, previous: HotHeader, header: HotHeader,
    keepFrom: Seams
  ) throws(HotStoreError) {
    now.slowness?()
    try access { state -> Result<Void, HotStoreError> in
      state.updateCount += 1
      guard state.header == previous else { return .failure(.stale) }
      Self.put(rows, &state)
      state.rows = state.rows.filter { $0.key.start >= keepFrom[$0.key.level] }
      state.header = header
      guard state.isMute else { return .success(()) }
      state.failureCount += 1
      return .failure(.unavailable("as the script says, but done"))
    }
  }

  func rebuild(
    _ rows: [HotRow], stream: StreamPartition, header: HotHeader
  ) throws(HotStoreError) {
    try access { state -> Result<Void, HotStoreError> in
      if let stored = state.header, stored.epoch > header.epoch { return .failure(.fenced) }
      state.rows = [:]
      Self.put(rows, &state)
      state.header = header
      state.rebuildCount += 1
      return .success(())
    }
  }

  func header(of stream: StreamPartition) throws(HotStoreError) -> HotHeader? {
    try access { .success($0.header) }
  }

  private static func put(_ rows: [HotRow], _ state: inout State) {
    for hot in rows {
      state.rows[RowKey(level: hot.row.level, start: hot.row.start, tuple: hot.tuple)] =
        RowValue(counts: hot.row.counts, revision: hot.row.revision)
    }
  }
}
