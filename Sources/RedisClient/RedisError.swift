/// What can go wrong on a Redis connection. Texts carry no password and no values.
public enum RedisError: Error, Equatable, Sendable {
  /// The URL or a setting can't be used. Nothing was sent.
  case invalidSettings(String)
  /// No session came about within the connect timeout. Nothing was sent.
  case unreachable(String)
  /// The session broke, or no answer came in time. What was sent may have been done or not.
  case connectionLost(String)
  /// The server answered a command with an error; the session stays usable. `code` is the first
  /// word (`NOAUTH`, `OOM`, `NOSCRIPT`, `READONLY`, …), `message` the rest of it.
  case rejected(code: String, message: String)
  /// An answer that does not have the expected shape.
  case unexpectedReply(String)
}

extension RedisError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .invalidSettings(let text): return "Redis settings: \(text)"
    case .unreachable(let text): return "Redis can't be reached: \(text)"
    case .connectionLost(let text): return "Redis connection lost: \(text)"
    case .rejected(let code, let message): return "Redis refused: \(code) \(message)"
    case .unexpectedReply(let text): return "Redis gave an unexpected answer: \(text)"
    }
  }
}

extension RedisError {
  /// Whether the same command may succeed later, after reconnecting where needed.
  public var isTransient: Bool {
    switch self {
    case .unreachable, .connectionLost: return true
    case .invalidSettings, .unexpectedReply: return false
    case .rejected(let code, _):
      return [
        "LOADING", "BUSY", "OOM", "MISCONF", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY",
      ].contains(code)
    }
  }
}
