import Glibc
public import Logging
import Synchronization

/// nats-server, redis-server and postgres as children of this process, in a private folder, on
/// loopback: what `smartcontent dev` and the integration tests run on.
///
/// They are started in parallel and watched; one that dies is started again. They end with this
/// process, however it ends. What a killed run left over is ended by the next start. Two runs in one
/// folder are refused.
///
///     let servers = try await LocalServers.start(home: ".smartcontent", logger: logger)
///     … servers.endpoints …
///     await servers.stop()
public final class LocalServers: Sendable {
  /// Where they listen. Constant while they run, over restarts too.
  public let endpoints: LocalEndpoints
  /// The absolute path of the folder.
  public let home: String
  private let supervisor: Supervisor

  private init(_ supervisor: Supervisor, _ endpoints: LocalEndpoints, home: String) {
    self.supervisor = supervisor
    self.endpoints = endpoints
    self.home = home
  }

  /// For those who want to hear nothing.
  public static let silence = Logger(label: "local-servers") { _ in SwiftLogNoOpLogHandler() }

  /// Returns when all servers answer.
  public static func start(
    home: String, options: LocalServersOptions = LocalServersOptions(),
    logger: Logger = silence
  ) async throws(LocalServersError) -> LocalServers {
    let folder = HomeFolder(home)
    let supervisor = try launch(folder, options, logger)
    return LocalServers(supervisor, try await supervisor.started.value().get(), home: folder.path)
  }

  /// The same for a thread that may block.
  public static func startBlocking(
    home: String, options: LocalServersOptions = LocalServersOptions(),
    logger: Logger = silence
  ) throws(LocalServersError) -> LocalServers {
    let folder = HomeFolder(home)
    let supervisor = try launch(folder, options, logger)
    return LocalServers(supervisor, try supervisor.started.wait().get(), home: folder.path)
  }

  private static func launch(
    _ home: HomeFolder, _ options: LocalServersOptions, _ logger: Logger
  ) throws(LocalServersError) -> Supervisor {
    let supervisor = try Supervisor(home: home, options: options, logger: logger)
    supervisor.startThread()
    return supervisor
  }

  /// Ends all servers, gently first; returns when they are gone, at the latest shortly after the
  /// options' stop time. May be called more than once.
  public func stop() async {
    supervisor.requestStop()
    _ = await supervisor.stopped.value()
  }

  /// The same for a thread that may block.
  public func stopBlocking() {
    supervisor.requestStop()
    _ = supervisor.stopped.wait()
  }

  /// Ends one server at once, as a crash would; the supervisor starts it again. For tests.
  public func kill(_ server: LocalServer) {
    if let pid = processID(of: server) { Glibc.kill(pid, SIGKILL) }
  }

  /// The process of a server now, nil between its death and its restart.
  public func processID(of server: LocalServer) -> Int32? {
    supervisor.processes.withLock { $0[server] }
  }

  /// Removes a folder in which nothing runs, with data that are kept outside of it.
  public static func remove(home: String) throws(LocalServersError) {
    let folder = HomeFolder(home)
    let data = folder.dataPath(.postgres)
    let outside = PostgresRecipe.outsidePath(folder)
    if FileSystem.linkTarget(data) == outside { try FileSystem.remove(outside) }
    try FileSystem.remove(folder.path)
  }
}
