import Dataflow
import Oracles
import Ports
import Views

/// The durable rows of all streams. Processes die before, in and after transactions, connections break
/// in them, and other processes take streams over meanwhile.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedViews: @unchecked Sendable {
  struct TrendKey: Hashable {
    var end: Int64
    var tuple: [UInt8]
  }

  struct Table {
    var epoch: Int64 = 0
    /// Transactions that moved the checkpoint.
    var commits = 0
    var checkpoint = Checkpoint()
    var accounting = Accounting()
    var rows: [RowKey: RowValue] = [:]
    /// Of exposures and baselines.
    var experiments: [Measure: [RowKey: RowValue]] = [:]
    var trends: [TrendKey: TrendRow] = [:]
    var tuples: [Int64: [UInt8]] = [:]
    var lateCount = 0
  }

  var tables: [StreamPartition: Table] = [:]
  var isAway = false
  let defect: Defect?
  let faults: Faults
  /// What must never happen and did.
  private(set) var violations: [String] = []
  private(set) var commitCount = 0

  init(defect: Defect?, faults: Faults) {
    self.defect = defect
    self.faults = faults
  }

  func violate(_ text: String) { violations.append(text) }

  func now(_ stream: StreamPartition) -> Table { tables[stream] ?? Table() }

  // MARK: Transactions

  fileprivate func claim(
    _ stream: StreamPartition, _ process: SimulatedHost
  ) throws(ViewStoreError) -> Table {
    try reach(process)
    if faults.strikes(.killedBeforeClaim, onceIn: 30) { throw Self.died(process) }
    if faults.strikes(.claimRefused, onceIn: 30) {
      throw .held(stream: stream.stream, by: "a process whose lease runs")
    }
    tables[stream, default: Table()].epoch += 1
    if faults.strikes(.killedAfterClaim, onceIn: 30) { throw Self.died(process) }
    if faults.strikes(.claimAnswerLost, onceIn: 30) { throw .unavailable("no answer") }
    return now(stream)
  }

  fileprivate func commit(
    _ batch: CommitBatch, _ stream: StreamPartition, _ epoch: Int64, _ previous: UInt64,
    _ process: SimulatedHost
  ) throws(ViewStoreError) {
    try reach(process)
    if faults.strikes(.killedBeforeCommit, onceIn: 14) { throw Self.died(process) }
    let commits = now(stream).commits + 1
    if faults.strikes(.commitLost, onceIn: 14) {
      return try settle(stream, epoch, commits, process)
    }
    var table = now(stream)
    guard
      defect == .fenceIgnored || (epoch == table.epoch && previous == table.checkpoint.sequence)
    else { throw .fenced(stream: stream.stream) }
    if defect == .offsetBeforeRows {
      table.checkpoint = batch.checkpoint
      table.accounting = batch.accounting
      tables[stream] = table
      if faults.isOn && faults.random.once(in: 12) { throw Self.died(process) }
    }
    check(batch, table, stream)
    write(batch, &table)
    table.commits += 1
    tables[stream] = table
    commitCount += 1
    if faults.strikes(.killedAfterCommit, onceIn: 14) { throw Self.died(process) }
    if faults.strikes(.commitAnswerLost, onceIn: 14) {
      try settle(stream, epoch, commits, process)
    }
  }

  /// The connection broke in COMMIT and the process lives: it reads the checkpoint again. Until it can,
  /// the stream may be taken over, or the process may have to end.
  private func settle(
    _ stream: StreamPartition, _ epoch: Int64, _ commits: Int, _ process: SimulatedHost
  ) throws(ViewStoreError) {
    if process.isStopping && faults.random.once(in: 2) {
      faults.note(.stoppedInDoubt)
      throw .unavailable("stopped before the outcome of a commit was known")
    }
    if faults.strikes(.takenOverInDoubt, onceIn: 6) { tables[stream, default: Table()].epoch += 1 }
    let table = now(stream)
    if defect != .fenceIgnored && table.epoch != epoch { throw .fenced(stream: stream.stream) }
    if table.commits < commits { throw .unavailable("the commit was lost") }
  }

  fileprivate func reach(_ process: SimulatedHost) throws(ViewStoreError) {
    if isAway || process.isDead { throw .unavailable("Postgres is away") }
  }

  private static func died(_ process: SimulatedHost) -> ViewStoreError {
    process.die()
    return .unavailable("the process was killed")
  }

  // MARK: Rows

  private func check(_ batch: CommitBatch, _ table: Table, _ stream: StreamPartition) {
    if !batch.accounting.isConserved { violate("\(stream.stream): \(batch.accounting)") }
    if batch.checkpoint.sequence < table.checkpoint.sequence {
      violate("\(stream.stream) went back to \(batch.checkpoint.sequence)")
    }
    if defect != nil { return }
    for measured in batch.windows {
      for row in measured.rows where row.start < table.checkpoint.seams[row.level] {
        violate("a row of an expired window of \(measured.measure): \(row)")
      }
    }
    for row in batch.trends where row.isFinal != (row.end <= batch.checkpoint.watermark) {
      violate("a trend that is final too early or too late: \(row)")
    }
  }

  private func write(_ batch: CommitBatch, _ table: inout Table) {
    for entry in batch.dimensions { table.tuples[entry.id] = entry.encoded }
    func tuple(_ id: Int64) -> [UInt8] {
      if table.tuples[id] == nil { violate("a row whose tuple was never written") }
      return table.tuples[id] ?? []
    }
    func key(_ row: WindowRow) -> RowKey {
      RowKey(level: row.level, start: row.start, tuple: tuple(row.dimensionID))
    }
    for row in batch.rows {
      table.rows[key(row)] = RowValue(counts: row.counts, revision: row.revision)
    }
    for delta in batch.deltas {
      table.rows[key(delta), default: RowValue()].counts += delta.counts
      table.rows[key(delta), default: RowValue()].revision += delta.revision
    }
    for measured in batch.experiments {
      var rows = table.experiments[measured.measure] ?? [:]
      for row in measured.rows {
        rows[key(row)] = RowValue(counts: row.counts, revision: row.revision)
      }
      for delta in measured.deltas { rows[key(delta), default: RowValue()].counts += delta.counts }
      table.experiments[measured.measure] = rows
    }
    for row in batch.trends {
      let key = TrendKey(end: row.end, tuple: tuple(row.dimensionID))
      if let stored = table.trends[key], stored.isFinal, !row.isFinal {
        violate("a final trend became an early one: \(row)")
      }
      table.trends[key] = row
    }
    table.lateCount += batch.lateEvents.count
    table.accounting = batch.accounting
    table.checkpoint = batch.checkpoint
  }
}

/// One process's connection to the durable rows.
final class SimulatedViewStore: ViewStore {
  private let views: SimulatedViews
  private let process: SimulatedHost

  init(_ views: SimulatedViews, _ process: SimulatedHost) {
    self.views = views
    self.process = process
  }

  func claim(
    _ stream: StreamPartition, owner: String
  ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting) {
    let table = try views.claim(stream, process)
    return (table.epoch, table.checkpoint, table.accounting)
  }

  func committed(
    _ stream: StreamPartition
  ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting) {
    try views.reach(process)
    let table = views.now(stream)
    return (table.checkpoint, table.accounting)
  }

  func commit(
    _ batch: CommitBatch, stream: StreamPartition, epoch: Int64, previous: UInt64
  ) throws(ViewStoreError) {
    try views.commit(batch, stream, epoch, previous, process)
  }
}
