import Dataflow
import Events
import PostgresClient
import Views

/// What Postgres holds of one pipeline, read in one snapshot.
struct StoredViews {
  struct Stream {
    var sequence: UInt64
    var coarseSequence: UInt64
    var watermark: Int64
    var logTime: Int64
    var accounting = Accounting()
    var lateCount = 0
  }

  var rows: [Recount.Key: Recount.Value] = [:]
  var streams: [String: Stream] = [:]

  init(_ connection: PostgresConnection, _ pipeline: PipelineSpec) throws {
    let schema = "p_\(pipeline.name)_\(pipeline.version)"
    try connection.execute("begin isolation level repeatable read read only")
    defer {
      do {
        try connection.execute("rollback")
      } catch {
        connection.close()
      }
    }
    try readStreams(connection, schema)
    for level in WindowLevel.allCases { try readRows(connection, schema, level) }
  }

  /// Every committed state conserves events; asked while everything runs.
  /// - Returns: streams where it does not.
  static func unconserved(
    _ connection: PostgresConnection, _ pipeline: PipelineSpec
  ) throws -> [String] {
    let result = try connection.query(
      """
      select stream from p_\(pipeline.name)_\(pipeline.version).accounting
      where on_time + late + too_late + duplicate + rejected <> received
      """)
    try result.require(.text)
    return (0..<result.rowCount).map { result.text($0, 0) }
  }

  private mutating func readStreams(_ connection: PostgresConnection, _ schema: String) throws {
    let result = try connection.query(
      """
      select stream, sequence, coarse_sequence, watermark, log_time, coalesce(received, 0),
        coalesce(on_time, 0), coalesce(late, 0), coalesce(too_late, 0), coalesce(duplicate, 0),
        coalesce(rejected, 0), coalesce(clamped_future, 0),
        (select count(*) from \(schema).late_events l where l.stream = c.stream)
      from \(schema).checkpoints c left join \(schema).accounting a using (stream)
      """)
    try result.require(
      .text, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int8)
    for row in 0..<result.rowCount {
      var stream = Stream(
        sequence: UInt64(bitPattern: result.int8(row, 1)),
        coarseSequence: UInt64(bitPattern: result.int8(row, 2)), watermark: result.int8(row, 3),
        logTime: result.int8(row, 4), lateCount: Int(result.int8(row, 12)))
      stream.accounting.received = result.int8(row, 5)
      stream.accounting.onTime = result.int8(row, 6)
      stream.accounting.late = result.int8(row, 7)
      stream.accounting.tooLate = result.int8(row, 8)
      stream.accounting.duplicate = result.int8(row, 9)
      stream.accounting.rejected = result.int8(row, 10)
      stream.accounting.clampedFuture = result.int8(row, 11)
      streams[result.text(row, 0)] = stream
    }
  }

  private mutating func readRows(
    _ connection: PostgresConnection, _ schema: String, _ level: WindowLevel
  ) throws {
    let result = try connection.query(
      """
      select window_start, dimension_id, source, impressions, views, clicks, engagements,
        conversions, revenue_micros, revision
      from \(schema).metrics_\(level.name)
      """)
    try result.require(
      .timestamptz, .int8, .int4, .int8, .int8, .int8, .int8, .int8, .int8, .int4)
    for row in 0..<result.rowCount {
      let key = Recount.Key(
        level: level, start: result.timestamptz(row, 0), dimensionID: result.int8(row, 1),
        partition: Int(result.int4(row, 2)) & 0xff)
      let counts = Counts(
        impressions: result.int8(row, 3), views: result.int8(row, 4), clicks: result.int8(row, 5),
        engagements: result.int8(row, 6), conversions: result.int8(row, 7),
        revenueMicros: result.int8(row, 8))
      rows[key] = Recount.Value(counts: counts, revision: result.int4(row, 9))
    }
  }
}
