import Dataflow
import PostgresClient
import Views

/// What became of every event, one row per stream, absolute.
enum AccountingTable {
  private static let columns =
    "received, on_time, late, too_late, duplicate, rejected, clamped_future"

  static func write(
    _ accounting: Accounting, of stream: StreamPartition, in schema: ViewSchema,
    _ connection: PostgresConnection
  ) throws(PostgresError) {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    for value in [
      accounting.received, accounting.onTime, accounting.late, accounting.tooLate,
      accounting.duplicate, accounting.rejected, accounting.clampedFuture,
    ] {
      parameters.append(int8: value)
    }
    _ = try connection.query(
      prepared: "accounting",
      """
      insert into \(schema.name).accounting (stream, \(columns))
      values ($1, $2, $3, $4, $5, $6, $7, $8)
      on conflict (stream) do update set received = $2, on_time = $3, late = $4, too_late = $5,
        duplicate = $6, rejected = $7, clamped_future = $8
      """, parameters)
  }

  /// Zero where the stream has no row.
  static func read(
    of stream: StreamPartition, in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) -> Accounting {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    return try sum(
      "select \(columns) from \(schema.name).accounting where stream = $1", parameters, connection)
  }

  /// Over the streams of events and dead letters. What the second stage takes in is no events: it
  /// counts contributions of the first.
  static func read(
    in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) -> Accounting {
    var parameters = PostgresParameters()
    parameters.append(text: schema.pipeline.partialsStream)
    return try sum(
      "select \(columns) from \(schema.name).accounting where stream <> $1", parameters, connection)
  }

  private static func sum(
    _ sql: String, _ parameters: borrowing PostgresParameters, _ connection: PostgresConnection
  ) throws(PostgresError) -> Accounting {
    let result = try connection.query(sql, parameters)
    try result.require(.int8, .int8, .int8, .int8, .int8, .int8, .int8)
    var total = Accounting()
    for row in 0..<result.rowCount {
      total.received += result.int8(row, 0)
      total.onTime += result.int8(row, 1)
      total.late += result.int8(row, 2)
      total.tooLate += result.int8(row, 3)
      total.duplicate += result.int8(row, 4)
      total.rejected += result.int8(row, 5)
      total.clampedFuture += result.int8(row, 6)
    }
    return total
  }
}
