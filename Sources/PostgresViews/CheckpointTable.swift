import Dataflow
import PostgresClient
import Views

/// The checkpoints of a pipeline version: one row per stream.
enum CheckpointTable {
  /// Raises the stream's epoch, making its row where it is missing, unless another member of the
  /// group owns it. Where a transaction writes the row it waits, and looks at what that has left.
  /// - Returns: the new epoch, or nil where another owner's lease runs.
  static func claim(
    _ stream: StreamPartition, owner: String, in schema: ViewSchema,
    _ connection: PostgresConnection
  ) throws(PostgresError) -> Int64? {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    parameters.append(int4: Int32(stream.partition))
    parameters.append(int4: Int32(bitPattern: stream.generation))
    parameters.append(int4: stream.source)
    parameters.append(text: owner)
    let result = try connection.query(
      """
      insert into \(schema.name).checkpoints as t
        (stream, partition, generation, source, epoch, owner)
      values ($1, $2, $3, $4, 1, $5)
      on conflict (stream) do update
        set epoch = t.epoch + 1, owner = excluded.owner, updated_at = now()
        where t.owner is null or t.owner = excluded.owner or not exists (
          select from smartcontent.processes
          where id = t.owner and seen_until > clock_timestamp())
      returning epoch
      """, parameters)
    try result.require(.int8)
    return result.rowCount == 0 ? nil : result.int8(0, 0)
  }

  /// Who owns the stream; nil for nobody.
  static func owner(
    of stream: StreamPartition, in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) -> String? {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    let result = try connection.query(
      "select owner from \(schema.name).checkpoints where stream = $1", parameters)
    try result.require(.text)
    return result.rowCount == 0 || result.isNull(0, 0) ? nil : result.text(0, 0)
  }

  /// Frees the stream where `owner` owns it.
  static func release(
    _ stream: StreamPartition, owner: String, in schema: ViewSchema,
    _ connection: PostgresConnection
  ) throws(PostgresError) {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    parameters.append(text: owner)
    _ = try connection.query(
      """
      update \(schema.name).checkpoints set owner = null, updated_at = now()
      where stream = $1 and owner = $2
      """, parameters)
  }

  /// Moves the checkpoint if epoch and sequence are as given.
  /// - Returns: the number of this commit, or nil if they are not.
  static func advance(
    _ stream: StreamPartition, epoch: Int64, previous: UInt64, to checkpoint: Checkpoint,
    in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) -> Int64? {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    parameters.append(int8: epoch)
    parameters.append(int8: Int64(bitPattern: previous))
    parameters.append(int8: Int64(bitPattern: checkpoint.sequence))
    parameters.append(int8: Int64(checkpoint.fingerprint.checksum))
    parameters.append(int8: checkpoint.fingerprint.storedAt)
    parameters.append(int8: checkpoint.logTime)
    parameters.append(int8: checkpoint.watermark)
    parameters.append(int8: Int64(bitPattern: checkpoint.coarseSequence))
    parameters.append(int8: Int64(bitPattern: checkpoint.lastDeltaSequence))
    parameters.append(timestamptz: checkpoint.seams[.tenSeconds])
    parameters.append(timestamptz: checkpoint.seams[.minute])
    parameters.append(timestamptz: checkpoint.seams[.hour])
    parameters.append(timestamptz: checkpoint.seams[.day])
    parameters.append(text: SourcePosition.text(checkpoint.sources))
    let result = try connection.query(
      prepared: "checkpoint",
      """
      update \(schema.name).checkpoints set
        sequence = $4, fingerprint_checksum = $5, fingerprint_stored_at = $6, log_time = $7,
        watermark = $8, coarse_sequence = $9, last_delta_sequence = $10, seam_10s = $11,
        seam_1m = $12, seam_1h = $13, seam_1d = $14, sources = $15, commits = commits + 1,
        updated_at = now()
      where stream = $1 and epoch = $2 and sequence = $3
      returning commits
      """, parameters)
    try result.require(.int8)
    return result.rowCount == 0 ? nil : result.int8(0, 0)
  }

  /// The watermark of the stream's checkpoint, whose row stays locked to the transaction's end; nil where
  /// epoch and sequence are not as given.
  static func watermark(
    of stream: StreamPartition, epoch: Int64, sequence: UInt64, in schema: ViewSchema,
    _ connection: PostgresConnection
  ) throws(PostgresError) -> Int64? {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    parameters.append(int8: epoch)
    parameters.append(int8: Int64(bitPattern: sequence))
    let result = try connection.query(
      prepared: "watermark",
      """
      select watermark from \(schema.name).checkpoints
      where stream = $1 and epoch = $2 and sequence = $3 for share
      """, parameters)
    try result.require(.int8)
    return result.rowCount == 0 ? nil : result.int8(0, 0)
  }

  /// All checkpoints with their epochs.
  static func read(
    in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) -> [StreamPartition: (epoch: Int64, checkpoint: Checkpoint)] {
    let result = try connection.query(
      prepared: "checkpoints_\(schema.name)",
      """
      select stream, generation, partition, epoch, sequence, fingerprint_checksum,
        fingerprint_stored_at, log_time, watermark, coarse_sequence, last_delta_sequence,
        seam_10s, seam_1m, seam_1h, seam_1d, sources
      from \(schema.name).checkpoints
      """, PostgresParameters())
    try result.require(
      .text, .int4, .int4, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .timestamptz,
      .timestamptz, .timestamptz, .timestamptz, .text)
    var checkpoints: [StreamPartition: (epoch: Int64, checkpoint: Checkpoint)] = [:]
    for row in 0..<result.rowCount {
      let stream = StreamPartition(
        stream: result.text(row, 0), generation: UInt32(bitPattern: result.int4(row, 1)),
        partition: Int(result.int4(row, 2)))
      var checkpoint = Checkpoint()
      checkpoint.sequence = UInt64(bitPattern: result.int8(row, 4))
      checkpoint.fingerprint = Checkpoint.Fingerprint(
        checksum: UInt32(truncatingIfNeeded: result.int8(row, 5)), storedAt: result.int8(row, 6))
      checkpoint.logTime = result.int8(row, 7)
      checkpoint.watermark = result.int8(row, 8)
      checkpoint.coarseSequence = UInt64(bitPattern: result.int8(row, 9))
      checkpoint.lastDeltaSequence = UInt64(bitPattern: result.int8(row, 10))
      checkpoint.seams[.tenSeconds] = result.timestamptz(row, 11)
      checkpoint.seams[.minute] = result.timestamptz(row, 12)
      checkpoint.seams[.hour] = result.timestamptz(row, 13)
      checkpoint.seams[.day] = result.timestamptz(row, 14)
      guard let sources = SourcePosition.parse(result.text(row, 15)) else {
        throw .unexpectedResult("the checkpoint of \(stream.stream) has unreadable sources")
      }
      checkpoint.sources = sources
      checkpoints[stream] = (result.int8(row, 3), checkpoint)
    }
    return checkpoints
  }

  /// Epoch and number of commits, once no transaction is writing the row.
  static func lockedState(
    of stream: StreamPartition, in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) -> (epoch: Int64, commits: Int64) {
    var parameters = PostgresParameters()
    parameters.append(text: stream.stream)
    let result = try connection.query(
      "select epoch, commits from \(schema.name).checkpoints where stream = $1 for share",
      parameters)
    try result.require(.int8, .int8)
    guard result.rowCount == 1 else {
      throw .unexpectedResult("the checkpoint of \(stream.stream) is gone")
    }
    return (result.int8(0, 0), result.int8(0, 1))
  }
}
