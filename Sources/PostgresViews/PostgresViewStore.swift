public import Dataflow
public import Ports
public import PostgresClient
public import Views

/// Writes one pipeline's rows and checkpoints into Postgres, exactly once.
///
/// One commit is one transaction, durable when it returns:
///
///     begin
///     update checkpoints … where stream, epoch and sequence are what this owner left   (0 rows:
///                                        another owner has taken over: roll back, `fenced`)
///     upsert absolute rows, trends and incidents, add deltas, accounting, late events
///     commit
///
/// The checkpoint comes *first* because its row lock then covers the whole transaction: a new
/// owner's `claim` waits until this commit has ended one way or the other, and so does the look at
/// the checkpoint that settles a commit whose answer was lost (`settle`). `commits` rises with
/// every transaction, so "did mine happen" is a comparison of one number even where the sequence
/// did not move. Tables and dimension tuples are made before the transaction, each on its own: both
/// are harmless if the commit then fails, and a partition's loop never waits for another's rows. So are
/// many rows of a window of trends that just closed (``TrendsAhead``).
///
/// Blocks its thread; connects by itself and connects anew after a failure. Not `Sendable`.
public final class PostgresViewStore: ViewStore {
  private let settings: PostgresSettings
  private let schema: ViewSchema
  private let statements: WindowStatements
  private let stop: StopGrace
  private var connection: PostgresConnection?
  private let made: MadeTables
  private var partitions: WindowPartitions
  private var dimensions: DimensionTable
  private var ahead: TrendsAhead
  private var parameters = PostgresParameters(capacity: 1 << 20)
  /// A commit whose answer was lost, until it is known what became of it.
  private var openCommit: OpenCommit?

  private struct OpenCommit {
    var stream: StreamPartition
    var epoch: Int64
    /// The number that the checkpoint has if it was done.
    var commits: Int64
  }

  /// So long one call tries to learn what became of a commit; whoever waits may say so meanwhile.
  private static let settleMs = 1_000

  /// - Parameters:
  ///   - pipeline: decides the schema; its hash must be the stored one.
  ///   - made: tables that need not be made again.
  ///   - isStopping: asked while Postgres does not answer. Once it is true a call goes on for two
  ///     seconds and then gives up with `unavailable`, even if the outcome of a commit is not known
  ///     then: the next start reads it from the checkpoint.
  /// - Throws: `refused` if the pipeline's name can't name a schema.
  public init(
    _ settings: PostgresSettings, pipeline: PipelineSpec, made: MadeTables = MadeTables(),
    isStopping: @escaping () -> Bool = { false }
  ) throws(ViewStoreError) {
    self.settings = settings
    self.made = made
    stop = StopGrace(isStopping)
    schema = try ViewSchema(pipeline)
    statements = WindowStatements(schema)
    partitions = WindowPartitions(schema)
    dimensions = DimensionTable(schema, countMax: pipeline.tupleCountMax)
    ahead = TrendsAhead(schema)
  }

  /// Connects if need be and makes the pipeline's tables.
  public func migrate() throws(ViewStoreError) {
    _ = try session()
  }

  public func claim(
    _ stream: StreamPartition, owner: String
  ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting) {
    let connection = try session()
    openCommit = nil
    let claimed: (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting)?
    var holder: String?
    do throws(PostgresError) {
      claimed = try connection.transaction { connection throws(PostgresError) in
        let epoch = try CheckpointTable.claim(stream, owner: owner, in: schema, connection)
        guard let epoch else {
          holder = try CheckpointTable.owner(of: stream, in: schema, connection)
          return .rollback(nil)
        }
        let (_, checkpoint) = try CheckpointTable.read(in: schema, connection)[stream]
          .unwrapped("the claimed checkpoint")
        let accounting = try AccountingTable.read(of: stream, in: schema, connection)
        return .commit((epoch, checkpoint, accounting))
      }
    } catch .outcomeUnknown(let text) {
      // Claiming twice only raises the epoch twice.
      throw .unavailable(text)
    } catch {
      throw ViewStoreError(error)
    }
    guard let claimed else { throw .held(stream: stream.stream, by: holder ?? "nobody any more") }
    return claimed
  }

  public func committed(
    _ stream: StreamPartition
  ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting) {
    let connection = try session()
    do throws(PostgresError) {
      let checkpoint = try CheckpointTable.read(in: schema, connection)[stream]?.checkpoint
      guard let checkpoint else { return (Checkpoint(), Accounting()) }
      return (checkpoint, try AccountingTable.read(of: stream, in: schema, connection))
    } catch .outcomeUnknown(let text) {
      throw .unavailable(text)
    } catch {
      throw ViewStoreError(error)
    }
  }

