import Dataflow
import PostgresClient
import Views

/// Upserts of rows of the timed tables: thousands per statement, as arrays that the server unnests.
///
/// Measured at some 150,000 rows/s on one core beside the server, several times what row-by-row
/// statements in a pipeline reach.
struct WindowStatements {
  enum Kind: String, CaseIterable {
    /// The row's values replace the stored ones.
    case absolute
    /// The row's values are added to the stored ones, which are final.
    case delta
  }

  /// Larger statements gain nothing and hold more memory on both sides.
  static let rowsPerStatement = 8_192

  private struct Key: Hashable {
    var kind: Kind
    var table: TimedTable
  }

  private let texts: [Key: String]

  init(_ schema: ViewSchema) {
    var texts: [Key: String] = [:]
    for table in TimedTable.all(of: schema.pipeline) {
      for kind in Kind.allCases {
        texts[Key(kind: kind, table: table)] = WindowStatements.sql(kind, table, in: schema)
      }
    }
    self.texts = texts
  }

  /// Writes everything of a batch that belongs to a time.
  ///
  /// - Parameter trends: indices of the trends that are not written yet.
  func write(
    _ batch: CommitBatch, trends: [Int], source: Int32, _ parameters: inout PostgresParameters,
    _ connection: PostgresConnection
  ) throws(PostgresError) {
    for windows in batch.windows {
      for level in WindowLevel.allCases {
        let table = TimedTable.windows(windows.measure, level)
        for (rows, kind) in [(windows.rows, Kind.absolute), (windows.deltas, Kind.delta)] {
          let indices = rows.indices.filter { rows[$0].level == level }
          try write(rows, indices[...], kind, table, source: source, &parameters, connection)
        }
      }
    }
    try write(trends: batch.trends, trends[...], source: source, &parameters, connection)
  }

  /// Writes those of the rows that are at `indices`.
  func write(
    trends rows: [TrendRow], _ indices: ArraySlice<Int>, source: Int32,
    _ parameters: inout PostgresParameters, _ connection: PostgresConnection
  ) throws(PostgresError) {
    try write(rows, indices, .absolute, .trends, source: source, &parameters, connection)
  }

  /// Writes those of `rows` that are at `indices`. Absolute rows have distinct keys.
  private func write<Row: TimedRow>(
    _ rows: [Row], _ indices: ArraySlice<Int>, _ kind: Kind, _ table: TimedTable, source: Int32,
    _ parameters: inout PostgresParameters, _ connection: PostgresConnection
  ) throws(PostgresError) {
    guard !indices.isEmpty else { return }
    guard let sql = texts[Key(kind: kind, table: table)] else {
      preconditionFailure("rows of \(table.name) come only from pipelines that declare them")
    }
    var rest = indices
    while !rest.isEmpty {
      let chunk = rest.prefix(WindowStatements.rowsPerStatement)
      rest = rest.dropFirst(WindowStatements.rowsPerStatement)
      parameters.removeAll()
      parameters.append(int4: source)
      parameters.append(timestamptzArray: chunk) { rows[$0].time }
      parameters.append(int8Array: chunk) { rows[$0].dimensionID }
      parameters.append(int8Array: chunk) { rows[$0].counts.impressions }
      parameters.append(int8Array: chunk) { rows[$0].counts.views }
      parameters.append(int8Array: chunk) { rows[$0].counts.clicks }
      parameters.append(int8Array: chunk) { rows[$0].counts.engagements }
      parameters.append(int8Array: chunk) { rows[$0].counts.conversions }
      parameters.append(int8Array: chunk) { rows[$0].counts.revenueMicros }
      parameters.append(int4Array: chunk) { rows[$0].revision }
      parameters.append(boolArray: chunk) { rows[$0].isFinal }
      _ = try connection.query(prepared: "\(kind)_\(table.name)", sql, parameters)
    }
  }

  private static func sql(_ kind: Kind, _ table: TimedTable, in schema: ViewSchema) -> String {
    let sums = table.sums
    let select: String
    let assignments: [String]
    switch kind {
    case .absolute:
      select = "w, d, $1, a, b, c, e, f, g, r, x from rows"
      assignments = (sums + ["revision", "final"]).map { "\($0) = excluded.\($0)" }
    case .delta:
      // A batch may correct a row more than once.
      let totals = zip(["a", "b", "c", "e", "f", "g"], sums).map { place, column in
        table.bounded.contains(column) ? SumText.int8("sum(\(place))") : "sum(\(place))::int8"
      }
      select =
        "w, d, $1, \(totals.joined(separator: ", ")), sum(r)::int4, true from rows group by w, d"
      assignments =
        (sums + ["revision"]).map { column in
          let sum =
            table.bounded.contains(column)
            ? SumText.int8("t.\(column)::numeric + excluded.\(column)")
            : "t.\(column) + excluded.\(column)"
          return "\(column) = \(sum)"
        } + ["final = true"]
    }
    let key = "\(table.time), dimension_id, source"
    return """
      with rows as (
        select * from unnest($2::timestamptz[], $3::int8[], $4::int8[], $5::int8[], $6::int8[],
          $7::int8[], $8::int8[], $9::int8[], $10::int4[], $11::bool[])
          as u (w, d, a, b, c, e, f, g, r, x))
      insert into \(schema.table(table)) as t
        (\(key), \(sums.joined(separator: ", ")), revision, final)
      select \(select)
      on conflict (\(key)) do update set
        \(assignments.joined(separator: ", "))
      """
  }
}
