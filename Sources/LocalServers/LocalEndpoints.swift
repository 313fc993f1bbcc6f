/// Where the local servers listen and the secrets that open them. Always 127.0.0.1.
public struct LocalEndpoints: Sendable, Equatable {
  public let natsPort: UInt16
  public let natsMonitorPort: UInt16
  public let natsToken: String
  /// The limit of the running server over all streams, in bytes.
  public let natsMaxFileStoreBytes: Int64
  public let redisPort: UInt16
  public let redisPassword: String
  public let postgresPort: UInt16
  public let postgresPassword: String

  /// The one user of the private postgres; owns everything in it.
  public static let postgresUser = "smartcontent"
  /// The database that every postgres has from its birth.
  public static let postgresDatabase = "postgres"
  public static let host = "127.0.0.1"

  /// Without the token.
  public var natsURL: String { "nats://\(Self.host):\(natsPort)" }
  public var natsURLWithToken: String { "nats://\(natsToken)@\(Self.host):\(natsPort)" }
  /// `/varz`, `/jsz`, `/healthz`: the server's own figures, as JSON.
  public var natsMonitorURL: String { "http://\(Self.host):\(natsMonitorPort)" }
  /// With a user, because `redis-cli -u` takes an empty one for a name.
  public var redisURL: String { "redis://default:\(redisPassword)@\(Self.host):\(redisPort)/0" }
  /// For libpq and psql.
  public var postgresURL: String {
    "postgresql://\(Self.postgresUser):\(postgresPassword)@\(Self.host):\(postgresPort)"
      + "/\(Self.postgresDatabase)"
  }
  /// The same as key=value pairs.
  public var postgresConnectionInfo: String {
    "host=\(Self.host) port=\(postgresPort) user=\(Self.postgresUser) password=\(postgresPassword) "
      + "dbname=\(Self.postgresDatabase)"
  }

  /// The endpoints of a folder in which servers ran before or run now; nil if they never did.
  public static func read(home: String) throws(LocalServersError) -> LocalEndpoints? {
    try HomeFolder(home).readEndpoints()
  }
}
