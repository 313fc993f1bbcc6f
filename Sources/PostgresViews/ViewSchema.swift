import Dataflow
import PostgresClient
import Ports
import Views

/// The tables of one pipeline version, and how they come into being.
///
/// `smartcontent.pipelines` lists the versions; each version has a schema `p_<name>_<version>` of
/// its own, so a rebuild writes version n+1 beside n. `migrate` may run in any number of processes
/// at once and any number of times: it is one transaction behind an advisory lock, and every
/// statement does nothing where its work is done.
struct ViewSchema: Sendable {
  /// `p_<name>_<version>`, safe to write into SQL without quotes.
  let name: String
  let pipeline: PipelineSpec

  /// - Throws: `refused` if the pipeline's name can't be part of an identifier.
  init(_ pipeline: PipelineSpec) throws(ViewStoreError) {
    let letters = pipeline.name.utf8
    let isPlain = letters.allSatisfy {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "_")
    }
    // Postgres cuts identifiers at 63 bytes; the version takes up to 19 digits.
    guard isPlain, (1...40).contains(letters.count), pipeline.version > 0 else {
      throw .refused(
        "pipeline names are 1 to 40 of a-z, 0-9 and _, versions are 1 or more")
    }
    name = "p_\(pipeline.name)_\(pipeline.version)"
    self.pipeline = pipeline
  }

  func table(_ table: TimedTable) -> String { "\(name).\(table.name)" }
  static func seamColumn(_ level: WindowLevel) -> String { "seam_\(level.name)" }

  /// Takes the advisory lock for changes of the catalog (the bytes of `smartcon`), to the end of
  /// the transaction.
  static let lockCatalog = "select pg_advisory_xact_lock(\(0x736d_6172_7463_6f6e))"
  /// The same for changes of this version's tables. Taken after the catalog's where both are.
  var lockTables: String { "select pg_advisory_xact_lock(hashtextextended('\(name)', 0))" }

  /// Makes what is missing.
  /// - Throws: `otherPipeline` if this name and version were declared differently before.
  func migrate(_ connection: PostgresConnection) throws(ViewStoreError) {
    let declared = pipeline.hash
    let stored: UInt64
    do throws(PostgresError) {
      stored = try connection.transaction { connection throws(PostgresError) in
        try connection.execute("\(ViewSchema.lockCatalog); \(lockTables)")
        try connection.execute(ViewSchema.catalog + PipelineCatalog.columns)
        let (hash, isActive) = try register(connection)
        guard hash == declared else { return .rollback(hash) }
        try connection.execute(tables)
        if isActive {
          try PublishedViews(of: pipeline.name, version: Int32(clamping: pipeline.version))
            .publish(connection)
        }
        return .commit(hash)
      }
    } catch {
      throw ViewStoreError(error)
    }
    guard stored == declared else { throw .otherPipeline(stored: stored, declared: declared) }
  }

  /// - Returns: the hash that this name and version have in the catalog, and whether queries read it.
  private func register(
    _ connection: PostgresConnection
  ) throws(PostgresError) -> (hash: UInt64, isActive: Bool) {
    var parameters = PostgresParameters()
    parameters.append(text: pipeline.name)
    parameters.append(int4: Int32(clamping: pipeline.version))
    parameters.append(int8: Int64(bitPattern: pipeline.hash))
    parameters.append(text: pipeline.declaration)
    _ = try connection.query(
      """
      insert into smartcontent.pipelines as t (name, version, hash, declaration, active)
      select $1, $2, $3, $4, not exists (
        select from smartcontent.pipelines where name = $1 and active)
      on conflict (name, version) do update set declaration = excluded.declaration
        where t.hash = excluded.hash and t.declaration <> excluded.declaration
      """, parameters)
    let result = try connection.query(
      """
      select hash, active from smartcontent.pipelines
      where name = $1 and version = $2 and $3 is not null and $4 is not null
      """, parameters)
    try result.require(.int8, .bool)
    return (UInt64(bitPattern: result.int8(0, 0)), result.bool(0, 1))
  }

  static let catalog = """
    create schema if not exists smartcontent;
    create table if not exists smartcontent.pipelines (
      name text collate "C" not null,
      version int not null,
      hash bigint not null,
      active bool not null,
      created_at timestamptz not null default now(),
      primary key (name, version));
    create unique index if not exists pipelines_active
      on smartcontent.pipelines (name) where active;
    create table if not exists smartcontent.processes (
      id text collate "C" primary key,
      host text not null,
      pid int not null,
      start_ticks bigint not null,
      pipelines text not null,
      started_at timestamptz not null,
      seen_at timestamptz not null,
      seen_until timestamptz not null
    ) with (fillfactor = 50);
    """

  private var tables: String {
    """
    create schema if not exists \(name);
    create table if not exists \(name).checkpoints (
      stream text collate "C" primary key,
      partition int not null,
      generation int not null,
      source int unique,
      epoch bigint not null,
      owner text collate "C",
      sequence bigint not null default 0,
      commits bigint not null default 0,
      fingerprint_checksum bigint not null default 0,
      fingerprint_stored_at bigint not null default 0,
      log_time bigint not null default \(Int64.min),
      watermark bigint not null default \(Int64.min),
      coarse_sequence bigint not null default 0,
      last_delta_sequence bigint not null default 0,
      seam_10s timestamptz not null default '-infinity',
      seam_1m timestamptz not null default '-infinity',
      seam_1h timestamptz not null default '-infinity',
      seam_1d timestamptz not null default '-infinity',
      sources text collate "C" not null default '',
      updated_at timestamptz not null default now()
    ) with (fillfactor = 50);
    do $$ begin
      -- Tables of before streams had owners. Altered only there: it waits for every reader.
      if not exists (select from information_schema.columns where table_schema = '\(name)'
        and table_name = 'checkpoints' and column_name = 'owner')
      then alter table \(name).checkpoints add column owner text collate "C"; end if;
    end $$;
    create table if not exists \(name).accounting (
      stream text collate "C" primary key,
      received bigint not null,
      on_time bigint not null,
      late bigint not null,
      too_late bigint not null,
      duplicate bigint not null,
      rejected bigint not null,
      clamped_future bigint not null
    ) with (fillfactor = 50);
    create table if not exists \(name).dimensions (
      id bigint primary key,
      site text collate "C" not null,
      campaign text collate "C" not null,
      content text collate "C" not null,
      variant text collate "C" not null,
      channel text collate "C" not null,
      currency text collate "C" not null,
      traffic text collate "C" not null default '',
      unique (site, campaign, content, variant, channel, currency, traffic));
    do $$ begin
      -- Tables of before bots were told from people.
      if not exists (select from information_schema.columns where table_schema = '\(name)'
        and table_name = 'dimensions' and column_name = 'traffic')
      then
        alter table \(name).dimensions add column traffic text collate "C" not null default '';
        execute (select format('alter table \(name).dimensions drop constraint %I', conname)
          from pg_constraint where conrelid = '\(name).dimensions'::regclass and contype = 'u');
        alter table \(name).dimensions
          add unique (site, campaign, content, variant, channel, currency, traffic);
      end if;
    end $$;
    create table if not exists \(name).late_events (
      stream text collate "C" not null,
      sequence bigint not null,
      index int not null,
      event_time timestamptz not null,
      kind smallint not null,
      dimension_id bigint not null,
      revenue_micros bigint not null,
      primary key (stream, sequence, index));
    """ + CorrectionTable.creation(in: name) + TimedTable.all(of: pipeline).map(timed).joined()
      + (pipeline.anomalies == nil ? "" : IncidentTable.creation(in: name))
  }

  private func timed(_ timed: TimedTable) -> String {
    let sums = timed.sums.map { "\($0) bigint not null," }.joined(separator: "\n  ")
    return """
      create table if not exists \(table(timed)) (
        \(timed.time) timestamptz not null,
        dimension_id bigint not null,
        source int not null,
        \(sums)
        revision int not null,
        final bool not null,
        primary key (\(timed.time), dimension_id, source)
      ) partition by range (\(timed.time));
      create table if not exists \(table(timed))_before partition of \(table(timed))
        for values from (minvalue) to ('\(WindowPartition.firstYear)-01-01 00:00:00+00');
      create table if not exists \(table(timed))_after partition of \(table(timed))
        for values from ('\(WindowPartition.lastYear + 1)-01-01 00:00:00+00') to (maxvalue);
      """
  }
}

extension StreamPartition {
  /// Which rows are this stream's: generation and partition in one number (partitions stay below
  /// the 256 key groups, generations begin at 1); 0 for the second stage, of which a version has one.
  /// Nil for dead letters, which have no rows.
  var source: Int32? {
    switch role {
    case .deadLetters: return nil
    case .partials: return 0
    case .events:
      precondition(
        partition < 256 && (1..<1 << 22).contains(generation),
        "a partition is one of 256 key groups, generations begin at 1")
      return Int32(generation) << 8 | Int32(partition)
    }
  }
}

extension ViewStoreError {
  /// Transient failures are `unavailable`, a disk that is full is `full`. So is a COMMIT whose answer was lost, for everything that
  /// may be done twice; what may not settles it before it comes here.
  init(_ error: PostgresError) {
    if case .outcomeUnknown = error {
      self = .unavailable("\(error)")
    } else if error.isDiskFull {
      self = .full("\(error)")
    } else {
      self = error.isTransient ? .unavailable("\(error)") : .refused("\(error)")
    }
  }
}
