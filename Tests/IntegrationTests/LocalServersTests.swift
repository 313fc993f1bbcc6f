import Glibc
import LocalServers
import Synchronization
import Testing

@Suite("Local servers", .serialized, .endsWhatItStarts)
struct LocalServersTests {
  private static func natsOnly() -> LocalServersOptions {
    var options = LocalServersOptions()
    options.servers = [.nats]
    return options
  }

  private static func answers(_ port: UInt16) -> Bool { !LoopbackPort.isFree(port) }

  @Test("all three servers start on loopback, stop, and start again on the same ports")
  func startStopStart() async throws {
    let first = try await TestServers.start("restart")
    let ports = [
      first.endpoints.natsPort, first.endpoints.natsMonitorPort, first.endpoints.redisPort,
      first.endpoints.postgresPort,
    ]
    #expect(Set(ports).count == 4)
    #expect(ports.allSatisfy(Self.answers))
    for server in LocalServer.allCases { #expect(first.processID(of: server) != nil) }

    await first.stop()
    #expect(ports.allSatisfy(LoopbackPort.isFree))
    for server in LocalServer.allCases { #expect(first.processID(of: server) == nil) }

    let second = try await TestServers.start("restart", home: first.home)
    #expect(second.endpoints == first.endpoints)
    #expect(try LocalEndpoints.read(home: first.home) == first.endpoints)
    await second.stop()
  }

  @Test("secrets and configurations are readable by their owner only")
  func secretsAreSecret() async throws {
    let servers = try await TestServers.shared()
    for path in [
      "secrets/nats-token", "secrets/postgres-password", "run/nats.conf", "run/redis.conf",
    ] {
      var status = stat()
      #expect(stat("\(servers.home)/\(path)", &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600, "\(path)")
    }
  }

  @Test("nats-server fsyncs each message before its ack")
  func syncAlways() async throws {
    let servers = try await TestServers.shared()
    let varz = try HTTP.get("\(servers.endpoints.natsMonitorURL)/varz")
    #expect(varz.contains(#""sync_always": true"#))
    #expect(varz.contains(#""max_storage": \#(servers.endpoints.natsMaxFileStoreBytes)"#))
    #expect(varz.contains(#""host": "127.0.0.1""#))
  }

  @Test("a killed server is started again on its port", arguments: LocalServer.allCases)
  func restartsTheDead(server: LocalServer) async throws {
    let events = Mutex<[LocalServersEvent]>([])
    var options = LocalServersOptions()
    options.servers = [server]
    options.onEvent = { event in events.withLock { $0.append(event) } }
    let servers = try await TestServers.start("killed", options: options)
    let before = try #require(servers.processID(of: server))

    servers.kill(server)

    let isBack = await eventually {
      let readies = events.withLock { $0.filter { if case .ready = $0 { true } else { false } } }
      return readies.count == 2
    }
    #expect(isBack)
    #expect(servers.processID(of: server) != before)
    let died = events.withLock {
      $0.contains { if case .died(server, _, 0) = $0 { true } else { false } }
    }
    #expect(died)
    await servers.stop()
  }

  @Test("a second start in the same folder is refused and names the first")
  func secondStartIsRefused() async throws {
    let servers = try await TestServers.shared()
    await #expect(throws: LocalServersError.homeInUse(path: servers.home, pid: getpid())) {
      try await TestServers.start("second", home: servers.home)
    }
    #expect(LocalServersError.homeInUse(path: "/x", pid: 7).exitCode == 75)
  }

  @Test("a port that was asked for and is taken is an error that names the holder")
  func takenPort() async throws {
    let servers = try await TestServers.shared()
    var options = Self.natsOnly()
    options.natsPort = servers.endpoints.redisPort
    let error = await #expect(throws: LocalServersError.self) {
      try await TestServers.start("taken", options: options)
    }
    guard case .portTaken("nats-server", servers.endpoints.redisPort, let holder) = error else {
      Issue.record("not portTaken: \(String(describing: error))")
      return
    }
    let redis = try #require(servers.processID(of: .redis))
    #expect(holder == "redis-server (process \(redis))")
  }

  @Test("a remembered port that somebody took meanwhile is replaced")
  func rememberedPortIsReplaced() async throws {
    let first = try await TestServers.start("moved", options: Self.natsOnly())
    let port = first.endpoints.natsPort
    await first.stop()
    var options = Self.natsOnly()
    options.natsPort = port
    let other = try await TestServers.start("squatter", options: options)
    let second = try await TestServers.start("moved", home: first.home, options: Self.natsOnly())
    #expect(second.endpoints.natsPort != port)
    #expect(second.endpoints.natsToken == first.endpoints.natsToken)
    await second.stop()
    await other.stop()
  }

