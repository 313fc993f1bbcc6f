import Events
import PostgresClient
import Views

/// How rows of incidents are read.
enum IncidentSelection {
  /// In the order in which ``row(_:_:)`` reads them.
  private static let columnNames = [
    "id", "site", "campaign", "content", "kind", "begin_at", "end_at", "evidence", "severity",
    "observed", "expected", "expected_lower", "expected_upper", "contributor_dimension",
    "contributor_value", "contributor_share", "group_id", "feedback", "revision",
  ]
  /// Arrays, read as texts.
  private static let seriesNames = ["series_start", "series_observed", "series_expected"]

  static let columnCount = columnNames.count + seriesNames.count

  static func table(in schema: ViewSchema) -> String { "\(schema.name).incidents" }

  static func columns(of alias: String) -> String {
    (columnNames.map { "\(alias).\($0)" }
      + seriesNames.map { "array_to_string(\(alias).\($0), ',')" }).joined(separator: ", ")
  }

  /// A row of a result whose first columns are ``columns(of:)``.
  static func row(_ result: borrowing PostgresResult, _ row: Int) -> IncidentRow {
    IncidentRow(
      id: result.int8(row, 0), site: StoredText.decode(result.text(row, 1)),
      campaign: StoredText.decode(result.text(row, 2)),
      content: StoredText.decode(result.text(row, 3)),
      kind: IncidentRow.Kind(rawValue: UInt8(clamping: result.int2(row, 4))) ?? .trafficDown,
      begin: result.timestamptz(row, 5),
      end: result.isNull(row, 6) ? nil : result.timestamptz(row, 6),
      evidence: result.double(row, 7),
      severity: IncidentRow.Severity(rawValue: UInt8(clamping: result.int2(row, 8))) ?? .info,
      observed: result.int8(row, 9), expected: result.double(row, 10),
      lower: result.double(row, 11), upper: result.double(row, 12), series: series(result, row),
      contributor: contributor(result, row), group: result.int8(row, 16),
      feedback: result.isNull(row, 17)
        ? nil : IncidentFeedback.Verdict(rawValue: UInt8(clamping: result.int2(row, 17))),
      revision: result.int4(row, 18))
  }

  private static func contributor(
    _ result: borrowing PostgresResult, _ row: Int
  ) -> IncidentRow.Contributor? {
    guard !result.isNull(row, 13), let dimension = Dimension(name: result.text(row, 13))
    else { return nil }
    return IncidentRow.Contributor(
      dimension: dimension, value: StoredText.decode(result.text(row, 14)),
      share: result.double(row, 15))
  }

  private static func series(
    _ result: borrowing PostgresResult, _ row: Int
  ) -> [IncidentRow.Point] {
    func values<Value>(_ column: Int, _ read: (Substring) -> Value?) -> [Value] {
      result.text(row, columnNames.count + column).split(separator: ",").compactMap(read)
    }
    let starts = values(0) { Int64($0) }
    let observed = values(1) { Int64($0) }
    let expected = values(2) { Double($0) }
    return zip(starts, zip(observed, expected)).map {
      IncidentRow.Point(start: $0, observed: $1.0, expected: $1.1)
    }
  }
}
