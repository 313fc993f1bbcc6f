import PostgresClient
import Views

/// Upserts of window rows: thousands per statement, as arrays that the server unnests.
///
/// Measured at some 150,000 rows/s on one core beside the server, several times what row-by-row
/// statements in a pipeline reach.
struct WindowStatements {
  enum Kind: String {
    /// The row's values replace the stored ones.
    case absolute
    /// The row's values are added to the stored ones, which are final.
    case delta
  }

  /// Larger statements gain nothing and hold more memory on both sides.
  static let rowsPerStatement = 8_192

  private static let counts = [
    "impressions", "views", "clicks", "engagements", "conversions", "revenue_micros",
  ]
  /// By kind and level.
  private let absolute: [String]
  private let delta: [String]

  init(_ schema: ViewSchema) {
    absolute = WindowLevel.allCases.map { WindowStatements.sql(.absolute, schema.table($0)) }
    delta = WindowLevel.allCases.map { WindowStatements.sql(.delta, schema.table($0)) }
  }

  /// Writes those of `rows` that are of `level`. Absolute rows have distinct keys.
  func write(
    _ rows: [WindowRow], _ kind: Kind, _ level: WindowLevel, source: Int32,
    _ parameters: inout PostgresParameters, _ connection: PostgresConnection
  ) throws(PostgresError) {
    let ofLevel = rows.indices.filter { rows[$0].level == level }
    let sql = kind == .absolute ? absolute[level.rawValue] : delta[level.rawValue]
    var rest = ofLevel[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(WindowStatements.rowsPerStatement)
      rest = rest.dropFirst(WindowStatements.rowsPerStatement)
      parameters.removeAll()
      parameters.append(int4: source)
      parameters.append(timestamptzArray: chunk) { rows[$0].start }
      parameters.append(int8Array: chunk) { rows[$0].dimensionID }
      parameters.append(int8Array: chunk) { rows[$0].counts.impressions }
      parameters.append(int8Array: chunk) { rows[$0].counts.views }
      parameters.append(int8Array: chunk) { rows[$0].counts.clicks }
      parameters.append(int8Array: chunk) { rows[$0].counts.engagements }
      parameters.append(int8Array: chunk) { rows[$0].counts.conversions }
      parameters.append(int8Array: chunk) { rows[$0].counts.revenueMicros }
      parameters.append(int4Array: chunk) { rows[$0].revision }
      parameters.append(boolArray: chunk) { rows[$0].isFinal }
      _ = try connection.query(prepared: "\(kind)_\(level.name)", sql, parameters)
    }
  }

  private static func sql(_ kind: Kind, _ table: String) -> String {
    let select: String
    let assignments: [String]
    switch kind {
    case .absolute:
      select = "w, d, $1, a, b, c, e, f, g, r, x from rows"
      assignments =
        (counts + ["revision", "final"]).map { "\($0) = excluded.\($0)" }
    case .delta:
      // A batch may correct a row more than once.
      select =
        "w, d, $1, sum(a)::int8, sum(b)::int8, sum(c)::int8, sum(e)::int8, sum(f)::int8,"
        + " \(SumText.int8("sum(g)")), sum(r)::int4, true from rows group by w, d"
      let revenue = SumText.int8("t.revenue_micros::numeric + excluded.revenue_micros")
      assignments =
        (counts.dropLast() + ["revision"]).map { "\($0) = t.\($0) + excluded.\($0)" }
        + ["revenue_micros = \(revenue)", "final = true"]
    }
    return """
      with rows as (
        select * from unnest($2::timestamptz[], $3::int8[], $4::int8[], $5::int8[], $6::int8[],
          $7::int8[], $8::int8[], $9::int8[], $10::int4[], $11::bool[])
          as u (w, d, a, b, c, e, f, g, r, x))
      insert into \(table) as t
        (window_start, dimension_id, source, \(counts.joined(separator: ", ")), revision, final)
      select \(select)
      on conflict (window_start, dimension_id, source) do update set
        \(assignments.joined(separator: ", "))
      """
  }
}
