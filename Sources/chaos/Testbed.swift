import Dataflow
import Definitions
import Foundation
import LocalServers
import Logging
import PostgresClient
import Synchronization

/// The whole system on this machine: private servers, the proxy, and the processes of each role.
///
///     senders -> collect 1, 2 -> | proxy | -> nats-server     (store on a small disk, as are snapshots
///                                                              and the tables of Postgres)
///                process 1 … 3 -> | proxy | -> nats-server, redis-server, postgres
///     queries -> serve         -> | proxy | -> redis-server, postgres
final class Testbed: Sendable {
  struct Settings: Sendable {
    var folder: String
    /// The `smartcontent` executable.
    var program: String
    /// The definitions of streams and pipelines.
    var streamsFolder: String
    var collectors = 2
    var processors = 3
    var logDiskMebibytes: Int
    var stateDiskMebibytes: Int
    var tableDiskMebibytes: Int
  }

  let settings: Settings
  let servers: LocalServers
  let proxy: Proxy
  let nodes: [Node]
  /// These are nil where `mount` is not permitted.
  let logDisk: SmallDisk?
  let stateDisk: SmallDisk?
  /// Under every table of Postgres, but not under its write-ahead log.
  let tableDisk: SmallDisk?
  let definitions: Definitions
  private let tender: Tender

  private init(
    _ settings: Settings, _ servers: LocalServers, _ proxy: Proxy, _ nodes: [Node],
    logDisk: SmallDisk?, stateDisk: SmallDisk?, tableDisk: SmallDisk?, definitions: Definitions
  ) {
    self.settings = settings
    self.servers = servers
    self.proxy = proxy
    self.nodes = nodes
    self.logDisk = logDisk
    self.stateDisk = stateDisk
    self.tableDisk = tableDisk
    self.definitions = definitions
    tender = Tender(nodes)
  }

  // MARK: Life

  static func start(_ settings: Settings, logger: Logger) throws -> Testbed {
    let folder = settings.folder
    for (name, mode) in [
      ("", 0o711), ("/servers", 0o711), ("/servers/nats", 0o700), ("/state", 0o700),
      ("/tables", 0o711),
    ] {
      try FileManager.default.createDirectory(
        atPath: folder + name, withIntermediateDirectories: true)
      chmod(folder + name, mode_t(mode))
    }
    let logDisk = SmallDisk.mount(
      at: folder + "/servers/nats", mebibytes: settings.logDiskMebibytes)
    let stateDisk = SmallDisk.mount(at: folder + "/state", mebibytes: settings.stateDiskMebibytes)
    let tableDisk = SmallDisk.mount(
      at: folder + "/tables", mebibytes: settings.tableDiskMebibytes)
    let streams = settings.streamsFolder
    let definitions = try Definitions(folder: streams)

    var options = LocalServersOptions()
    // More than there is: what must be met is the end of the disk, not the limit that averts it.
    options.natsMaxFileStoreBytes = 64 << 30
    let servers = try LocalServers.startBlocking(
      home: folder + "/servers", options: options, logger: logger)
    do {
      if let tableDisk { try moveTables(of: servers, to: tableDisk) }
      let proxy = Proxy()
      let nodes = try makeNodes(settings, streams: streams, servers, proxy)
      proxy.start()
      let testbed = Testbed(
        settings, servers, proxy, nodes, logDisk: logDisk, stateDisk: stateDisk,
        tableDisk: tableDisk, definitions: definitions)
      try testbed.applyStreams(streams)
      testbed.tender.start()
      for node in nodes { node.start() }
      return testbed
    } catch {
      servers.stopBlocking()
      logDisk?.unmount()
      stateDisk?.unmount()
      tableDisk?.unmount()
      throw error
    }
  }

  /// Ends everything. The folder stays.
  func stop() {
    for node in nodes { node.stop(withinMs: 6000) }
    tender.stop()
    proxy.stop()
    servers.stopBlocking()
    logDisk?.unmount()
    stateDisk?.unmount()
    tableDisk?.unmount()
  }

  var hasSmallDisks: Bool { logDisk != nil && stateDisk != nil && tableDisk != nil }

  /// Has Postgres make every table on a disk of its own.
  private static func moveTables(of servers: LocalServers, to disk: SmallDisk) throws {
    var data = stat()
    guard stat(servers.home + "/postgres", &data) == 0,
      chown(disk.path, data.st_uid, data.st_gid) == 0
    else { throw ChaosError.system("can't give \(disk.path) to postgres") }
    let connection = try PostgresConnection(
      PostgresSettings(connection: servers.endpoints.postgresURL))
    try connection.execute("create tablespace small location '\(disk.path)'")
    try connection.execute("alter system set default_tablespace = 'small'")
    try connection.execute("select pg_reload_conf()")
  }

