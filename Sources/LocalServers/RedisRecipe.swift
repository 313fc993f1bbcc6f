import Glibc

/// redis-server without persistence: it holds a hot copy that is rebuilt from Postgres and the log.
struct RedisRecipe: ServerRecipe {
  let home: HomeFolder
  let program: ServerProgram
  let endpoints: LocalEndpoints
  let maxMemoryBytes: Int64

  var server: LocalServer { .redis }
  var ports: [(name: String, port: UInt16)] { [("redis-server", endpoints.redisPort)] }
  var stopSignals: [(percent: Int, signal: Int32)] { [(0, SIGTERM)] }

  /// Options: redis.conf of Redis 7.0. `noeviction`: a full server refuses writes and says so; it
  /// never forgets a part of the hot copy on its own.
  var configuration: String {
    """
    bind 127.0.0.1
    protected-mode yes
    port \(endpoints.redisPort)
    requirepass \(endpoints.redisPassword)
    daemonize no
    dir "\(home.dataPath(.redis))"
    save ""
    appendonly no
    maxmemory \(maxMemoryBytes)
    maxmemory-policy noeviction
    databases 1
    maxclients 1000
    loglevel notice

    """
  }

  func prepare() throws(LocalServersError) -> Command? {
    try FileSystem.makeFolder(home.dataPath(.redis), mode: 0o700)
    try FileSystem.write(configuration, to: home.configurationPath(.redis), mode: 0o600)
    return nil
  }

  var command: Command {
    // Nothing to save, so nothing to be gentle about.
    Command(
      path: program.path, arguments: [home.configurationPath(.redis)],
      workingFolder: home.dataPath(.redis), user: nil, deathSignal: SIGKILL)
  }

  func readinessProblem() -> String? {
    guard let talk = LoopbackExchange(port: endpoints.redisPort) else {
      return "it does not accept connections on port \(endpoints.redisPort) yet"
    }
    guard talk.send("AUTH \(endpoints.redisPassword)\r\nPING\r\n") else {
      return "it closed the connection"
    }
    let answer = talk.receiveText(lines: 2)
    return answer == "+OK\r\n+PONG\r\n" ? nil : "it answered \(answer.prefix(200))"
  }
}