  @Test(
    "pid files of dead or different processes are ignored, the process that they name now lives on")
  func stalePidFiles() async throws {
    let home = try TemporaryFolder.make("stale")
    #expect(mkdir(home + "/run", 0o700) == 0)
    // Our own pid with another start time, and a pid that can't exist.
    try TextFile.write(
      "\(getpid()) 1 00000000-0000-0000-0000-000000000000\n", to: home + "/run/nats.pid")
    try TextFile.write("4194304999 1 x\n", to: home + "/run/redis.pid")
    let servers = try await TestServers.start("stale", home: home)
    #expect(ProcessIdentity(running: getpid()) != nil)
    await servers.stop()
    // Postgres: the pid of its stale file belongs to a stranger, us.
    try TextFile.write(
      "\(getpid())\n\(home)/postgres\n1\n1\n\n127.0.0.1\n", to: home + "/postgres/postmaster.pid")
    let again = try await TestServers.start("stale", home: home)
    #expect(again.processID(of: .postgres) != nil)
    await again.stop()
  }

  @Test("a server that a killed run left over is ended before the start")
  func leftoverIsEnded() async throws {
    let home = try TemporaryFolder.make("leftover")
    #expect(mkdir(home + "/run", 0o700) == 0)
    let sleeper = try ChildProgram(
      path: "/bin/sleep", arguments: ["100"], logPath: home + "/sleep.log")
    let identity = try #require(ProcessIdentity(running: sleeper.pid))
    try TextFile.write(identity.fileText, to: home + "/run/redis.pid")
    let servers = try await TestServers.start("leftover", home: home, options: Self.natsOnly())
    #expect(sleeper.ending == .killed(signal: SIGTERM))
    await servers.stop()
  }

  @Test(
    "as root, data of a home that postgres can't reach are kept where it can",
    .enabled(if: geteuid() == 0))
  func unreachableHome() async throws {
    let closed = try TemporaryFolder.make("closed")
    #expect(chmod(closed, 0o700) == 0)
    var options = LocalServersOptions()
    options.servers = [.postgres]
    let first = try await TestServers.start("closed", home: closed + "/home", options: options)
    await first.stop()
    var status = stat()
    #expect(lstat(first.home + "/postgres", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    #expect(stat(first.home + "/postgres/PG_VERSION", &status) == 0)
    let place = try #require(realpath(first.home + "/postgres", nil))
    defer { free(place) }
    #expect(String(cString: place).hasPrefix("/var/lib/smartcontent/"))

    let second = try await TestServers.start("closed", home: first.home, options: options)
    await second.stop()
    try LocalServers.remove(home: first.home)
    #expect(stat(place, &status) != 0)
  }

  @Test("a missing program is an error that says how to install it")
  func missingProgram() {
    let error = LocalServersError.programMissing(
      .nats, looked: ["/usr/bin"], rejected: ["/usr/sbin/nats-server (2.9.10)"])
    #expect(error.exitCode == 69)
    #expect("\(error)".contains("nats-server 2.10.0 or newer"))
    #expect("\(error)".contains("/usr/sbin/nats-server (2.9.10)"))
    #expect("\(error)".contains("Scripts/setup"))
    #expect("\(error)".contains("SMARTCONTENT_NATS_SERVER"))
  }

  @Test("a folder that can't be made is an error that names it")
  func folderNotWritable() async throws {
    let error = await #expect(throws: LocalServersError.self) {
      try await TestServers.start("none", home: "/proc/smartcontent/home")
    }
    guard case .folder(let path, "make", _) = error else {
      Issue.record("not a folder error: \(String(describing: error))")
      return
    }
    #expect(path.hasPrefix("/proc/smartcontent"))
    #expect(error?.exitCode == 73)
  }

  @Test("the version is read from what each program prints")
  func versions() {
    #expect(ProgramVersion(firstIn: "nats-server: v2.15.1") == ProgramVersion(2, 15, 1))
    #expect(
      ProgramVersion(firstIn: "Redis server v=7.0.15 sha=00000000:0") == ProgramVersion(7, 0, 15))
    #expect(
      ProgramVersion(firstIn: "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)")
        == ProgramVersion(15, 14, 0))
    #expect(ProgramVersion(firstIn: "17.") == nil)
    #expect(ProgramVersion(firstIn: "no version") == nil)
    #expect(ProgramVersion(2, 9, 10) < ProgramVersion(2, 10, 0))
  }
}
