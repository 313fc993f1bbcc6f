/// How the local servers are to be run. Everything has a default that suits development.
public struct LocalServersOptions: Sendable {
  /// Which servers to run.
  public var servers: Set<LocalServer> = Set(LocalServer.allCases)

  /// Paths of programs; of those that are not here, the first usable one that is found.
  public var programs: [LocalServer: String] = [:]

  /// Ports on 127.0.0.1. Nil: the port of the last run in this folder if it is still free, else a
  /// free one. A port that is named here and taken is an error.
  public var natsPort: UInt16?
  public var natsMonitorPort: UInt16?
  public var redisPort: UInt16?
  public var postgresPort: UInt16?

  /// Bytes that all streams together may take on disk. Nil: what the folder's first run chose, 80 %
  /// of the then free disk. Explicit, because a disk that is really full hangs publishers.
  public var natsMaxFileStoreBytes: Int64?
  /// Redis refuses writes beyond this (noeviction), it never forgets on its own.
  public var redisMaxMemoryBytes: Int64 = 1 << 30
  /// Postgres `shared_buffers`.
  public var postgresSharedBuffersMiB = 128
  /// Postgres `max_wal_size`: most of it is replayed after a kill, which takes about a second per
  /// 100 MiB on two busy cores.
  public var postgresMaxWALMiB = 384

  /// All servers must be ready by then, counted from the start.
  public var startTimeoutMs = 20_000
  /// A stop is graceful until then; what still runs is killed.
  public var stopTimeoutMs = 3_000

  /// Called on the supervising thread at each change; must not block. For metrics.
  public var onEvent: @Sendable (LocalServersEvent) -> Void = { _ in }

  public init() {}
}

/// A change in the life of a server.
public enum LocalServersEvent: Sendable, Equatable {
  /// Answers requests, so long after it was started.
  case ready(LocalServer, afterMs: Int)
  /// Ended without being asked to, and starts again after the pause.
  case died(LocalServer, how: String, restartInMs: Int)
  /// Runs, but does not do its work, and a restart would not help: its disk is full.
  case ailing(LocalServer, reason: String)
  /// Ended after being asked to.
  case stopped(LocalServer, afterMs: Int)
}
