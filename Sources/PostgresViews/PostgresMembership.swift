public import Dataflow
public import Ports
public import PostgresClient
import Views

/// The group of processes in Postgres: a row per process, which its beats keep alive, and the owner
/// in each checkpoint's row.
///
///     smartcontent.processes            p_<name>_<version>.checkpoints
///     id    host  pid  seen_until       stream     owner  epoch
///     a     …     …    12:00:01.2       events-00  a      7
///     b     …     …    11:59:58.0       events-01  b      3       b's lease ran out: free to take
///
/// One lease per process instead of one per stream: a beat writes one small row of its own. A lease
/// in the checkpoint's row would have to wait at each renewal for the commit that has the row locked,
/// and would run out under a commit that takes longer than it.
///
/// Times are Postgres' `clock_timestamp()`. Beats are not synced to disk: a crash of the server that
/// loses one shortens a lease, which nobody minds while ``GroupView/uptimeMs`` is small. Blocks its
/// thread for at most the settings' times; connects by itself. Not `Sendable`.
public final class PostgresMembership: Membership {
  private let settings: PostgresSettings
  private let stop: StopGrace
  private let schemas: [ViewSchema]
  private let made: MadeTables
  /// Schemas whose declaration is the stored one; others have no owners that would concern us.
  private var usable: [ViewSchema]?
  private var connection: PostgresConnection?

  /// A beat that has no answer by then is made again, on a new session: less than a lease's length.
  private static let answerTimeoutMs = 900
  /// A session that has died without a word is found out, and another one has beaten, before the lease
  /// runs out.
  private static let silenceMs = 300
  /// A member that did not beat for so long is forgotten.
  private static let forgottenAfter = "10 minutes"

  /// - Parameters:
  ///   - settings: their time limits are for the making of tables; beats have shorter ones.
  ///   - made: gets to know the tables that the group's loops find made.
  ///   - isStopping: asked while Postgres does not answer. Once it is true calls go on for two
  ///     seconds and then give up.
  /// - Throws: `refused` if a pipeline's name can't name a schema.
  public init(
    _ settings: PostgresSettings, pipelines: [PipelineSpec], made: MadeTables = MadeTables(),
    isStopping: @escaping () -> Bool = { false }
  ) throws(ViewStoreError) {
    self.settings = settings
    self.made = made
    stop = StopGrace(isStopping)
    var schemas: [ViewSchema] = []
    for pipeline in pipelines { schemas.append(try ViewSchema(pipeline)) }
    self.schemas = schemas
  }

  public func beat(_ me: Member, leaseMs: Int) throws(ViewStoreError) -> GroupView {
    try withSession { session throws(PostgresError) in
      try keepAlive(me, leaseMs, session)
      // Owners before members: an owner that joined in between would look as if it had left.
      var owners: [PipelineStream: Ownership] = [:]
      for schema in usable ?? [] { try read(&owners, of: schema, session) }
      return try group(owners, session)
    }
  }

  public func release(_ item: PipelineStream, owner: String) throws(ViewStoreError) {
    try withSession { session throws(PostgresError) in
      for schema in usable ?? []
      where schema.pipeline.name == item.pipeline && schema.pipeline.version == item.version {
        try CheckpointTable.release(item.stream, owner: owner, in: schema, session)
      }
    }
  }

  public func remove(_ member: String) throws(ViewStoreError) {
    try withSession { session throws(PostgresError) in
      var parameters = PostgresParameters()
      parameters.append(text: member)
      _ = try session.query("delete from smartcontent.processes where id = $1", parameters)
    }
  }

  // MARK: Statements

  private func keepAlive(
    _ me: Member, _ leaseMs: Int, _ session: PostgresConnection
  ) throws(PostgresError) {
    var parameters = PostgresParameters()
    parameters.append(text: me.id)
    parameters.append(text: me.host)
    parameters.append(int4: me.pid)
    parameters.append(int8: me.startTicks)
    parameters.append(text: Self.text(me.pipelines))
    parameters.append(int8: Int64(leaseMs))
    _ = try session.query(
      prepared: "beat",
      """
      insert into smartcontent.processes as p
        (id, host, pid, start_ticks, pipelines, started_at, seen_at, seen_until)
      select $1, $2, $3, $4, $5, now, now, now + $6 * interval '1 millisecond'
      from clock_timestamp() as now
      on conflict (id) do update set
        pipelines = excluded.pipelines, seen_at = excluded.seen_at,
        seen_until = excluded.seen_until,
        started_at = case
          when p.seen_until > excluded.seen_at then p.started_at else excluded.started_at end
      """, parameters)
  }

