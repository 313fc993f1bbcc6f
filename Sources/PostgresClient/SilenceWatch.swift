import Glibc

/// Asks a server, on a session of its own, whether it works on the statement of another session that
/// says nothing.
///
/// A dead connection (a firewall that forgot it, a machine that vanished and came back) looks like a
/// slow statement: TCP tells neither side while nothing is sent. The server knows: a backend that
/// waits for its client has not got the statement, or its answer was lost.
enum SilenceWatch {
  /// The whole question may take so long, in milliseconds, twice: to connect and to be answered.
  private static let timeoutMs = 1_000

  /// - Parameter hasAnswer: whether something has come on the silent session after all.
  /// - Returns: true where the silent session is of no use any more. Its backend is ended then, so
  ///   that it holds no locks.
  static func isForgotten(
    backend: Int32, of silent: PostgresSettings, hasAnswer: () -> Bool
  ) -> Bool {
    var settings = silent
    settings.connectTimeoutMs = min(timeoutMs, silent.connectTimeoutMs)
    settings.answerTimeoutMs = timeoutMs
    settings.silenceMs = 0
    do throws(PostgresError) {
      let session = try PostgresConnection(settings)
      guard try !works(backend, session), !hasAnswer() else { return false }
      var parameters = PostgresParameters()
      parameters.append(int4: backend)
      _ = try session.query("select pg_terminate_backend($1)", parameters)
      return true
    } catch {
      // The server cannot be asked: it may be slow, or away. The statement's own time limit holds.
      return false
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
