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
    try collect(batch.rows, into: &missing)
    try collect(batch.deltas, into: &missing)
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

  private func collect(
    _ rows: [WindowRow], into missing: inout Set<WindowPartition>
  ) throws(ViewStoreError) {
    // Rows come window by window: one look-up per window is enough.
    var last: (level: WindowLevel, start: Int64)?
    for row in rows {
      if let last, last.level == row.level, last.start == row.start { continue }
      last = (row.level, row.start)
      guard row.start >= PostgresType.timestampMin else {
        throw .refused("a window starts at \(row.start) µs, before all that Postgres can store")
      }
      if let partition = WindowPartition(level: row.level, holding: row.start),
        !known.contains(partition)
      {
        missing.insert(partition)
      }
    }
  }

  /// Drops the partitions whose last row is older than the retention of their level, counted back
  /// from the slowest stream's log time. Gives up at once where somebody else holds a table.
  mutating func dropExpired(at logTime: Int64, _ connection: PostgresConnection) {
    guard logTime != .min, logTime >= nextSweep else { return }
    nextSweep = logTime + WindowPartitions.retryInterval
    do throws(PostgresError) {
      guard let slowest = try slowestLogTime(connection) else { return }
      for level in WindowLevel.allCases {
        guard let retention = level.retention else { continue }
        for partition in try stored(level, connection) where partition.end <= slowest - retention {
          try drop(partition, connection)
          known.remove(partition)
        }
      }
      nextSweep = logTime + WindowPartitions.sweepInterval
    } catch {
      // The rows are merely kept longer. A broken connection shows at the next commit.
      return
    }
  }

  private func slowestLogTime(_ connection: PostgresConnection) throws(PostgresError) -> Int64? {
    let result = try connection.query(
      """
      select min(log_time) from \(schema.name).checkpoints
      where partition >= 0
        and generation = (select max(generation) from \(schema.name).checkpoints)
      """)
    try result.require(.int8)
    return result.isNull(0, 0) || result.int8(0, 0) == .min ? nil : result.int8(0, 0)
  }

  private func stored(
    _ level: WindowLevel, _ connection: PostgresConnection
  ) throws(PostgresError) -> [WindowPartition] {
    var parameters = PostgresParameters()
    parameters.append(text: schema.table(level))
    let result = try connection.query(
      """
      select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = $1::regclass
      """, parameters)
    try result.require(.text)
    return (0..<result.rowCount).compactMap {
      WindowPartition(level: level, table: result.text($0, 0))
    }
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
