import Dataflow
import Events
import PostgresClient
import Ports
import Views

/// What commits of the last minutes have added to rows of windows that had left state: whoever keeps sums of such
/// windows adds the same (``SettledSums``).
///
/// Rows are deltas as they were added, with the sequence up to which their commit went. A commit that corrects very
/// much, as an import of history does, is noted by one row of no level: what is kept of its stream is read anew.
enum CorrectionTable {
  /// Whoever keeps sums must look here more often than that, with room for a slow clock; see ``creation(in:)``.
  static let reach = Duration.seconds(300)
  private static let kept = "15 minutes"
  /// Deltas that are noted one by one.
  private static let deltaCountMax = 4_096
  private static let everything: Int16 = -1

  static func creation(in schema: String) -> String {
    """
    create table if not exists \(schema).corrections (
      source int not null,
      sequence bigint not null,
      measure smallint not null,
      level smallint not null,
      window_start timestamptz not null,
      dimension_id bigint not null,
      s1 bigint not null,
      s2 bigint not null,
      s3 bigint not null,
      s4 bigint not null,
      s5 bigint not null,
      s6 bigint not null,
      noted_at timestamptz not null default now());
    create index if not exists corrections_by_sequence on \(schema).corrections (source, sequence);
    create index if not exists corrections_by_age on \(schema).corrections (noted_at);
    """
  }

  private struct Delta {
    var measure: Measure
    var level: Int16
    var row: WindowRow
  }

  /// Notes what a commit corrects, in its transaction.
  static func write(
    _ batch: CommitBatch, source: Int32, in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) {
    var deltas: [Delta] = []
    for windows in batch.windows {
      deltas += windows.deltas.map {
        Delta(measure: windows.measure, level: Int16($0.level.rawValue), row: $0)
      }
    }
    guard var last = deltas.last else { return }
    if deltas.count > deltaCountMax {
      last.level = everything
      deltas = [last]
    }
    var parameters = PostgresParameters(capacity: 96 * deltas.count)
    parameters.append(int4: source)
    parameters.append(int8: Int64(bitPattern: batch.checkpoint.sequence))
    parameters.append(int2Array: deltas) { Int16($0.measure.rawValue) }
    parameters.append(int2Array: deltas) { $0.level }
    parameters.append(timestamptzArray: deltas) { $0.row.start }
    parameters.append(int8Array: deltas) { $0.row.dimensionID }
    let places: [KeyPath<Counts, Int64>] = [
      \.impressions, \.views, \.clicks, \.engagements, \.conversions, \.revenueMicros,
    ]
    for place in places { parameters.append(int8Array: deltas) { $0.row.counts[keyPath: place] } }
    _ = try connection.query(
      prepared: "corrections",
      """
      insert into \(schema.name).corrections
        (source, sequence, measure, level, window_start, dimension_id, s1, s2, s3, s4, s5, s6)
      select $1, $2, * from unnest($3::int2[], $4::int2[], $5::timestamptz[], $6::int8[],
        $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[])
      """, parameters)
    try connection.execute(
      "delete from \(schema.name).corrections where noted_at < now() - interval '\(kept)'")
  }

  /// Whether there is one: a program of before corrections were noted may have made the schema.
  static func exists(
    in schema: ViewSchema, _ connection: PostgresConnection
  ) throws(PostgresError) -> Bool {
    let result = try connection.query(
      "select to_regclass('\(schema.name).corrections') is not null")
    try result.require(.bool)
    return result.bool(0, 0)
  }

  /// A row of what was noted.
  struct Noted {
    var source: Int32
    var sequence: UInt64
    var measure: Measure
    /// Nil for everything.
    var level: WindowLevel?
    /// Of the window.
    var start: Int64
    var dimensionID: Int64
    var counts: Counts
    /// The corrected row's.
    var revision: Int32
  }

  /// What commits past these sequences have noted, by source and sequence; nil where there is more than
  /// `rowCountMax`.
  ///
  /// - Parameter sequences: by source, at least one.
  static func rows(
    after sequences: [Int32: UInt64], rowCountMax: Int, in schema: ViewSchema,
    _ connection: PostgresConnection
  ) throws(PostgresError) -> [Noted]? {
    var parameters = PostgresParameters()
    let condition = condition(after: sequences, &parameters)
    // A scalar query is the index's way to a row at any size of the tables.
    let revisions = TimedTable.all(of: schema.pipeline).compactMap { table -> String? in
      guard case .windows(let measure, let level) = table else { return nil }
      return """
        when measure = \(measure.rawValue) and level = \(level.rawValue) then (
          select t.revision from \(schema.table(table)) t
          where t.window_start = m.window_start and t.dimension_id = m.dimension_id
            and t.source = m.source)
        """
    }
    let result = try connection.query(
      prepared: "corrections_rows_\(sequences.count)",
      """
      select source, sequence, measure, level, window_start, dimension_id, s1, s2, s3, s4, s5, s6,
        coalesce(case \(revisions.joined(separator: " ")) end, 0)
      from \(schema.name).corrections m where \(condition)
      order by source, sequence limit \(rowCountMax + 1)
      """, parameters)
    try result.require(
      .int4, .int8, .int2, .int2, .timestamptz, .int8, .int8, .int8, .int8, .int8, .int8, .int8,
      .int4)
    guard result.rowCount <= rowCountMax else { return nil }
    return (0..<result.rowCount).compactMap { row in
      guard let measure = Measure(rawValue: UInt8(clamping: result.int2(row, 2))) else {
        return nil
      }
      return Noted(
        source: result.int4(row, 0), sequence: UInt64(bitPattern: result.int8(row, 1)),
        measure: measure, level: WindowLevel(rawValue: Int(result.int2(row, 3))),
        start: result.timestamptz(row, 4), dimensionID: result.int8(row, 5),
        counts: Counts(
          impressions: result.int8(row, 6), views: result.int8(row, 7),
          clicks: result.int8(row, 8), engagements: result.int8(row, 9),
          conversions: result.int8(row, 10), revenueMicros: result.int8(row, 11)),
        revision: result.int4(row, 12))
    }
  }

  /// True of what commits past these sequences have noted.
  private static func condition(
    after sequences: [Int32: UInt64], _ parameters: inout PostgresParameters
  ) -> String {
    var conditions: [String] = []
    for (source, sequence) in sequences.sorted(by: { $0.key < $1.key }) {
      parameters.append(int4: source)
      parameters.append(int8: Int64(bitPattern: sequence))
      let last = parameters.count
      conditions.append("(source = $\(last - 1) and sequence > $\(last))")
    }
    return "(\(conditions.joined(separator: " or ")))"
  }
}
