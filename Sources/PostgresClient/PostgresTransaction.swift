/// Transactions whose end is told in three ways: kept, not kept, unknown.
extension PostgresConnection {
  /// What a transaction's body wants of it.
  public enum Decision<Value> {
    case commit(Value)
    case rollback(Value)
  }

  /// How a transaction starts.
  public enum TransactionMode: String, Sendable {
    /// READ COMMITTED; its commit waits until the server has it on disk, whatever the database's
    /// own setting is.
    case durableWrite = "begin; set local synchronous_commit = on"
    /// READ COMMITTED; its commit returns before the server has it on disk. It is there as soon as any later
    /// durable one is.
    case relaxedWrite = "begin; set local synchronous_commit = off"
    /// One snapshot for all statements, and no writing.
    case snapshotRead = "begin isolation level repeatable read read only"
  }

  /// Runs `body` in a transaction and ends it as `body` decides.
  ///
  /// - Throws: `outcomeUnknown` if the session broke between sending `COMMIT` and its answer: the
  ///   caller must look at the data on a new session before it writes again. Every other error
  ///   means that nothing was kept.
  public func transaction<Value>(
    _ mode: TransactionMode = .durableWrite,
    _ body: (PostgresConnection) throws(PostgresError) -> Decision<Value>
  ) throws(PostgresError) -> Value {
    try execute(mode.rawValue)
    let decision: Decision<Value>
    do throws(PostgresError) {
      decision = try body(self)
    } catch {
      abandon()
      throw error
    }
    switch decision {
    case .rollback(let value):
      try execute("rollback")
      return value
    case .commit(let value):
      try commit()
      return value
    }
  }

  private func commit() throws(PostgresError) {
    guard isConnected else {
      throw .connectionLost("the session ended before COMMIT was sent")
    }
    let tag: String
    do throws(PostgresError) {
      tag = try query("commit").commandTag
    } catch {
      switch error {
      case .connectionLost(let text): throw .outcomeUnknown(text)
      case .timedOut(let milliseconds):
        throw .outcomeUnknown("no answer within \(milliseconds) ms")
      // FATAL and PANIC end the session where it stands, which may be behind the commit (57P01
      // while waiting for a standby); ERROR is always before it. 40003 says "unknown" itself.
      case .rejected(let rejection)
      where rejection.severity != "ERROR" || rejection.sqlState == "40003":
        throw .outcomeUnknown("\(rejection.severity) \(rejection.sqlState): \(rejection.message)")
      case .rejected, .invalidSettings, .unreachable, .outcomeUnknown, .unexpectedResult:
        abandon()
        throw error
      }
    }
    // A transaction with a failed statement answers COMMIT with ROLLBACK.
    guard tag == "COMMIT" else {
      throw .unexpectedResult("COMMIT was answered with \(tag): nothing was kept")
    }
  }

  /// Leaves a failed transaction. If that fails too the session is of no use any more; the first
  /// error, which `transaction` throws, is the one that explains it.
  private func abandon() {
    guard isConnected else { return }
    do throws(PostgresError) {
      try execute("rollback")
    } catch {
      close()
    }
  }
}