  /// How many tuples all pipelines have in Postgres.
  func tupleCount() throws -> Int64 {
    let connection = try PostgresConnection(
      PostgresSettings(connection: servers.endpoints.postgresURL))
    let counts = definitions.pipelines.map {
      "(select count(*) from p_\($0.name)_\($0.version).dimensions)"
    }
    let result = try connection.query("select " + counts.joined(separator: " + "))
    try result.require(.int8)
    return result.int8(0, 0)
  }

  private static func makeNodes(
    _ settings: Settings, streams: String, _ servers: LocalServers, _ proxy: Proxy
  ) throws -> [Node] {
    let endpoints = servers.endpoints
    func node(_ name: String, _ role: String, _ arguments: [String]) throws -> Node {
      func way(_ store: Line.Store, _ port: UInt16) throws -> UInt16 {
        try proxy.add(Line(node: name, store: store), to: port)
      }
      var environment = [
        "SMARTCONTENT_NATS":
          "nats://\(endpoints.natsToken)@127.0.0.1:\(try way(.nats, endpoints.natsPort))",
        "SMARTCONTENT_LOG_LEVEL": "info",
      ]
      if role != "collect" {
        environment["SMARTCONTENT_REDIS"] =
          "redis://default:\(endpoints.redisPassword)@127.0.0.1:"
          + "\(try way(.redis, endpoints.redisPort))/0"
        environment["SMARTCONTENT_POSTGRES"] =
          "postgresql://\(LocalEndpoints.postgresUser):\(endpoints.postgresPassword)@127.0.0.1:"
          + "\(try way(.postgres, endpoints.postgresPort))/\(LocalEndpoints.postgresDatabase)"
      }
      return Node(
        name: name, role: role, port: try LoopbackPort.free(1)[0], path: settings.program,
        arguments: ["--streams", streams, "--http-threads", "1"] + arguments,
        environment: environment, logPath: "\(settings.folder)/\(name).log")
    }
    var nodes: [Node] = []
    for index in 1...settings.collectors {
      nodes.append(try node("collect-\(index)", "collect", ["--write-keys", Wire.writeKeys]))
    }
    for index in 1...settings.processors {
      nodes.append(
        try node("process-\(index)", "process", ["--state", "\(settings.folder)/state/\(index)"]))
    }
    nodes.append(try node("serve", "serve", []))
    return nodes
  }

  private func applyStreams(_ streams: String) throws {
    let result = try run(["streams", "apply", "--streams", streams], name: "apply")
    guard result.status == 0 else { throw ChaosError("streams apply failed:\n\(result.output)") }
  }

  /// Runs a command of `smartcontent` against the servers themselves, to its end.
  func run(
    _ arguments: [String], name: String, timeoutMs: Int = 600_000
  ) throws -> (status: Int32, output: String) {
    let endpoints = servers.endpoints
    let log = "\(settings.folder)/\(name).log"
    unlink(log)
    let program = try ChildProgram(
      path: settings.program, arguments: arguments,
      environment: [
        "SMARTCONTENT_NATS": endpoints.natsURLWithToken,
        "SMARTCONTENT_REDIS": endpoints.redisURL,
        "SMARTCONTENT_POSTGRES": endpoints.postgresURL,
        "SMARTCONTENT_STREAMS": settings.streamsFolder,
      ], logPath: log)
    let deadline = Clock.steady() + Int64(timeoutMs) * 1000
    while true {
      if let ending = program.ending {
        guard case .exited(let status) = ending else { return (-1, program.log(lines: 60)) }
        return (status, program.log(lines: 60))
      }
      if Clock.steady() > deadline {
        program.signal(SIGKILL)
        throw ChaosError("smartcontent \(arguments[0]) does not end within \(timeoutMs) ms")
      }
      Clock.pause(ms: 20)
    }
  }

  // MARK: Parts

  func nodes(_ role: String) -> [Node] { nodes.filter { $0.role == role } }

  func node(_ name: String) -> Node? { nodes.first { $0.name == name } }

  /// The lines of a process, a store, or both.
  func lines(node: String?, store: Line.Store?) -> Set<Line> {
    Set(
      proxy.lines.filter { line in
        (node == nil || line.node == node) && (store == nil || line.store == store)
      })
  }
}
