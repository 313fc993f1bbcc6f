public import Dataflow
import Events
public import Ports
public import PostgresClient
import Views

/// What one receiver was told of incidents, beside the rows of incidents in Postgres.
///
///     smartcontent.incident_receivers   name, target, since, ended
///     smartcontent.incident_notices     receiver, incident -> what it was told last
///
/// The receiver is this session's while the session lives: an advisory lock, which nobody has to renew and
/// which a process that dies lets go of by dying. Whoever stands still while another one takes over cannot
/// write a note afterwards, for its session is gone; a message that was on its way then comes twice, with
/// the same id.
///
/// Looks at every row of incidents each time: some 100,000 of them (50 ms) are as many as a busy site has in
/// their 400 days. Blocks its thread; connects by itself. Not `Sendable`.
public final class PostgresIncidentLedger: IncidentLedger {
  private let settings: PostgresSettings
  private let terms: ReceiverTerms
  private let pipeline: @Sendable () -> PipelineSpec
  private var connection: PostgresConnection?
  /// On this connection.
  private var hasReceiver = false

  /// - Parameter pipeline: the version whose incidents are told, asked for each time.
  public init(
    _ settings: PostgresSettings, terms: ReceiverTerms,
    pipeline: @escaping @Sendable () -> PipelineSpec
  ) {
    self.settings = settings
    self.terms = terms
    self.pipeline = pipeline
  }

  /// Notes of incidents whose rows are gone by then are of no use.
  private static let tables = """
    create schema if not exists smartcontent;
    create table if not exists smartcontent.incident_receivers (
      name text collate "C" primary key,
      target bigint not null,
      since timestamptz not null default now(),
      ended bool not null default false);
    create table if not exists smartcontent.incident_notices (
      receiver text collate "C" not null,
      incident bigint not null,
      is_open bool not null,
      severity smallint not null,
      feedback smallint,
      sequence bigint not null,
      noted_at timestamptz not null default now(),
      primary key (receiver, incident));
    delete from smartcontent.incident_notices where noted_at < now() - interval '800 days'
    """

  public func take() throws(ViewStoreError) -> ReceiverState {
    do throws(PostgresError) {
      let session = try openSession()
      if !hasReceiver {
        guard try takeLock(session) else { return .elsewhere }
        try register(session)
        hasReceiver = true
      }
      var parameters = PostgresParameters()
      parameters.append(text: terms.name)
      let result = try session.query(
        "select ended from smartcontent.incident_receivers where name = $1", parameters)
      try result.require(.bool)
      return result.rowCount == 1 && result.bool(0, 0) ? .ended : .taken
    } catch {
      throw ViewStoreError(error)
    }
  }

  private func openSession() throws(PostgresError) -> PostgresConnection {
    if let connection, connection.isConnected { return connection }
    hasReceiver = false
    let opened = try PostgresConnection(settings)
    connection = opened
    try opened.transaction { session throws(PostgresError) in
      try session.execute(ViewSchema.lockCatalog)
      try session.execute(Self.tables)
      return .commit(())
    }
    return opened
  }

  private func takeLock(_ session: PostgresConnection) throws(PostgresError) -> Bool {
    var parameters = PostgresParameters()
    parameters.append(text: terms.name)
    let result = try session.query(
      "select pg_try_advisory_lock(hashtextextended('smartcontent.incidents.' || $1, 0))",
      parameters)
    try result.require(.bool)
    return result.bool(0, 0)
  }

  /// One that has ended at another address begins anew.
  private func register(_ session: PostgresConnection) throws(PostgresError) {
    var parameters = PostgresParameters()
    parameters.append(text: terms.name)
    parameters.append(int8: targetHash)
    _ = try session.query(
      """
      insert into smartcontent.incident_receivers as r (name, target) values ($1, $2)
      on conflict (name) do update set target = excluded.target,
        ended = r.ended and r.target = excluded.target
      """, parameters)
  }

  /// Addresses may hold secrets: their hash is enough to tell one from another.
  private var targetHash: Int64 {
    var hash = SipHash128()
    hash.update(field: terms.target)
    return Int64(truncatingIfNeeded: hash.finalize().low)
  }

