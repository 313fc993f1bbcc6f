import Glibc

/// Asks a server, on a session of its own, whether it works on the statement of another session that
/// says nothing.
///
/// A dead connection (a firewall that forgot it, a machine that vanished and came back) looks like a
/// slow statement: TCP tells neither side while nothing is sent. The server knows: a backend that
/// waits for its client has not got the statement, or its answer was lost.
enum SilenceWatch {
  enum Finding {
    /// Whoever is slow is waited for.
    case works
    /// The silent session is of no use any more. Its backend is ended, so that it holds no locks.
    case forgotten
    /// The server cannot be asked: it may be slow, or away. The statement's own time limit holds.
    case unknown
  }

  /// The whole question may take so long, in milliseconds, twice: to connect and to be answered.
  private static let timeoutMs = 1_000
  /// A backend says that it is done a moment before its answer leaves, and a busy machine may let the
  /// statement wait before its door: so it is looked at twice, so many seconds apart.
  private static let betweenLooks = "0.05"

  /// - Parameter hasAnswer: whether something has come on the silent session after all.
  static func ask(
    about backend: Int32, of silent: PostgresSettings, hasAnswer: () -> Bool
  ) -> Finding {
    var settings = silent
    settings.connectTimeoutMs = min(timeoutMs, silent.connectTimeoutMs)
    settings.answerTimeoutMs = timeoutMs
    settings.silenceMs = 0
    do throws(PostgresError) {
      let session = try PostgresConnection(settings)
      if try works(backend, session) { return .works }
      try session.execute("select pg_sleep(\(betweenLooks))")
      if try works(backend, session) || hasAnswer() { return .works }
      var parameters = PostgresParameters()
      parameters.append(int4: backend)
      _ = try session.query("select pg_terminate_backend($1)", parameters)
      return .forgotten
    } catch {
      return .unknown
    }
  }

  private static func works(
    _ backend: Int32, _ session: PostgresConnection
  ) throws(PostgresError) -> Bool {
    var parameters = PostgresParameters()
    parameters.append(int4: backend)
    let result = try session.query(
      """
      select state = 'active' and wait_event_type is distinct from 'Client'
      from pg_stat_activity where pid = $1 and state is not null
      """, parameters)
    try result.require(.bool)
    return result.rowCount == 1 && result.bool(0, 0)
  }
}
