import Ports
import RedisClient

/// Sessions for the hot copy, and what their errors mean.
enum HotSession {
  /// Connects and makes sure that the server never forgets a part of the copy on its own.
  static func open(_ settings: RedisSettings) throws(RedisError) -> RedisConnection {
    let connection = try RedisConnection(settings)
    let memory = try connection.command("INFO", "memory").text ?? ""
    for line in memory.split(whereSeparator: \.isNewline)
    where line.hasPrefix("maxmemory_policy:") && line != "maxmemory_policy:noeviction" {
      throw .invalidSettings(
        "the server may evict keys (\(line)); set maxmemory-policy to noeviction")
    }
    return connection
  }
}

extension HotStoreError {
  init(_ error: RedisError) {
    switch error {
    case .rejected("OOM", _):
      self = .full("Redis has no memory left: raise maxmemory (or lower tuple_count_max)")
    case .rejected("MISCONF", _):
      self = .full(
        "Redis cannot write its files and takes nothing until it can: make room on its disk; its log"
          + " says more")
    default: self = error.isTransient ? .unavailable("\(error)") : .refused("\(error)")
    }
  }
}

extension ViewReadError {
  init(_ error: RedisError) {
    self = error.isTransient ? .unavailable("\(error)") : .refused("\(error)")
  }
}
