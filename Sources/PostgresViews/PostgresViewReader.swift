public import Dataflow
public import Events
public import Ports
public import PostgresClient
public import SessionPool
public import Views

/// Answers questions from one pipeline version's durable rows.
///
/// Every answer comes from one REPEATABLE READ snapshot, so the checkpoints in it say exactly which
/// frames its rows contain. Values that come from users are parameters, never part of the SQL text.
/// A few threads with a session each serve any number of tasks; a query that takes longer than the
/// settings' statement timeout is cancelled by the server.
public final class PostgresViewReader: DurableViewReader {
  private let settings: PostgresSettings
  let schema: ViewSchema
  private let pool: SessionPool<PostgresConnection>
  /// Groups that one answer may have; more is refused, since the answer is held in memory.
  private let groupCountMax: Int
  private let settled = SettledSums()
  private let tuples = KnownTuples()

  /// - Parameters:
  ///   - sessions: threads and Postgres sessions, opened when first used.
  ///   - waitingMax: queries that may wait for a session before more are turned away.
  ///   - losses: of the server's sessions, shared by all of its readers.
  /// - Throws: `refused` if the pipeline's name can't name a schema.
  public init(
    _ settings: PostgresSettings, pipeline: PipelineSpec, sessions: Int = 4, waitingMax: Int = 256,
    groupCountMax: Int = 200_000, losses: SessionLosses = SessionLosses()
  ) throws(ViewStoreError) {
    self.settings = settings
    schema = try ViewSchema(pipeline)
    pool = SessionPool(size: sessions, waitingMax: waitingMax, losses: losses)
    self.groupCountMax = groupCountMax
  }

  public func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(ViewReadError) -> DurableAnswer {
    let answer = try await onSession {
      [schema, settled, tuples, groupCountMax] session throws(PostgresError) in
      func moment() throws(PostgresError) -> SettledSums.Moment {
        let asOf = ContinuousClock.now
        return SettledSums.Moment(
          checkpoints: try CheckpointTable.read(in: schema, session).mapValues(\.checkpoint),
          asOf: asOf)
      }
      // One statement is a snapshot by itself, and mostly all that is needed.
      if belowSeams {
        let moment = try moment()
        if let groups = settled.kept(selection, moment) {
          return DurableAnswer(groups: groups, checkpoints: moment.checkpoints)
        }
      }
      return try session.transaction(.snapshotRead) { session throws(PostgresError) in
        let moment = try moment()
        let groups =
          try belowSeams
          ? settled.read(
            selection,
            SettledSums.Snapshot(
              session: session, schema: schema, tuples: tuples, moment: moment,
              groupCountMax: groupCountMax))
          : SelectionStatement(
            selection, schema: schema, belowSeams: false, groupCountMax: groupCountMax
          ).run(session)
        return .commit(DurableAnswer(groups: groups, checkpoints: moment.checkpoints))
      }
    }
    try check(answer.groups)
    return answer
  }

  public func moment(
    _ measure: Measure, levels: [WindowLevel], rowCountMax: Int
  ) async throws(ViewReadError) -> DurableMoment? {
    let statement = MomentStatement(
      measure: measure, levels: levels, rowCountMax: rowCountMax, schema: schema)
    return try await onSession { [settled, tuples] session throws(PostgresError) in
      try statement.run(settled, tuples, session)
    }
  }

  public func kept(_ selection: ViewSelection, at moment: DurableMoment) -> KeptGroups {
    settled.groups(
      selection,
      at: SettledSums.Moment(checkpoints: moment.checkpoints, asOf: moment.asOf))
  }

  public func trends(
    site: String, groupBy dimension: Dimension
  ) async throws(ViewReadError) -> TrendAnswer {
    guard let policy = schema.pipeline.trends else {
      throw .refused("pipeline \(schema.pipeline.name) declares no trends")
    }
    let statement = TrendStatement(
      site: site, groupBy: dimension, policy: policy, schema: schema, groupCountMax: groupCountMax)
    let answer = try await withSession { session throws(PostgresError) in
      try statement.run(session)
    }
    try check(answer.groups)
    return answer
  }

  private func check(_ groups: [ViewGroup]) throws(ViewReadError) {
    guard groups.count <= groupCountMax else {
      throw .refused(
        "more than \(groupCountMax) groups: ask for fewer dimensions, a coarser granularity,"
          + " a shorter range or a filter")
    }
  }

  public func checkpoints() async throws(ViewReadError) -> [StreamPartition: Checkpoint] {
    try await withSession { [schema] session throws(PostgresError) in
      try CheckpointTable.read(in: schema, session).mapValues(\.checkpoint)
    }
  }

  public func accounting() async throws(ViewReadError) -> Accounting {
    try await withSession { [schema] session throws(PostgresError) in
      try AccountingTable.read(in: schema, session)
    }
  }

  /// Runs `body` in one read-only snapshot, on a session of the pool.
  func withSession<Value: Sendable>(
    _ body: @escaping @Sendable (PostgresConnection) throws(PostgresError) -> Value
  ) async throws(ViewReadError) -> Value {
    try await onSession { session throws(PostgresError) in
      try session.transaction(.snapshotRead) { session throws(PostgresError) in
        .commit(try body(session))
      }
    }
  }

  /// Runs `body`, which only reads, on a session of the pool.
  private func onSession<Value: Sendable>(
    _ body: @escaping @Sendable (PostgresConnection) throws(PostgresError) -> Value
  ) async throws(ViewReadError) -> Value {
    let settings = settings
    return try await pool.run(orElse: ViewReadError.unavailable("too many queries are waiting")) {
      session throws(ViewReadError) in
      do throws(PostgresError) {
        return try PostgresViewReader.run(body, settings, &session)
      } catch {
        if error.sqlState == "57014" {
          throw .refused(
            "the query took longer than \(settings.statementTimeoutMs) ms and was cancelled:"
              + " ask for a shorter range or a filter")
        }
        throw error.isTransient ? .unavailable("\(error)") : .refused("\(error)")
      }
    }
  }

  /// A session that was idle while the server restarted shows it at its next statement; nothing was
  /// read yet, so the work runs once more on a new one.
  private static func run<Value>(
    _ body: (PostgresConnection) throws(PostgresError) -> Value, _ settings: PostgresSettings,
    _ session: inout PostgresConnection?
  ) throws(PostgresError) -> Value {
    let isReused = session?.isConnected ?? false
    let used: PostgresConnection
    if let open = session, isReused {
      used = open
    } else {
      used = try PostgresConnection(settings)
      // Sums over ranges are hash joins at any size. On tables that have not been analysed yet the
      // planner takes rows for few and compares each with every tuple: measured 14 s instead of
      // 0.15 s for 340,000 rows and 1,000 tuples.
      try used.execute("set enable_nestloop = off; set jit = off")
      session = used
    }
    do throws(PostgresError) {
      return try body(used)
    } catch {
      if used.isConnected { throw error }
      session = nil
      guard isReused, case .connectionLost = error else { throw error }
      return try run(body, settings, &session)
    }
  }
}