  public func commit(
    _ batch: CommitBatch, stream: StreamPartition, epoch: Int64, previous: UInt64
  ) throws(ViewStoreError) {
    if let openCommit, try settle(openCommit) { return }
    let connection = try session()
    try dimensions.insert(batch.dimensions, connection)
    for attempt in 0..<2 {
      try partitions.make(for: batch, connection)
      var commits: Int64?
      do throws(PostgresError) {
        let trends = try ahead.write(
          batch, stream, epoch, previous, statements, &parameters, connection)
        if let trends {
          commits = try write(batch, trends, stream, epoch, previous, connection) { commits = $0 }
        }
      } catch .outcomeUnknown {
        guard let commits else { preconditionFailure("COMMIT is sent after the checkpoint moved") }
        let open = OpenCommit(stream: stream, epoch: epoch, commits: commits)
        openCommit = open
        if try settle(open) { return }
        throw .unavailable("the connection was lost and the commit with it")
      } catch .rejected(let rejection) where rejection.isMissingPartition && attempt == 0 {
        // Retention in another process has dropped it since: make it again.
        partitions.forget()
        continue
      } catch {
        throw ViewStoreError(error)
      }
      guard commits != nil else { throw .fenced(stream: stream.stream) }
      return partitions.dropExpired(at: batch.checkpoint.logTime, connection)
    }
    throw .unavailable("time partitions are dropped while rows still arrive for them")
  }

  /// - Parameters:
  ///   - trends: indices of those that are not written yet.
  ///   - beforeCommit: gets the number of the commit before `COMMIT` is sent.
  /// - Returns: that number, or nil where the checkpoint is not this owner's any more.
  private func write(
    _ batch: CommitBatch, _ trends: [Int], _ stream: StreamPartition, _ epoch: Int64,
    _ previous: UInt64, _ connection: PostgresConnection, beforeCommit: (Int64) -> Void
  ) throws(PostgresError) -> Int64? {
    try connection.transaction { connection throws(PostgresError) in
      let moved = try CheckpointTable.advance(
        stream, epoch: epoch, previous: previous, to: batch.checkpoint, in: schema, connection)
      guard let commits = moved else { return .rollback(nil) }
      if let source = stream.source {
        try statements.write(batch, trends: trends, source: source, &parameters, connection)
        try CorrectionTable.write(batch, source: source, in: schema, connection)
      }
      try IncidentTable.write(
        batch.incidents, logTime: batch.checkpoint.logTime, in: schema, connection)
      try AccountingTable.write(batch.accounting, of: stream, in: schema, connection)
      try LateTable.insert(batch.lateEvents, of: stream, in: schema, connection)
      beforeCommit(commits)
      return .commit(commits)
    }
  }

  /// Learns what became of a commit whose answer was lost. `for share` waits for the lost session's
  /// transaction, which may still be committing, since that holds the row's lock.
  ///
  /// - Returns: whether it was done.
  /// - Throws: `unavailable` while that cannot be known; the next call asks again.
  private func settle(_ open: OpenCommit) throws(ViewStoreError) -> Bool {
    let began = StopGrace.monotonicMilliseconds()
    while true {
      let stored: (epoch: Int64, commits: Int64)
      do throws(ViewStoreError) {
        let connection = try session()
        do throws(PostgresError) {
          stored = try CheckpointTable.lockedState(of: open.stream, in: schema, connection)
        } catch {
          throw ViewStoreError(error)
        }
      } catch .unavailable(let text), .full(let text) {
        if stop.isOver() || StopGrace.monotonicMilliseconds() - began >= Self.settleMs {
          throw .unavailable("the outcome of a commit is not known before it answers: \(text)")
        }
        pause(milliseconds: 100)
        continue
      }
      openCommit = nil
      if stored.epoch != open.epoch { throw .fenced(stream: open.stream.stream) }
      return stored.commits >= open.commits
    }
  }

  private func session() throws(ViewStoreError) -> PostgresConnection {
    if let connection, connection.isConnected { return connection }
    connection = nil
    // What an unflushed server has lost with its crash must be made again.
    dimensions.forget()
    partitions.forget()
    ahead.forget()
    let opened: PostgresConnection
    do throws(PostgresError) {
      opened = try PostgresConnection(settings) { [stop] in stop.isOver() }
      // A writer that is paused inside a transaction, or dies inside a statement, holds its checkpoint's lock,
      // and with it up whoever takes the stream over, for no longer than this.
      try opened.execute(
        "set idle_in_transaction_session_timeout = '1s'; set client_connection_check_interval = '100ms'"
      )
    } catch {
      throw ViewStoreError(error)
    }
    if !made.contains(schema) {
      try schema.migrate(opened)
      made.insert(schema)
    }
    connection = opened
    return opened
  }
}

extension PostgresRejection {
  /// 23514 is any check violation; with a row for which no partition exists there is no constraint.
  fileprivate var isMissingPartition: Bool { sqlState == "23514" && constraint.isEmpty }
}

extension Optional where Wrapped: ~Copyable {
  /// The value, or an error that names what the store should have held.
  consuming func unwrapped(_ what: String) throws(PostgresError) -> Wrapped {
    guard let value = self else { throw .unexpectedResult("\(what) is missing") }
    return value
  }
}
