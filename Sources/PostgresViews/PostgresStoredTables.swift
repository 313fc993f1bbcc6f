public import Dataflow
import Events
public import Ports
public import PostgresClient

/// Reads the tables of one pipeline version row by row, at one instant.
///
/// An instant is one REPEATABLE READ transaction; rows come through a cursor, so a table of any size
/// takes little memory. Blocks its thread. Not `Sendable`.
public final class PostgresStoredTables: StoredTableReader {
  private let settings: PostgresSettings
  private let schema: ViewSchema

  /// Sorting a large table takes its time.
  private static let statementTimeoutMs = 600_000

  /// - Throws: `refused` if the pipeline's name can't name a schema.
  public init(_ settings: PostgresSettings, pipeline: PipelineSpec) throws(ViewStoreError) {
    var settings = settings
    settings.statementTimeoutMs = Self.statementTimeoutMs
    settings.answerTimeoutMs = Self.statementTimeoutMs + 10_000
    self.settings = settings
    schema = try ViewSchema(pipeline)
  }

  public func instant<Value>(
    _ body: (any StoredTables) throws(ViewStoreError) -> Value
  ) throws(ViewStoreError) -> Value {
    var failure: ViewStoreError?
    do throws(PostgresError) {
      let connection = try PostgresConnection(settings)
      let value: Value? = try connection.transaction(.snapshotRead) {
        connection throws(PostgresError) in
        do throws(ViewStoreError) {
          return .commit(try body(PostgresInstant(connection, schema)))
        } catch {
          failure = error
          return .rollback(nil)
        }
      }
      if let value { return value }
    } catch {
      throw ViewStoreError(error)
    }
    throw failure ?? .unavailable("the instant was lost")
  }
}

/// One open snapshot.
private final class PostgresInstant: StoredTables {
  private let connection: PostgresConnection
  private let schema: ViewSchema
  /// The columns of each stored tuple, by id; read when first asked for.
  private var tuples: [Int64: [String]]?

  private static let rowsPerFetch = 10_000

  init(_ connection: PostgresConnection, _ schema: ViewSchema) {
    self.connection = connection
    self.schema = schema
  }

  func checkpoints() throws(ViewStoreError) -> [StreamPartition: Checkpoint] {
    do throws(PostgresError) {
      return try CheckpointTable.read(in: schema, connection).mapValues(\.checkpoint)
    } catch {
      throw ViewStoreError(error)
    }
  }

  func read(
    _ table: StoredTable, row: (_ key: [Int64], _ values: [Int64]) -> Void
  ) throws(ViewStoreError) {
    let columns = table.key + table.values
    do throws(PostgresError) {
      try fetch(Self.statement(table, in: schema), rows: Self.rowsPerFetch) { result in
        for index in 0..<result.rowCount {
          var cells: [Int64] = []
          cells.reserveCapacity(columns.count)
          for (column, place) in zip(columns, 0..<columns.count) {
            cells.append(
              column.kind == .time
                ? result.timestamptz(index, place) : result.int8(index, place))
          }
          row(Array(cells[..<table.key.count]), Array(cells[table.key.count...]))
        }
      }
    } catch {
      throw ViewStoreError(error)
    }
  }

  func isStored(tuple: [UInt8], id: Int64) throws(ViewStoreError) -> Bool? {
    if tuples == nil { tuples = try readTuples() }
    return tuples?[id].map { $0 == DimensionTable.texts(of: tuple) }
  }

  private func readTuples() throws(ViewStoreError) -> [Int64: [String]] {
    var tuples: [Int64: [String]] = [:]
    let names = Dimension.allCases.map(\.name)
    do throws(PostgresError) {
      try fetch(
        "select id, \(names.joined(separator: ", ")) from \(schema.name).dimensions",
        rows: Self.rowsPerFetch
      ) { result in
        for row in 0..<result.rowCount {
          tuples[result.int8(row, 0)] = names.indices.map { result.text(row, 1 + $0) }
        }
      }
    } catch {
      throw ViewStoreError(error)
    }
    return tuples
  }

  private func fetch(
    _ statement: String, rows: Int, _ body: (borrowing PostgresResult) -> Void
  ) throws(PostgresError) {
    try connection.execute("declare stored no scroll cursor for \(statement)")
    while true {
      let result = try connection.query("fetch \(rows) from stored")
      body(result)
      if result.rowCount < rows { break }
    }
    try connection.execute("close stored")
  }

  private static func statement(_ table: StoredTable, in schema: ViewSchema) -> String {
    let columns = (table.key + table.values).map { column in
      switch column.kind {
      case .time: column.name
      case .bool: "\(column.name)::int::int8"
      case .int8, .int4, .int2: "\(column.name)::int8"
      }
    }
    let keys = table.key.map(\.name).joined(separator: ", ")
    let name = table.stream.map { $0.replacing("'", with: "''") }
    return "select \(columns.joined(separator: ", ")) from \(schema.name).\(table.name)"
      + (name.map { " where stream = '\($0)'" } ?? "") + (keys.isEmpty ? "" : " order by \(keys)")
  }
}
