/// The servers that SmartContent needs beside it, each started as a child process.
public enum LocalServer: String, Sendable, CaseIterable, Hashable {
  /// The log: nats-server with JetStream.
  case nats
  /// The hot copy of the read models: redis-server.
  case redis
  /// The durable read models: postgres.
  case postgres

  /// Name of the program.
  public var program: String {
    switch self {
    case .nats: "nats-server"
    case .redis: "redis-server"
    case .postgres: "postgres"
    }
  }

  /// Environment variable with the path of the program, for one that is not found by itself.
  public var pathVariable: String {
    switch self {
    case .nats: "SMARTCONTENT_NATS_SERVER"
    case .redis: "SMARTCONTENT_REDIS_SERVER"
    case .postgres: "SMARTCONTENT_POSTGRES_SERVER"
    }
  }

  /// Oldest version that works, and why.
  ///
  /// nats-server got `sync_interval: always` (an ack then means fsynced) with 2.10; redis-server 6.2
  /// is the oldest with the script flags and `ZADD GT` of our scripts; postgres 14 got
  /// `recovery_init_sync_method`.
  var minimumVersion: ProgramVersion {
    switch self {
    case .nats: ProgramVersion(2, 10, 0)
    case .redis: ProgramVersion(6, 2, 0)
    case .postgres: ProgramVersion(14, 0, 0)
    }
  }

  /// What to type when the program is missing.
  var installation: String {
    switch self {
    case .nats:
      "./Scripts/setup  (or: python3 -m venv .venv && "
        + ".venv/bin/pip install --require-hashes -r Scripts/requirements.txt)"
    case .redis: "./Scripts/setup  (or: apt-get install redis-server)"
    case .postgres: "./Scripts/setup  (or: apt-get install postgresql)"
    }
  }
}
