/// What can go wrong on a Postgres connection, told apart by what the caller may do next.
///
/// The one distinction that exactly-once writing needs is between *failed* (nothing was kept; the
/// work can be done again) and *outcome unknown* (`COMMIT` was sent and its answer never came; the
/// caller must look before it writes again). Texts carry no parameter values and no password.
public enum PostgresError: Error, Equatable, Sendable {
  /// The connection string or a setting can't be used. Nothing was sent.
  case invalidSettings(String)
  /// No session came about within the connect timeout. Nothing was sent.
  case unreachable(String)
  /// The session broke before `COMMIT` was sent: its transaction, if any, is rolled back.
  case connectionLost(String)
  /// The server gave no answer within so many milliseconds. The session was closed, so its
  /// transaction, if any, is rolled back as soon as the server notices.
  case timedOut(milliseconds: Int)
  /// The server answered with an error; the session stays usable unless `isConnected` says no.
  case rejected(PostgresRejection)
  /// `COMMIT` was sent, its answer never came: the transaction is kept or it is not.
  case outcomeUnknown(String)
  /// An answer that does not have the expected shape: another schema than this program's.
  case unexpectedResult(String)
}

/// An error answer of the server without the data it may quote (`DETAIL` is never read).
public struct PostgresRejection: Error, Equatable, Sendable {
  /// Five characters; Postgres manual, appendix A.
  public let sqlState: String
  /// The primary message; quoted values of data exceptions (class 22) are masked.
  public let message: String
  public let hint: String
  /// `ERROR`, `FATAL` or `PANIC`; the last two end the session.
  public let severity: String
  /// Table and constraint that the error names, else empty.
  public let table: String
  public let constraint: String

  public init(
    sqlState: String, message: String, hint: String = "", severity: String = "ERROR",
    table: String = "", constraint: String = ""
  ) {
    self.sqlState = sqlState
    self.message =
      sqlState.hasPrefix("22") ? PostgresRejection.masked(message) : message
    self.hint = hint
    self.severity = severity
    self.table = table
    self.constraint = constraint
  }

  /// `invalid input syntax for type uuid: "x"` → `invalid input syntax for type uuid: "…"`.
  static func masked(_ message: String) -> String {
    var out = ""
    var inside = false
    for character in message {
      if character == "\"" {
        out += inside ? "\"" : "\"…"
        inside.toggle()
      } else if !inside {
        out.append(character)
      }
    }
    return out
  }
}

extension PostgresError {
  /// Whether the same work may succeed if it is done again, after reconnecting where needed.
  /// `outcomeUnknown` is not among them: look first.
  public var isTransient: Bool {
    switch self {
    case .unreachable, .connectionLost, .timedOut: return true
    case .invalidSettings, .outcomeUnknown, .unexpectedResult: return false
    case .rejected(let rejection): return rejection.isTransient
    }
  }

  /// Whether there is no room left on a disk of the server's.
  public var isDiskFull: Bool { sqlState == "53100" }

  /// The server's error code if the server answered, else nil.
  public var sqlState: String? {
    if case .rejected(let rejection) = self { return rejection.sqlState }
    return nil
  }
}

extension PostgresRejection {
  /// Classes 08 connection, 40 rollback, 53 resources, 57P0x operator, 58 system; and
  /// lock_not_available, query_canceled, read_only_sql_transaction (a fail-over under way), and
  /// sessions that the server ended because their transaction stood still or took too long.
  public var isTransient: Bool {
    switch sqlState.prefix(2) {
    case "08", "40", "53", "58": return true
    default: break
    }
    switch sqlState {
    case "57P01", "57P02", "57P03", "57P05", "55P03", "57014", "25006", "25P03", "25P04":
      return true
    default: return false
    }
  }
}

extension PostgresError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .invalidSettings(let text): return "Postgres settings: \(text)"
    case .unreachable(let text): return "Postgres can't be reached: \(text)"
    case .connectionLost(let text): return "Postgres connection lost: \(text)"
    case .timedOut(let milliseconds):
      return "Postgres gave no answer within \(milliseconds) ms; the connection was closed"
    case .rejected(let rejection): return "Postgres refused: \(rejection)"
    case .outcomeUnknown(let text):
      return "Postgres connection lost during COMMIT, the outcome is unknown: \(text)"
    case .unexpectedResult(let text): return "Postgres gave an unexpected answer: \(text)"
    }
  }
}

extension PostgresRejection: CustomStringConvertible {
  public var description: String {
    var out = "\(severity) \(sqlState): \(message)"
    if !table.isEmpty { out += " [table \(table)]" }
    if !constraint.isEmpty { out += " [constraint \(constraint)]" }
    if !hint.isEmpty { out += " (\(hint))" }
    return out
  }
}
