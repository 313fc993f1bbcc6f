import Dataflow
import Ports
import PostgresClient
import Views

/// Makes the time partitions that rows need, before they are needed, and drops them after their
/// retention.
struct WindowPartitions {
  private let schema: ViewSchema
  /// Those that exist for sure, unless another process has dropped one since.
  private var known: Set<WindowPartition> = []
  /// Log time before which no sweep is due, microseconds. A sweep that found everything dropped, or
  /// dropped it, is followed by the next one an hour of log time later, any other one after a minute.
  private var nextSweep: Int64 = .min
  private static let sweepInterval: Int64 = 3_600_000_000
  private static let retryInterval: Int64 = 60_000_000

  init(_ schema: ViewSchema) { self.schema = schema }

  mutating func forget() { known.removeAll() }

  /// Makes the partitions of the batch's rows where they are missing, in a transaction of their own
  /// behind the lock that all changes of tables take.
  mutating func make(
    for batch: CommitBatch, _ connection: PostgresConnection
  ) throws(ViewStoreError) {
    var missing: Set<WindowPartition> = []
    for windows in batch.windows {
      try collect(windows.rows, into: &missing) { .windows(windows.measure, $0.level) }
      try collect(windows.deltas, into: &missing) { .windows(windows.measure, $0.level) }
    }
    try collect(batch.trends, into: &missing) { _ in .trends }
    guard !missing.isEmpty else { return }
    let statements = missing.map { $0.creation(in: schema.name) }.sorted().joined(separator: "\n")
    do throws(PostgresError) {
      try connection.transaction { connection throws(PostgresError) in
        try connection.execute(schema.lockTables)
        try connection.execute(statements)
        return .commit(())
      }
    } catch .outcomeUnknown(let text) {
      // Making them again does nothing where it is done.
      throw .unavailable(text)
    } catch {
      throw ViewStoreError(error)
    }
    known.formUnion(missing)
  }

  private func collect<Row: TimedRow>(
    _ rows: [Row], into missing: inout Set<WindowPartition>, _ table: (Row) -> TimedTable
  ) throws(ViewStoreError) {
    // Rows come window by window: one look-up per window is enough.
    var last: (table: TimedTable, time: Int64)?
    for row in rows {
      let table = table(row)
      if let last, last.table == table, last.time == row.time { continue }
      last = (table, row.time)
      guard row.time >= PostgresType.timestampMin else {
        throw .refused("a window lies at \(row.time) µs, before all that Postgres can store")
      }
      if let partition = WindowPartition(table, holding: row.time), !known.contains(partition) {
        missing.insert(partition)
      }
    }
  }

  /// Drops the partitions whose last row is older than the retention of their table, counted back
  /// from the log time of the slowest stream that writes it. Gives up at once where somebody else
  /// holds a table.
  mutating func dropExpired(at logTime: Int64, _ connection: PostgresConnection) {
    guard logTime != .min, logTime >= nextSweep else { return }
    nextSweep = logTime + WindowPartitions.retryInterval
    do throws(PostgresError) {
      for isSecondStage in [false, true] {
        guard let slowest = try slowestLogTime(isSecondStage, connection) else { continue }
        for table in TimedTable.all(of: schema.pipeline)
        where table.isOfSecondStage == isSecondStage {
          guard let retention = table.retention(in: schema.pipeline) else { continue }
          for partition in try stored(table, connection) where partition.end <= slowest - retention
          {
            try drop(partition, connection)
            known.remove(partition)
          }
        }
      }
      nextSweep = logTime + WindowPartitions.sweepInterval
    } catch {
      // The rows are merely kept longer. A broken connection shows at the next commit.
      return
    }
  }

  /// Nil where no stream of the stage has committed yet.
  private func slowestLogTime(
    _ isSecondStage: Bool, _ connection: PostgresConnection
  ) throws(PostgresError) -> Int64? {
    let streams =
      isSecondStage
      ? "partition = \(StreamPartition.partials(of: schema.pipeline).partition)"
      : """
      partition >= 0 and generation = (select max(generation) from \(schema.name).checkpoints)
      """
    let result = try connection.query(
      "select min(log_time) from \(schema.name).checkpoints where \(streams)")
    try result.require(.int8)
    return result.isNull(0, 0) || result.int8(0, 0) == .min ? nil : result.int8(0, 0)
  }

  private func stored(
    _ table: TimedTable, _ connection: PostgresConnection
  ) throws(PostgresError) -> [WindowPartition] {
    var parameters = PostgresParameters()
    parameters.append(text: schema.table(table))
    let result = try connection.query(
      """
      select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = $1::regclass
      """, parameters)
    try result.require(.text)
    return (0..<result.rowCount).compactMap { WindowPartition(table, table: result.text($0, 0)) }
  }

  private func drop(
    _ partition: WindowPartition, _ connection: PostgresConnection
  ) throws(PostgresError) {
    try connection.transaction { connection throws(PostgresError) in
      try connection.execute(
        """
        set local lock_timeout = '200ms';
        \(schema.lockTables);
        drop table if exists \(schema.name).\(partition.table)
        """)
      return .commit(())
    }
  }
}
