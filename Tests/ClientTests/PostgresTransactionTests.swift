import PostgresClient
import Testing

@Suite("Postgres transactions")
struct PostgresTransactionTests {
  /// A table of the test's own, and a function that ends the session of whoever calls it.
  private func prepare(_ table: String) async throws -> PostgresConnection {
    let connection = try PostgresConnection(try await DatabaseServers.postgres())
    try connection.execute("create table \(table) (id int primary key)")
    return connection
  }

  private func count(_ table: String, _ connection: PostgresConnection) throws -> Int64 {
    try connection.query("select count(*) from \(table)").int8(0, 0)
  }

  @Test("a transaction keeps everything or nothing, as its body decides")
  func decisions() async throws {
    let connection = try await prepare("t_decisions")
    let kept = try connection.transaction { connection throws(PostgresError) in
      try connection.execute("insert into t_decisions values (1), (2)")
      return .commit("kept")
    }
    let dropped = try connection.transaction { connection throws(PostgresError) in
      try connection.execute("insert into t_decisions values (3)")
      return .rollback("dropped")
    }
    #expect(kept == "kept" && dropped == "dropped")
    #expect(try count("t_decisions", connection) == 2)
  }

  @Test("an error in the body rolls back, and the session goes on")
  func failingBody() async throws {
    let connection = try await prepare("t_failing")
    do throws(PostgresError) {
      try connection.transaction { connection throws(PostgresError) in
        try connection.execute("insert into t_failing values (1)")
        try connection.execute("insert into t_failing values (1)")
        return .commit(())
      }
      Issue.record("the key is there twice")
    } catch {
      #expect(error.sqlState == "23505")
    }
    #expect(connection.isConnected)
    #expect(try count("t_failing", connection) == 0)
  }

  @Test("a snapshot sees one instant and can't write")
  func snapshot() async throws {
    let writer = try await prepare("t_snapshot")
    let reader = try PostgresConnection(try await DatabaseServers.postgres())
    try reader.transaction(.snapshotRead) { reader throws(PostgresError) in
      let before = try reader.query("select count(*) from t_snapshot").int8(0, 0)
      try writer.execute("insert into t_snapshot values (1)")
      let after = try reader.query("select count(*) from t_snapshot").int8(0, 0)
      #expect(before == 0 && after == 0)
      return .commit(())
    }
    #expect(throws: PostgresError.self) {
      try reader.transaction(.snapshotRead) { reader throws(PostgresError) in
        try reader.execute("insert into t_snapshot values (2)")
        return .commit(())
      }
    }
  }

  @Test("a commit that the server refuses has failed: nothing is kept and it is not unknown")
  func refusedCommit() async throws {
    let connection = try await prepare("t_refused")
    try connection.execute(
      "alter table t_refused add column parent int references t_refused deferrable initially deferred"
    )
    do throws(PostgresError) {
      try connection.transaction { connection throws(PostgresError) in
        try connection.execute("insert into t_refused values (1, 99)")
        return .commit(())
      }
      Issue.record("the parent does not exist")
    } catch {
      #expect(error.sqlState == "23503")
    }
    #expect(connection.isConnected)
    #expect(try count("t_refused", connection) == 0)
  }

  @Test("a session that ends before COMMIT has lost its transaction, known to the caller")
  func lostBeforeCommit() async throws {
    let connection = try await prepare("t_lost")
    let other = try PostgresConnection(try await DatabaseServers.postgres())
    do throws(PostgresError) {
      try connection.transaction { connection throws(PostgresError) in
        try connection.execute("insert into t_lost values (1)")
        try other.execute("select pg_terminate_backend(\(connection.backendProcessID), 5000)")
        try connection.execute("insert into t_lost values (2)")
        return .commit(())
      }
      Issue.record("the session was ended")
    } catch {
      #expect(error != .outcomeUnknown("") && error.isTransient)
    }
    #expect(!connection.isConnected)
    #expect(try count("t_lost", other) == 0)
  }

  @Test("a session that ends inside COMMIT leaves the outcome unknown")
  func lostInsideCommit() async throws {
    let connection = try await prepare("t_unknown")
    try connection.execute(
      """
      create function t_unknown_end() returns trigger language plpgsql as
        'begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return null; end';
      create constraint trigger ending after insert on t_unknown deferrable initially deferred
        for each row execute function t_unknown_end();
      """)
    do throws(PostgresError) {
      try connection.transaction { connection throws(PostgresError) in
        try connection.execute("insert into t_unknown values (1)")
        return .commit(())
      }
      Issue.record("the session ended itself")
    } catch {
      guard case .outcomeUnknown = error else { throw error }
      #expect(!error.isTransient)
    }
    let other = try PostgresConnection(try await DatabaseServers.postgres())
    #expect(try count("t_unknown", other) == 0)
  }
}
