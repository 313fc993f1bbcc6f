import CLibPQ

/// How to reach a Postgres server and how long to wait for it.
public struct PostgresSettings: Sendable {
  /// A URL (`postgresql://user:password@host:port/database?…`) or key=value pairs, as libpq
  /// takes them (Postgres manual, 34.1.1). May hold the password; it appears in no error text.
  public var connection: String
  /// Milliseconds for the whole of resolving, connecting and logging in.
  public var connectTimeoutMs = 2_000
  /// Milliseconds that one statement may take before the *client* gives the session up (a dead
  /// machine, a lost network). Larger than the server's own `statementTimeoutMs`.
  public var answerTimeoutMs = 30_000
  /// Milliseconds after which the *server* cancels a statement (57014); 0 is never.
  public var statementTimeoutMs = 20_000
  /// Milliseconds without a byte after which the client asks the server, on another session, whether
  /// it still works on the statement; if not, the statement or its answer was lost on the way and the
  /// session is given up. 0 is never. A question costs the server some milliseconds; it is asked again
  /// after twice the time, at most four times it.
  public var silenceMs = 500
  /// Shown in `pg_stat_activity`.
  public var applicationName = "smartcontent"

  public init(connection: String) { self.connection = connection }

  /// Keywords for `PQconnectStartParams`, and the password to mask in messages.
  func parameters() throws(PostgresError) -> (pairs: [(String, String)], password: String) {
    var message: UnsafeMutablePointer<CChar>?
    let parsed = PQconninfoParse(connection, &message)
    // libpq's message quotes the string, and with it the password: it is not passed on.
    PQfreemem(message)
    guard let parsed else {
      throw .invalidSettings(
        "the connection string can't be parsed; use postgresql://user:password@host:port/database")
    }
    defer { PQconninfoFree(parsed) }
    // Dead peers are noticed after 5 s + 3 × 2 s without data, unsent data after 10 s; a
    // setting of the connection string goes before these.
    var pairs: [(String, String)] = [
      ("keepalives", "1"), ("keepalives_idle", "5"), ("keepalives_interval", "2"),
      ("keepalives_count", "3"), ("tcp_user_timeout", "10000"),
      ("application_name", applicationName),
    ]
    var password = ""
    var option = parsed
    while let keyword = option.pointee.keyword {
      if let value = option.pointee.val {
        let name = String(cString: keyword)
        let text = String(cString: value)
        if name == "password" { password = text }
        pairs.removeAll { $0.0 == name }
        pairs.append((name, text))
      }
      option += 1
    }
    // Texts are UTF-8 here whatever the connection string says.
    pairs.removeAll { $0.0 == "client_encoding" }
    pairs.append(("client_encoding", "UTF8"))
    return (pairs, password)
  }
}
