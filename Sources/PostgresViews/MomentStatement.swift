import Dataflow
import Events
import PostgresClient
import Ports
import Views

/// Reads one instant of a pipeline version for all who share it: checkpoints, what was corrected since the last time
/// (``CorrectionLog``), rows of windows that have left the state of every stream since then (``SettledWindows``), and rows of
/// those that have left the state of some streams and not of all.
///
///     windows of a level   ── before every seam ──┤─ between seams ─├── from every seam on ──▶
///                          sums that are kept       these rows        the hot copy
struct MomentStatement {
  let measure: Measure
  let levels: [WindowLevel]
  /// One more is read.
  let rowCountMax: Int
  let schema: ViewSchema

  func run(
    _ settled: SettledSums, _ tuples: KnownTuples, _ session: PostgresConnection
  ) throws(PostgresError) -> DurableMoment {
    let asOf = ContinuousClock.now
    return try session.transaction(.snapshotRead) { session throws(PostgresError) in
      let moment = SettledSums.Moment(
        checkpoints: try CheckpointTable.read(in: schema, session).mapValues(\.checkpoint),
        asOf: asOf)
      try settled.note(moment, tuples: tuples, in: schema, session)
      for level in levels {
        try settled.note(measure, level, leftBy: moment) { range throws(PostgresError) in
          try rows(of: level, starting: range, tuples, session)
        }
      }
      return .commit(
        DurableMoment(
          checkpoints: moment.checkpoints, asOf: asOf,
          rows: try rowsBetweenSeams(moment, tuples, session)))
    }
  }

  private func rowsBetweenSeams(
    _ moment: SettledSums.Moment, _ tuples: KnownTuples, _ session: PostgresConnection
  ) throws(PostgresError) -> [HotRow] {
    let sources = moment.sources(measure)
    var parameters = PostgresParameters()
    var parts: [String] = []
    for level in levels {
      let seams = sources.map { $0.checkpoint.seams[level] }
      guard let first = seams.min(), let last = seams.max(), first < last else { continue }
      parameters.append(timestamptz: first)
      let from = parameters.count
      parameters.append(timestamptz: last)
      let sums = measure.columns.map { "m.\($0)" }.joined(separator: ", ")
      parts.append(
        """
        select \(level.rawValue)::int2 as level, m.window_start, m.dimension_id, \(sums), m.revision
        from \(schema.table(.windows(measure, level))) m join \(schema.name).checkpoints c
          on c.source = m.source and m.window_start < c.\(ViewSchema.seamColumn(level))
        where m.window_start >= $\(from) and m.window_start < $\(from + 1)
        """)
    }
    if parts.isEmpty { return [] }
    let result = try session.query(
      parts.joined(separator: "\nunion all\n") + " limit \(rowCountMax + 1)", parameters)
    try result.require(
      .int2, .timestamptz, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int4)
    let texts = try tuples.read(
      (0..<result.rowCount).map { result.int8($0, 2) }, in: schema, session
    ).mapValues(\.encoded)
    var rows: [HotRow] = []
    for row in 0..<result.rowCount {
      let id = result.int8(row, 2)
      guard let level = WindowLevel(rawValue: Int(result.int2(row, 0))), let tuple = texts[id]
      else { throw .unexpectedResult("a row of \(measure.tableName) has no tuple") }
      rows.append(
        HotRow(
          row: WindowRow(
            level: level, start: result.timestamptz(row, 1), dimensionID: id,
            counts: Counts(
              impressions: result.int8(row, 3), views: result.int8(row, 4),
              clicks: result.int8(row, 5), engagements: result.int8(row, 6),
              conversions: result.int8(row, 7), revenueMicros: result.int8(row, 8)),
            revision: result.int4(row, 9), isFinal: true), tuple: tuple))
    }
    return rows
  }

  /// Rows of windows that have left every stream's state, those of all streams as one; nil where there are too many.
  private func rows(
    of level: WindowLevel, starting range: Range<Int64>, _ tuples: KnownTuples,
    _ session: PostgresConnection
  ) throws(PostgresError) -> [SettledRow]? {
    var parameters = PostgresParameters()
    parameters.append(timestamptz: range.lowerBound)
    parameters.append(timestamptz: range.upperBound)
    let sums = measure.columns.map { SumText.int8("sum(\($0))") }.joined(separator: ", ")
    let result = try session.query(
      """
      select window_start, dimension_id, \(sums), max(revision)
      from \(schema.table(.windows(measure, level)))
      where window_start >= $1 and window_start < $2
      group by window_start, dimension_id limit \(SettledWindows.rowCountMax + 1)
      """, parameters)
    try result.require(.timestamptz, .int8, .int8, .int8, .int8, .int8, .int8, .int8, .int4)
    guard result.rowCount <= SettledWindows.rowCountMax else { return nil }
    let texts = try tuples.read(
      (0..<result.rowCount).map { result.int8($0, 1) }, in: schema, session)
    var rows: [SettledRow] = []
    rows.reserveCapacity(result.rowCount)
    for row in 0..<result.rowCount {
      guard let tuple = texts[result.int8(row, 1)] else {
        throw .unexpectedResult("a row of \(measure.tableName) has no tuple")
      }
      rows.append(
        SettledRow(
          measure: measure, level: level, start: result.timestamptz(row, 0), tuple: tuple,
          counts: Counts(
            impressions: result.int8(row, 2), views: result.int8(row, 3),
            clicks: result.int8(row, 4), engagements: result.int8(row, 5),
            conversions: result.int8(row, 6), revenueMicros: result.int8(row, 7)),
          revision: result.int4(row, 8)))
    }
    return rows
  }
}
