import Dataflow
import Events
import Ports
import Synchronization
import Views

/// Durable rows in memory.
final class MemoryDurableReader: DurableViewReader {
  struct State {
    /// By partition.
    var rows: [Int: [SimulatedRow]] = [:]
    var checkpoints: [Int: Checkpoint] = [:]
    var accounting = Accounting()
    var trends = TrendAnswer(end: nil, size: 300_000_000, groups: [], checkpoint: Checkpoint())
    var isAway = false
    var readCount = 0
    /// Selections whose sums are kept once they were read; nil where none are.
    var kept: Set<ViewSelection>?
  }

  let state = Mutex(State())

  func update(_ body: @Sendable (inout State) -> Void) { state.withLock { body(&$0) } }

  private func stream(_ partition: Int) -> StreamPartition {
    StreamPartition(stream: "events-0\(partition)", generation: 1, partition: partition)
  }

  func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(ViewReadError) -> DurableAnswer {
    let state = try take()
    self.state.withLock { _ = $0.kept?.insert(selection) }
    let groups = groups(selection, state) { partition, level in
      belowSeams ? state.checkpoints[partition]?.seams[level] ?? .min : .max
    }
    return DurableAnswer(groups: groups, checkpoints: keyed(state.checkpoints))
  }

  func moment(
    _ measure: Measure, levels: [WindowLevel], rowCountMax: Int
  ) async throws(ViewReadError) -> DurableMoment? {
    let asOf = ContinuousClock.now
    let state = try take()
    guard state.kept != nil else { return nil }
    var between: [HotRow] = []
    for (partition, rows) in state.rows {
      let seams = state.checkpoints[partition]?.seams ?? Seams()
      for row in rows where levels.contains(row.row.level) {
        let level = row.row.level
        guard row.row.start < seams[level], row.row.start >= Self.firstSeam(level, state) else {
          continue
        }
        between.append(HotRow(row: row.row, tuple: row.tuple.encoded))
      }
    }
    return DurableMoment(checkpoints: keyed(state.checkpoints), asOf: asOf, rows: between)
  }

  func kept(_ selection: ViewSelection, at moment: DurableMoment) -> KeptGroups {
    let state = state.withLock { $0 }
    guard state.kept?.contains(selection) == true else { return .none }
    guard keyed(state.checkpoints) == moment.checkpoints else { return .later }
    return .groups(groups(selection, state) { _, level in Self.firstSeam(level, state) })
  }

  /// Of streams that have committed something.
  private static func firstSeam(_ level: WindowLevel, _ state: State) -> Int64 {
    state.checkpoints.values.filter { $0.sequence > 0 }.map { $0.seams[level] }.min() ?? .min
  }

  private func groups(
    _ selection: ViewSelection, _ state: State, before end: (Int, WindowLevel) -> Int64
  ) -> [ViewGroup] {
    var groups: [ViewGroup] = []
    for (partition, rows) in state.rows {
      for row in rows where row.isIn(selection) {
        if row.row.start >= end(partition, row.row.level) { continue }
        let bucket = selection.buckets.lastIndex { $0 <= row.row.start } ?? 0
        groups.append(
          ViewGroup(
            bucket: bucket, dimensions: selection.groupBy.map { row.tuple[$0] },
            currency: row.tuple.currency, counts: row.row.counts, revision: row.row.revision))
      }
    }
    return groups
  }

  func checkpoints() async throws(ViewReadError) -> [StreamPartition: Checkpoint] {
    keyed(try take().checkpoints)
  }

  func trends(
    site: String, groupBy dimension: Dimension
  ) async throws(ViewReadError) -> TrendAnswer { try take().trends }

  func accounting() async throws(ViewReadError) -> Accounting { try take().accounting }

  private func keyed(_ checkpoints: [Int: Checkpoint]) -> [StreamPartition: Checkpoint] {
    var keyed: [StreamPartition: Checkpoint] = [:]
    for (partition, checkpoint) in checkpoints { keyed[stream(partition)] = checkpoint }
    return keyed
  }

  private func take() throws(ViewReadError) -> State {
    let state = state.withLock { state in
      state.readCount += 1
      return state
    }
    if state.isAway { throw .unavailable("away") }
    return state
  }
}

/// A hot copy in memory.
final class MemoryHotReader: HotViewReader {
  struct State {
    var rows: [Int: [SimulatedRow]] = [:]
    var headers: [Int: HotHeader] = [:]
    var isAway = false
  }

  let state = Mutex(State())

  func update(_ body: @Sendable (inout State) -> Void) { state.withLock { body(&$0) } }

  func headers(partitions: [Int]) async throws(ViewReadError) -> [Int: HotHeader] {
    try take().headers.filter { partitions.contains($0.key) && $0.value.isComplete }
  }

  func read(
    segments: [Segment], seams: [Int: Seams], filter: TupleFilter
  ) async throws(ViewReadError) -> HotAnswer {
    let state = try take()
    var answer = HotAnswer(
      headers: state.headers.filter { seams[$0.key] != nil && $0.value.isComplete }, rows: [])
    for (partition, seams) in seams {
      for row in state.rows[partition] ?? [] where row.row.start >= seams[row.row.level] {
        let isWanted = segments.contains {
          $0.level == row.row.level && row.row.start >= $0.from && row.row.start < $0.to
        }
        let tuple = row.tuple.encoded
        guard isWanted, tuple.withUnsafeBytes({ filter.admits($0) }) else { continue }
        answer.rows.append(HotRow(row: row.row, tuple: tuple))
      }
    }
    return answer
  }

  private func take() throws(ViewReadError) -> State {
    let state = state.withLock { $0 }
    if state.isAway { throw .unavailable("away") }
    return state
  }
}
