import Dataflow
import Events
import PostgresClient
import Views

/// Incidents: table `incidents`, a row each, replaced as a whole while it changes.
///
/// Series are three arrays of the same length; times in them are microseconds since the epoch. Numbers that
/// are no whole ones go as texts that read back to the same bits. `digest` is ``IncidentRow/digest``, by which
/// a recount compares rows.
enum IncidentTable {
  private static let rowsPerStatement = 1_024

  static func creation(in schema: String) -> String {
    """
    create table if not exists \(schema).incidents (
      id bigint primary key,
      site text collate "C" not null,
      campaign text collate "C" not null,
      content text collate "C" not null,
      kind smallint not null,
      begin_at timestamptz not null,
      end_at timestamptz,
      evidence float8 not null,
      severity smallint not null,
      observed bigint not null,
      expected float8 not null,
      expected_lower float8 not null,
      expected_upper float8 not null,
      series_start bigint[] not null,
      series_observed bigint[] not null,
      series_expected float8[] not null,
      contributor_dimension text collate "C",
      contributor_value text collate "C",
      contributor_share float8,
      group_id bigint not null,
      feedback smallint,
      revision int not null,
      digest bigint not null,
      updated_at timestamptz not null default now()
    ) with (fillfactor = 60);
    create index if not exists incidents_by_time on \(schema).incidents (begin_at, id);
    create index if not exists incidents_by_group on \(schema).incidents (group_id);
    create index if not exists incidents_open on \(schema).incidents (site) where end_at is null;
    """
  }

  /// Writes rows with distinct ids, and drops those that are older than their retention.
  ///
  /// - Parameter logTime: of the second stage, microseconds since the epoch.
  static func write(
    _ rows: [IncidentRow], logTime: Int64, in schema: ViewSchema,
    _ connection: PostgresConnection
  ) throws(PostgresError) {
    if rows.isEmpty { return }
    var rest = rows[...]
    while !rest.isEmpty {
      let chunk = rest.prefix(rowsPerStatement)
      rest = rest.dropFirst(rowsPerStatement)
      var parameters = PostgresParameters(capacity: 2_048 * chunk.count)
      append(chunk, to: &parameters)
      _ = try connection.query(prepared: "incidents", statement(schema), parameters)
    }
    guard logTime > .min + IncidentRow.retention else { return }
    var parameters = PostgresParameters()
    parameters.append(timestamptz: logTime - IncidentRow.retention)
    _ = try connection.query(
      prepared: "old_incidents", "delete from \(schema.name).incidents where begin_at < $1",
      parameters)
  }

  private static func append(
    _ rows: ArraySlice<IncidentRow>, to parameters: inout PostgresParameters
  ) {
    parameters.append(int8Array: rows) { $0.id }
    parameters.append(textArray: rows) { StoredText.encode($0.site) }
    parameters.append(textArray: rows) { StoredText.encode($0.campaign) }
    parameters.append(textArray: rows) { StoredText.encode($0.content) }
    parameters.append(int2Array: rows) { Int16($0.kind.rawValue) }
    parameters.append(timestamptzArray: rows) { $0.begin }
    parameters.append(timestamptzArray: rows) { $0.end ?? .max }
    parameters.append(textArray: rows) { "\($0.evidence)" }
    parameters.append(int2Array: rows) { Int16($0.severity.rawValue) }
    parameters.append(int8Array: rows) { $0.observed }
    parameters.append(textArray: rows) { "\($0.expected)" }
    parameters.append(textArray: rows) { "\($0.lower)" }
    parameters.append(textArray: rows) { "\($0.upper)" }
    parameters.append(textArray: rows) { array($0.series.map { "\($0.start)" }) }
    parameters.append(textArray: rows) { array($0.series.map { "\($0.observed)" }) }
    parameters.append(textArray: rows) { array($0.series.map { "\($0.expected)" }) }
    parameters.append(textArray: rows) { $0.contributor?.dimension.name ?? "" }
    parameters.append(textArray: rows) { StoredText.encode($0.contributor?.value ?? "") }
    parameters.append(textArray: rows) { "\($0.contributor?.share ?? 0)" }
    parameters.append(int8Array: rows) { $0.group }
    parameters.append(int2Array: rows) { Int16($0.feedback?.rawValue ?? 0) }
    parameters.append(int4Array: rows) { $0.revision }
    parameters.append(int8Array: rows) { $0.digest }
  }

  private static func array(_ elements: [String]) -> String {
    "{\(elements.joined(separator: ","))}"
  }

  private static let columns = [
    "id", "site", "campaign", "content", "kind", "begin_at", "end_at", "evidence", "severity",
    "observed", "expected", "expected_lower", "expected_upper", "series_start",
    "series_observed", "series_expected", "contributor_dimension", "contributor_value",
    "contributor_share", "group_id", "feedback", "revision", "digest",
  ]

  private static func statement(_ schema: ViewSchema) -> String {
    let assignments = columns.dropFirst().map { "\($0) = excluded.\($0)" }
      .joined(separator: ", ")
    return """
      insert into \(schema.name).incidents (\(columns.joined(separator: ", ")))
      select i, s, c, n, k, b, nullif(e, 'infinity'), v::float8, y, o, x::float8, l::float8,
        u::float8, ss::int8[], so::int8[], sx::float8[], nullif(cd, ''),
        case when cd <> '' then cv end, case when cd <> '' then cs::float8 end, g, nullif(f, 0),
        r, d
      from unnest($1::int8[], $2::text[], $3::text[], $4::text[], $5::int2[],
        $6::timestamptz[], $7::timestamptz[], $8::text[], $9::int2[], $10::int8[], $11::text[],
        $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
        $19::text[], $20::int8[], $21::int2[], $22::int4[], $23::int8[])
        as z (i, s, c, n, k, b, e, v, y, o, x, l, u, ss, so, sx, cd, cv, cs, g, f, r, d)
      on conflict (id) do update set \(assignments), updated_at = now()
      """
  }
}
