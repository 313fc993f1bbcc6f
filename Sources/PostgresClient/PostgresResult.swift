import CLibPQ

/// The rows of one statement, in binary format, read in place from libpq's memory.
///
/// Call `require` once with the expected column types; the accessors then trust them. Rows and
/// columns count from 0.
public struct PostgresResult: ~Copyable {
  let raw: OpaquePointer

  init(owning raw: OpaquePointer) { self.raw = raw }
  deinit { PQclear(raw) }

  public var rowCount: Int { Int(PQntuples(raw)) }
  public var columnCount: Int { Int(PQnfields(raw)) }

  /// The statement's tag, e.g. `COMMIT` or `INSERT 0 5`.
  var commandTag: String { PQcmdStatus(raw).map { String(cString: $0) } ?? "" }

  /// How many rows an `insert`, `update` or `delete` has changed; of a `select` how many it gave.
  public var affectedRowCount: Int {
    PQcmdTuples(raw).flatMap { Int(String(cString: $0)) } ?? 0
  }

  /// - Throws: `unexpectedResult` if the columns do not have exactly these types.
  public func require(_ types: PostgresType...) throws(PostgresError) {
    guard columnCount == types.count else {
      throw .unexpectedResult("\(columnCount) columns instead of \(types.count)")
    }
    for (column, type) in types.enumerated() {
      let oid = PQftype(raw, Int32(column))
      guard oid == type.oid, PQfformat(raw, Int32(column)) == 1 else {
        let name = PQfname(raw, Int32(column)).map { String(cString: $0) } ?? "\(column)"
        throw .unexpectedResult(
          "column \(name) has the type id \(oid) instead of \(type.oid) (\(type.name))")
      }
    }
  }

  public func isNull(_ row: Int, _ column: Int) -> Bool {
    PQgetisnull(raw, Int32(row), Int32(column)) != 0
  }

  public func int8(_ row: Int, _ column: Int) -> Int64 { integer(row, column) }
  public func int4(_ row: Int, _ column: Int) -> Int32 { integer(row, column) }
  public func int2(_ row: Int, _ column: Int) -> Int16 { integer(row, column) }
  public func double(_ row: Int, _ column: Int) -> Double {
    Double(bitPattern: integer(row, column))
  }
  public func bool(_ row: Int, _ column: Int) -> Bool { integer(row, column, UInt8.self) != 0 }

  /// Microseconds since the Unix epoch; `-infinity` is `.min`, `infinity` `.max`.
  public func timestamptz(_ row: Int, _ column: Int) -> Int64 {
    unixTimestamp(integer(row, column))
  }

  public func text(_ row: Int, _ column: Int) -> String {
    String(decoding: bytes(row, column), as: UTF8.self)
  }

  public func bytea(_ row: Int, _ column: Int) -> [UInt8] { Array(bytes(row, column)) }

  /// The value's bytes; valid while this result lives.
  func bytes(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
    precondition(row < rowCount && column < columnCount, "no such row or column")
    return UnsafeRawBufferPointer(
      start: PQgetvalue(raw, Int32(row), Int32(column)),
      count: Int(PQgetlength(raw, Int32(row), Int32(column))))
  }

  private func integer<Value: FixedWidthInteger>(
    _ row: Int, _ column: Int, _ type: Value.Type = Value.self
  ) -> Value {
    let value = bytes(row, column)
    // A NULL has the length 0: ask `isNull` first where a column allows it.
    precondition(value.count == MemoryLayout<Value>.size, "value of another size, or NULL")
    return Value(bigEndian: value.loadUnaligned(as: Value.self))
  }
}
