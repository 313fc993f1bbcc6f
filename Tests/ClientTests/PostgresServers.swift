import Glibc
import LocalServers
import PostgresClient
import Synchronization

/// A private postgres and redis for the client tests, started at the first use and ended with the
/// process. The folder's name is that of all test folders, so a later run removes what a killed
/// one left.
enum DatabaseServers {
  static func endpoints() async throws -> LocalEndpoints { try await started.value.endpoints }

  static func postgres() async throws -> PostgresSettings {
    PostgresSettings(connection: try await endpoints().postgresURL)
  }

  private static let started = Task {
    var options = LocalServersOptions()
    options.servers = [.postgres, .redis]
    let servers = try await LocalServers.start(home: makeFolder(), options: options)
    running.withLock { $0 = servers }
    atexit {
      guard let servers = running.withLock({ $0 }) else { return }
      servers.stopBlocking()
      do {
        try LocalServers.remove(home: servers.home)
      } catch {
        print("test servers: \(error)")
      }
    }
    return servers
  }

  private static let running = Mutex<LocalServers?>(nil)

  private static func makeFolder() throws -> String {
    let ticks = ProcessIdentity(running: getpid())?.startTicks ?? 0
    let path = "/tmp/smartcontent-test-\(getpid())-\(ticks)-0-clients"
    // Postgres runs as another user where the tests run as root.
    guard mkdir(path, 0o711) == 0, chmod(path, 0o711) == 0 else { throw Failure(path: path) }
    return path
  }

  struct Failure: Error { let path: String }
}
