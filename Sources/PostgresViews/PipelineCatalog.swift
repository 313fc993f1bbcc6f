public import Dataflow
public import Ports
public import PostgresClient

/// A version of a pipeline's read models, as the catalog `smartcontent.pipelines` has it.
public struct PipelineVersion: Hashable, Sendable {
  public enum State: String, Sendable {
    /// A rebuild is computing it; processors leave it alone. Becomes `live`.
    case building
    /// Processors keep it up to date, whether queries read it or not. Becomes `dropped`.
    case live
    /// Its rows are gone or going; its number is never used again.
    case dropped
  }

  public var name: String
  public var version: Int
  /// ``PipelineSpec/hash`` of the declaration that computes it.
  public var hash: UInt64
  public var state: State
  /// Whether queries read it; of each pipeline exactly one version.
  public var isActive: Bool
  /// Microseconds since the epoch.
  public var createdAt: Int64
  /// When queries were last switched to it, microseconds since the epoch; nil for never.
  public var activatedAt: Int64?
  /// What computes it; nil where this program would compute something else.
  public var spec: PipelineSpec?
}

/// The versions of pipelines that stand side by side, and which of them queries read.
///
/// Blocks its thread; connects by itself and anew after a failure. Not `Sendable`.
public final class PipelineCatalog {
  private let settings: PostgresSettings
  private var connection: PostgresConnection?
  private var isMigrated = false

  /// What versions need beside the columns that the table began with.
  static let columns = """
    do $$ begin
      -- Altered only where need be: it waits for every reader.
      if not exists (select from information_schema.columns where table_schema = 'smartcontent'
        and table_name = 'pipelines' and column_name = 'declaration')
      then alter table smartcontent.pipelines
        add column state text collate "C" not null default 'live',
        add column declaration text collate "C" not null default '',
        add column activated_at timestamptz; end if;
    end $$;
    """

  public init(_ settings: PostgresSettings) { self.settings = settings }

  /// Every version, dropped ones too, by name and version.
  public func versions() throws(ViewStoreError) -> [PipelineVersion] {
    try run { connection throws(PostgresError) in
      let result = try connection.query(
        """
        select name, version, hash, state, active, created_at, activated_at, declaration
        from smartcontent.pipelines order by name, version
        """)
      try result.require(
        .text, .int4, .int8, .text, .bool, .timestamptz, .timestamptz, .text)
      return (0..<result.rowCount).map { row in
        let hash = UInt64(bitPattern: result.int8(row, 2))
        let spec = PipelineSpec(declaration: result.text(row, 7))
        return PipelineVersion(
          name: result.text(row, 0), version: Int(result.int4(row, 1)), hash: hash,
          state: PipelineVersion.State(rawValue: result.text(row, 3)) ?? .live,
          isActive: result.bool(row, 4), createdAt: result.timestamptz(row, 5),
          activatedAt: result.isNull(row, 6) ? nil : result.timestamptz(row, 6),
          spec: spec?.hash == hash ? spec : nil)
      }
    }
  }

  /// Registers a version that is to be built, where it is not there yet.
  ///
  /// - Throws: `otherPipeline` where this version is there with another declaration.
  public func begin(_ spec: PipelineSpec) throws(ViewStoreError) {
    _ = try ViewSchema(spec)
    let stored: UInt64 = try run { connection throws(PostgresError) in
      var parameters = PostgresParameters()
      parameters.append(text: spec.name)
      parameters.append(int4: Int32(clamping: spec.version))
      parameters.append(int8: Int64(bitPattern: spec.hash))
      parameters.append(text: spec.declaration)
      return try connection.transaction { connection throws(PostgresError) in
        try connection.execute(ViewSchema.lockCatalog)
        _ = try connection.query(
          """
          insert into smartcontent.pipelines (name, version, hash, declaration, state, active)
          values ($1, $2, $3, $4, 'building', false) on conflict do nothing
          """, parameters)
        let result = try connection.query(
          """
          select hash from smartcontent.pipelines
          where name = $1 and version = $2 and $3 is not null and $4 is not null
          """, parameters)
        try result.require(.int8)
        return .commit(UInt64(bitPattern: result.int8(0, 0)))
      }
    }
    guard stored == spec.hash else { throw .otherPipeline(stored: stored, declared: spec.hash) }
  }

  /// Lets queries read this version from now on, processors keep it, and published views show it: one
  /// transaction.
  ///
  /// - Returns: false where there is no such version.
  public func activate(_ name: String, version: Int) throws(ViewStoreError) -> Bool {
    try run { connection throws(PostgresError) in
      var parameters = PostgresParameters()
      parameters.append(text: name)
      parameters.append(int4: Int32(clamping: version))
      return try connection.transaction { connection throws(PostgresError) in
        try connection.execute(ViewSchema.lockCatalog)
        _ = try connection.query(
          """
          update smartcontent.pipelines set active = false
          where name = $1 and version <> $2 and active
          """, parameters)
        let result = try connection.query(
          """
          update smartcontent.pipelines set active = true, state = 'live', activated_at = now()
          where name = $1 and version = $2 and state <> 'dropped' returning version
          """, parameters)
        guard result.rowCount == 1 else { return .rollback(false) }
        try PublishedViews(of: name, version: Int32(clamping: version)).publish(connection)
        return .commit(true)
      }
    }
  }

  /// Takes a version that is not active away from processors, which let go of it within seconds.
  ///
  /// - Returns: false where there is none, or it is active.
  public func retire(_ name: String, version: Int) throws(ViewStoreError) -> Bool {
    try run { connection throws(PostgresError) in
      var parameters = PostgresParameters()
      parameters.append(text: name)
      parameters.append(int4: Int32(clamping: version))
      return try connection.query(
        """
        update smartcontent.pipelines set state = 'dropped'
        where name = $1 and version = $2 and not active returning version
        """, parameters
      ).rowCount == 1
    }
  }

  /// Removes all rows of a retired version.
  public func removeRows(of spec: PipelineSpec) throws(ViewStoreError) {
    let schema = try ViewSchema(spec)
    try run { connection throws(PostgresError) in
      try connection.execute("\(schema.lockTables); drop schema if exists \(schema.name) cascade")
    }
  }

  /// How far each stream is committed; empty where the version has not been started.
  public func checkpoints(
    of spec: PipelineSpec
  ) throws(ViewStoreError) -> [StreamPartition: Checkpoint] {
    let schema = try ViewSchema(spec)
    return try run { connection throws(PostgresError) in
      let found = try connection.query(
        "select to_regclass('\(schema.name).checkpoints')::oid::int8 is not null")
      try found.require(.bool)
      guard found.bool(0, 0) else { return [:] }
      return try CheckpointTable.read(in: schema, connection).mapValues(\.checkpoint)
    }
  }

  /// Runs `body` on the connection, once more on a new one where the first had gone stale.
  private func run<Value>(
    _ body: (PostgresConnection) throws(PostgresError) -> Value
  ) throws(ViewStoreError) -> Value {
    do throws(PostgresError) {
      let open = connection
      connection = nil
      let used: PostgresConnection
      if let open, open.isConnected { used = open } else { used = try PostgresConnection(settings) }
      if !isMigrated {
        try used.transaction { connection throws(PostgresError) in
          try connection.execute(ViewSchema.lockCatalog)
          try connection.execute(ViewSchema.catalog + Self.columns)
          return .commit(())
        }
        isMigrated = true
      }
      let value = try body(used)
      connection = used
      return value
    } catch {
      throw ViewStoreError(error)
    }
  }
}
