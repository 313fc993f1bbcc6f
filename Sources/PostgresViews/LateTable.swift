import Dataflow
import PostgresClient
import Views

/// Events that came later than the pipeline allows: kept, not counted. Their key is their place in
/// the log, so writing one twice keeps one.
enum LateTable {
  private static let rowsPerStatement = 8_192

  static func insert(
    _ events: [LateEvent], of stream: StreamPartition, in schema: ViewSchema,
    _ connection: PostgresConnection
  ) throws(PostgresError) {
    var rest = events[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(rowsPerStatement)
      rest = rest.dropFirst(rowsPerStatement)
      var parameters = PostgresParameters(capacity: 64 * chunk.count)
      parameters.append(text: stream.stream)
      parameters.append(int8Array: chunk) { Int64(bitPattern: $0.sequence) }
      parameters.append(int4Array: chunk) { $0.index }
      parameters.append(timestamptzArray: chunk) { $0.eventTime }
      parameters.append(int2Array: chunk) { Int16($0.kind) }
      parameters.append(int8Array: chunk) { $0.dimensionID }
      parameters.append(int8Array: chunk) { $0.revenueMicros }
      _ = try connection.query(
        prepared: "late",
        """
        insert into \(schema.name).late_events
          (stream, sequence, index, event_time, kind, dimension_id, revenue_micros)
        select $1, * from unnest($2::int8[], $3::int4[], $4::timestamptz[], $5::int2[],
          $6::int8[], $7::int8[])
        on conflict do nothing
        """, parameters)
    }
  }
}