  public func owed(limit: Int) throws(ViewStoreError) -> [IncidentNotice] {
    let schema = try ViewSchema(pipeline())
    return try run { [terms] session throws(PostgresError) in
      // A version that was just declared has no tables yet.
      let found = try session.query(
        "select to_regclass('\(IncidentSelection.table(in: schema))')::oid::int8 is not null")
      try found.require(.bool)
      guard found.bool(0, 0) else { return [] }
      var parameters = PostgresParameters()
      parameters.append(text: terms.name)
      parameters.append(int2: Int16(terms.severity.rawValue))
      parameters.append(bool: terms.sites.isEmpty)
      parameters.append(textArray: terms.sites.map { StoredText.encode($0) })
      parameters.append(int8: Int64(limit))
      parameters.append(bool: terms.isToldEverything)
      let result = try session.query(Self.owedText(schema), parameters)
      let first = IncidentSelection.columnCount
      return (0..<result.rowCount).map { row in
        let told =
          result.isNull(row, first + 1)
          ? nil
          : IncidentNotice.Told(
            isOpen: result.bool(row, first + 1),
            sequence: UInt64(bitPattern: result.int8(row, first + 2)))
        return IncidentNotice(
          row: IncidentSelection.row(result, row), isOpen: result.bool(row, first), told: told)
      }
    }
  }

  private static func owedText(_ schema: ViewSchema) -> String {
    """
    select \(IncidentSelection.columns(of: "i")), w.is_open, n.is_open, n.sequence
    from \(IncidentSelection.table(in: schema)) i
    cross join lateral (
      select i.end_at is null and ($6 or i.group_id = i.id) as is_open) w
    join smartcontent.incident_receivers r on r.name = $1
    left join smartcontent.incident_notices n on n.receiver = $1 and n.incident = i.id
    where case
      when n.incident is not null then n.is_open <> w.is_open or n.severity <> i.severity
        or n.feedback is distinct from i.feedback
      else i.severity >= $2 and ($3 or i.site = any($4))
        and ($6 or i.group_id = i.id and (w.is_open or i.end_at >= r.since))
      end
    order by i.begin_at, i.id limit $5
    """
  }

  public func note(_ notice: IncidentNotice, sequence: UInt64) throws(ViewStoreError) {
    var parameters = PostgresParameters()
    parameters.append(text: terms.name)
    parameters.append(int8: notice.row.id)
    parameters.append(bool: notice.isOpen)
    parameters.append(int2: Int16(notice.row.severity.rawValue))
    parameters.append(int2: notice.row.feedback.map { Int16($0.rawValue) })
    parameters.append(int8: Int64(bitPattern: sequence))
    try run { session throws(PostgresError) in
      try session.transaction(.durableWrite) { session throws(PostgresError) in
        _ = try session.query(
          """
          insert into smartcontent.incident_notices
            (receiver, incident, is_open, severity, feedback, sequence)
          values ($1, $2, $3, $4, $5, $6)
          on conflict (receiver, incident) do update set
            is_open = excluded.is_open, severity = excluded.severity,
            feedback = excluded.feedback, sequence = excluded.sequence, noted_at = now()
          """, parameters)
        return .commit(())
      }
    }
  }

  public func end() throws(ViewStoreError) {
    var parameters = PostgresParameters()
    parameters.append(text: terms.name)
    try run { session throws(PostgresError) in
      _ = try session.query(
        "update smartcontent.incident_receivers set ended = true where name = $1", parameters)
    }
  }

  /// Only on the session that has the receiver.
  private func run<Value>(
    _ body: (PostgresConnection) throws(PostgresError) -> Value
  ) throws(ViewStoreError) -> Value {
    guard hasReceiver, let connection, connection.isConnected else {
      throw .unavailable("the session that had the receiver \(terms.name) is gone")
    }
    do throws(PostgresError) {
      return try body(connection)
    } catch {
      throw ViewStoreError(error)
    }
  }
}
