import Dataflow
import PostgresClient
import Views

/// Rows of trends that are written before the commit they belong to, some thousands in a transaction each.
///
/// Every slide closes a window with a row for each tuple in it. A hundred thousand of them in one
/// transaction hold up whoever takes the stream over, or ends this process, for most of a second; a piece
/// takes a twelfth of that. Written twice they are the same rows, so a commit that fails, and an owner that
/// dies between two pieces, leave nothing to be undone:
///
///     checkpoint ──── piece ─ piece ─ piece ─ … ─ the commit: the other rows, checkpoint moves
///                     rows of windows that are open at the checkpoint
///
/// A window that has no early rows is not read before its commit (``TrendStatement``); one that has them is read
/// as what it is at the checkpoint, open, with early results of which some are newer than others.
/// Each piece holds the checkpoint's row, so none is written by an owner that another one has followed.
struct TrendsAhead {
  /// Commits with fewer rows have all of them.
  static let rowCountMin = 2 * WindowStatements.rowsPerStatement

  private let schema: ViewSchema
  /// What is written of a batch that is committed again.
  private var written: (sequence: UInt64, rowCount: Int)?

  init(_ schema: ViewSchema) { self.schema = schema }

  /// What an unflushed server has lost with its crash is written again.
  mutating func forget() { written = nil }

  /// - Returns: the indices of the trends that the commit itself must write; nil where the checkpoint is
  ///   not this owner's any more.
  mutating func write(
    _ batch: CommitBatch, _ stream: StreamPartition, _ epoch: Int64, _ previous: UInt64,
    _ statements: WindowStatements, _ parameters: inout PostgresParameters,
    _ connection: PostgresConnection
  ) throws(PostgresError) -> [Int]? {
    let all = Array(batch.trends.indices)
    guard all.count >= Self.rowCountMin, let source = stream.source else { return all }
    guard
      let watermark = try CheckpointTable.watermark(
        of: stream, epoch: epoch, sequence: previous, in: schema, connection)
    else { return nil }
    let isAhead = batch.trends.map { $0.isFinal && $0.end > watermark }
    let rows = all.filter { isAhead[$0] }
    var rest = rows[...]
    if let written, written.sequence == batch.checkpoint.sequence {
      rest = rest.dropFirst(written.rowCount)
    }
    while !rest.isEmpty {
      let piece = rest.prefix(WindowStatements.rowsPerStatement)
      rest = rest.dropFirst(WindowStatements.rowsPerStatement)
      do throws(PostgresError) {
        let isOwn = try connection.transaction(.relaxedWrite) {
          connection throws(PostgresError) in
          guard
            try CheckpointTable.watermark(
              of: stream, epoch: epoch, sequence: previous, in: schema, connection) != nil
          else { return .rollback(false) }
          try statements.write(
            trends: batch.trends, piece, source: source, &parameters, connection)
          return .commit(true)
        }
        guard isOwn else { return nil }
      } catch .outcomeUnknown(let text) {
        throw .connectionLost(text)
      }
      written = (batch.checkpoint.sequence, rows.count - rest.count)
    }
    return all.filter { !isAhead[$0] }
  }
}
