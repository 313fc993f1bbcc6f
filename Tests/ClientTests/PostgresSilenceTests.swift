import Glibc
import PostgresClient
import Testing

/// What a session does while its server says nothing.
@Suite("Postgres silence")
struct PostgresSilenceTests {
  private func connect(silenceMs: Int) async throws -> PostgresConnection {
    var settings = try await DatabaseServers.postgres()
    settings.silenceMs = silenceMs
    return try PostgresConnection(settings)
  }

  @Test("a session whose statement never reached its backend is given up, and the backend ended")
  func forgotten() async throws {
    let session = try await connect(silenceMs: 100)
    try session.execute("begin; create temporary table t (a int)")
    // A backend that stands still is what a dead connection looks like: idle, and no answer.
    let backend = session.backendProcessID
    kill(backend, SIGSTOP)
    defer { kill(backend, SIGCONT) }
    let begin = ContinuousClock.now
    do throws(PostgresError) {
      try session.execute("select 1")
      Issue.record("nobody can have answered")
    } catch {
      guard case .connectionLost = error else { throw error }
    }
    #expect(ContinuousClock.now - begin < .seconds(5))
    #expect(!session.isConnected)
    kill(backend, SIGCONT)

    let other = try await connect(silenceMs: 0)
    var count = -1
    let deadline = ContinuousClock.now + .seconds(10)
    while count != 0, ContinuousClock.now < deadline {
      let result = try other.query(
        "select count(*) from pg_stat_activity where pid = \(backend)")
      try result.require(.int8)
      count = Int(result.int8(0, 0))
    }
    #expect(count == 0, "its transaction holds no locks any more")
  }

  @Test("a statement that takes its time is waited for")
  func slow() async throws {
    let session = try await connect(silenceMs: 50)
    try session.execute("select pg_sleep(0.6)")
    #expect(session.isConnected)
  }

  @Test("a statement that waits for a lock is waited for")
  func locked() async throws {
    let holder = try await connect(silenceMs: 0)
    let waiter = try await connect(silenceMs: 50)
    try holder.execute("begin; select pg_advisory_xact_lock(77)")
    // The server lets go of the lock by itself while the other one waits in its call.
    try holder.execute("set local idle_in_transaction_session_timeout = '600ms'")
    try waiter.execute("select pg_advisory_lock(77)")
    #expect(waiter.isConnected)
  }
}