  private func read(
    _ owners: inout [PipelineStream: Ownership], of schema: ViewSchema,
    _ session: PostgresConnection
  ) throws(PostgresError) {
    let result = try session.query(
      """
      select stream, generation, partition, owner, epoch, log_time, seam_10s
      from \(schema.name).checkpoints
      """)
    try result.require(.text, .int4, .int4, .text, .int8, .int8, .timestamptz)
    for row in 0..<result.rowCount {
      let stream = StreamPartition(
        stream: result.text(row, 0), generation: UInt32(bitPattern: result.int4(row, 1)),
        partition: Int(result.int4(row, 2)))
      owners[PipelineStream(schema.pipeline, stream)] = Ownership(
        owner: result.isNull(row, 3) ? nil : result.text(row, 3), epoch: result.int8(row, 4),
        logTime: result.int8(row, 5),
        isFinished: result.timestamptz(row, 6) == Seams.finished[.tenSeconds])
    }
  }

  private func group(
    _ owners: [PipelineStream: Ownership], _ session: PostgresConnection
  ) throws(PostgresError) -> GroupView {
    let result = try session.query(
      """
      select id, host, pid, start_ticks, pipelines, seen_until > clock_timestamp(),
        (extract(epoch from seen_at - started_at) * 1000)::int8,
        (extract(epoch from clock_timestamp() - pg_postmaster_start_time()) * 1000)::int8
      from smartcontent.processes
      """)
    try result.require(.text, .text, .int4, .int8, .text, .bool, .int8, .int8)
    var view = GroupView(live: [], lapsed: [], owners: owners, uptimeMs: 0)
    for row in 0..<result.rowCount {
      let member = Member(
        id: result.text(row, 0), host: result.text(row, 1), pid: result.int4(row, 2),
        startTicks: result.int8(row, 3), pipelines: Self.pipelines(result.text(row, 4)),
        ageMs: result.int8(row, 6))
      if result.bool(row, 5) { view.live.append(member) } else { view.lapsed.append(member) }
      view.uptimeMs = result.int8(row, 7)
    }
    return view
  }

  /// `clicks/1 reach/2`: names have no spaces or slashes.
  private static func text(_ pipelines: Set<Member.PipelineVersion>) -> String {
    pipelines.map { "\($0.name)/\($0.version)" }.sorted().joined(separator: " ")
  }

  private static func pipelines(_ text: String) -> Set<Member.PipelineVersion> {
    Set(
      text.split(separator: " ").compactMap { part in
        let halves = part.split(separator: "/")
        guard halves.count == 2, let version = Int(halves[1]) else { return nil }
        return Member.PipelineVersion(name: String(halves[0]), version: version)
      })
  }

  // MARK: The session

  private func withSession<Value>(
    _ body: (PostgresConnection) throws(PostgresError) -> Value
  ) throws(ViewStoreError) -> Value {
    let isReused = connection?.isConnected ?? false
    let session = try session()
    do throws(PostgresError) {
      return try body(session)
    } catch .outcomeUnknown(let text) {
      throw .unavailable(text)
    } catch {
      // Beats, releases and removals may be made twice.
      if isReused, case .connectionLost = error { return try withSession(body) }
      throw ViewStoreError(error)
    }
  }

  private func session() throws(ViewStoreError) -> PostgresConnection {
    if let connection, connection.isConnected { return connection }
    connection = nil
    if usable == nil { usable = try migrated() }
    do throws(PostgresError) {
      var quick = settings
      quick.connectTimeoutMs = min(quick.connectTimeoutMs, Self.answerTimeoutMs)
      quick.answerTimeoutMs = Self.answerTimeoutMs
      quick.statementTimeoutMs = Self.answerTimeoutMs
      quick.silenceMs = Self.silenceMs
      let opened = try PostgresConnection(quick, givesUp: stop.isOver)
      try opened.execute("set synchronous_commit = off")
      try opened.execute(
        """
        delete from smartcontent.processes
        where seen_until < clock_timestamp() - interval '\(Self.forgottenAfter)'
        """)
      connection = opened
      return opened
    } catch {
      throw ViewStoreError(error)
    }
  }

  /// Makes the tables.
  private func migrated() throws(ViewStoreError) -> [ViewSchema] {
    let session: PostgresConnection
    do throws(PostgresError) {
      session = try PostgresConnection(settings, givesUp: stop.isOver)
    } catch {
      throw ViewStoreError(error)
    }
    var migrated: [ViewSchema] = []
    for schema in schemas {
      do throws(ViewStoreError) {
        try schema.migrate(session)
        made.insert(schema)
        migrated.append(schema)
      } catch .otherPipeline {
        // Each loop of the pipeline meets the same, and halts with its explanation.
      }
    }
    return migrated
  }
}
