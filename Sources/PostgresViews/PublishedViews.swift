import Events
import PostgresClient

/// What other programs read: the tables of each pipeline's active version, as views in the schema `smartcontent`
/// whose names stay when a rebuild switches to another version.
///
///     p_default_2.metrics_1h + p_default_2.dimensions  ->  smartcontent.metrics_1h
///     p_recent_1.metrics_1h  + p_recent_1.dimensions   ->  smartcontent.recent_metrics_1h
///
/// Those of the pipeline `default` have the tables' names; those of others begin with the pipeline's. A row has
/// its dimensions in words instead of their id, and money and lengths of time in units instead of
/// millionths. A window of a tuple has a row for each stream that wrote it, so they are to be summed up.
///
/// Every table that a version has is published, found by asking Postgres: a new read model needs no line here.
/// The group role `smartcontent_read` may read the views and the list of versions, and nothing else. A view
/// is only touched where its definition changes, because that waits for its readers.
struct PublishedViews {
  static let role = "smartcontent_read"

  private let pipeline: String
  private let version: Int32

  init(of pipeline: String, version: Int32) {
    self.pipeline = pipeline
    self.version = version
  }

  /// Lets the views show this version. Within a transaction that holds the catalog's lock.
  func publish(_ connection: PostgresConnection) throws(PostgresError) {
    let wanted = try definitions(connection)
    let present = try published(connection)
    var statements = ""
    for name in present.keys.sorted() where wanted[name] == nil {
      statements += "drop view if exists smartcontent.\(name) cascade;\n"
    }
    for (name, definition) in wanted.sorted(by: { $0.key < $1.key }) {
      let comment = comment(on: definition)
      guard present[name] != comment else { continue }
      // Replaced where the columns allow it, so that what others have built on a view stays.
      statements += """
        do $$ begin
          create or replace view smartcontent.\(name) as \(definition);
        exception when invalid_table_definition then
          drop view smartcontent.\(name) cascade;
          create view smartcontent.\(name) as \(definition);
        end $$;
        comment on view smartcontent.\(name) is '\(comment)';\n
        """
    }
    try connection.execute(statements + Self.grants)
  }

  // MARK: what is there

  /// The views that this pipeline should have: a query for each of the version's tables.
  private func definitions(
    _ connection: PostgresConnection
  ) throws(PostgresError) -> [String: String] {
    let schema = "p_\(pipeline)_\(version)"
    let result = try connection.query(
      """
      select c.relname::text, a.attname::text
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = to_regnamespace('\(schema)') and c.relkind in ('r', 'p')
        and not c.relispartition and a.attnum > 0 and not a.attisdropped
      order by c.relname, a.attnum
      """)
    try result.require(.text, .text)
    var columns: [String: [String]] = [:]
    for row in 0..<result.rowCount {
      columns[result.text(row, 0), default: []].append(result.text(row, 1))
    }
    let dimensions = columns["dimensions", default: []].filter { $0 != "id" }.map { "d.\($0)" }
    var definitions: [String: String] = [:]
    for (table, columns) in columns {
      let shown = columns.flatMap { $0 == "dimension_id" ? dimensions : Self.expressions($0) }
      var definition = "select \(shown.joined(separator: ", ")) from \(schema).\(table) t"
      if columns.contains("dimension_id") {
        definition += " join \(schema).dimensions d on d.id = t.dimension_id"
      }
      definitions[pipeline == "default" ? table : "\(pipeline)_\(table)"] = definition
    }
    return definitions
  }

  /// The views that this pipeline has, with their comments.
  private func published(
    _ connection: PostgresConnection
  ) throws(PostgresError) -> [String: String] {
    let result = try connection.query(
      """
      select c.relname::text, obj_description(c.oid, 'pg_class')
      from pg_class c where c.relnamespace = 'smartcontent'::regnamespace and c.relkind = 'v'
        and starts_with(obj_description(c.oid, 'pg_class'), 'Pipeline \(pipeline), ')
      """)
    try result.require(.text, .text)
    var comments: [String: String] = [:]
    for row in 0..<result.rowCount { comments[result.text(row, 0)] = result.text(row, 1) }
    return comments
  }

  /// Tells whose a view is, and one definition from another.
  private func comment(on definition: String) -> String {
    var definition = definition
    let checksum = definition.withUTF8 { CRC32C.checksum(UnsafeRawBufferPointer($0)) }
    return "Pipeline \(pipeline), version \(version), definition \(String(checksum, radix: 16))"
  }

  // MARK: columns

  /// Of the engine alone: whose a row is, and where its owner stands.
  private static let hidden: Set<String> = [
    "source", "sources", "owner", "epoch", "fingerprint_checksum", "fingerprint_stored_at",
    "coarse_sequence", "last_delta_sequence", "digest",
  ]

  /// What a view shows of a column; nothing for those that only the engine reads.
  private static func expressions(_ column: String) -> [String] {
    switch column {
    case _ where hidden.contains(column): []
    case "log_time", "watermark":
      // Microseconds; the least number stands for none.
      [
        "case when t.\(column) > \(Int64.min) then to_timestamp(t.\(column) / 1e6) end as \(column)"
      ]
    case "session_micros": ["t.session_micros / 1e6 as session_seconds"]
    case _ where column.hasSuffix("_micros"):
      ["t.\(column) / 1e6 as \(column.dropLast("_micros".count))"]
    default: ["t.\(column)"]
    }
  }

  /// The role may be missing where this user must not make it; the rights follow once it is there.
  private static let grants = """
    do $$ declare relation text; begin
      if not exists (select from pg_roles where rolname = '\(role)')
        and (select rolsuper or rolcreaterole from pg_roles where rolname = current_user)
      then
        begin
          create role \(role) nologin;
        exception when duplicate_object or unique_violation then null;
        end;
      end if;
      for relation in
        select c.oid::regclass::text from pg_class c join pg_roles r on r.rolname = '\(role)'
        where c.relnamespace = 'smartcontent'::regnamespace
          and (c.relkind = 'v' or c.relname = 'pipelines')
          and not has_table_privilege(r.oid, c.oid, 'select')
      loop
        execute format('grant select on %s to \(role)', relation);
        grant usage on schema smartcontent to \(role);
      end loop;
    end $$;
    """
}
