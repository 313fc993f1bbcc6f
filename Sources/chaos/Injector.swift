import Glibc
import LocalServers
import PostgresClient
import RedisClient

/// Carries faults out.
struct Injector {
  /// When a fault began and from when on the system could be well again. Steady microseconds.
  struct Times {
    var began: Int64
    var lifted: Int64
    /// What did not go as planned; "" where all did.
    var note = ""
  }

  let testbed: Testbed
  let traffic: Traffic

  func inject(_ fault: Fault) throws -> Times {
    let began = Clock.steady()
    var note = ""
    /// Where the rest of the system can be well while the fault goes on.
    var lifted: Int64?
    switch fault.kind {
    case .killCollect: testbed.nodes("collect")[fault.index].kill()
    case .killProcess: testbed.nodes("process")[fault.index].kill()
    case .killServe: testbed.nodes("serve")[0].kill()
    case .killNATS: signal(.nats, SIGKILL)
    case .killRedis: signal(.redis, SIGKILL)
    case .killPostgres: signal(.postgres, SIGKILL)
    case .immediatePostgres: signal(.postgres, SIGQUIT)
    case .rollingRestart: note = rollingRestart()
    case .freezeCollect: freeze("collect", fault, began)
    case .freezeProcess: freeze("process", fault, began)
    case .freezeServe:
      testbed.nodes("serve")[0].freeze(untilMicros: began + Int64(fault.seconds * 1_000_000))
      wait(fault.seconds)
      testbed.nodes("serve")[0].thaw()
    case .freezeNATS: freeze(.nats, fault.seconds)
    case .freezeRedis: freeze(.redis, fault.seconds)
    case .freezePostgres: freeze(.postgres, fault.seconds)
    case .flushRedis: _ = try whenThere { try redis().command("FLUSHALL") }
    case .oldRedis: lifted = try oldRedis()
    case .killBackend: note = try whenThere { try killBackend() }
    case .fullLogDisk: try fill(testbed.logDisk, fault.seconds)
    case .fullStateDisk: try fill(testbed.stateDisk, fault.seconds)
    case .fullTableDisk: try fill(testbed.tableDisk, fault.seconds)
    case .fullRedis: try fillRedis(fault.seconds)
    case .cut: testbed.proxy.reset(lines(fault))
    case .halfOpen:
      testbed.proxy.abandon(lines(fault))
    case .silent:
      testbed.proxy.set(.silent, lines(fault))
      wait(fault.seconds)
      testbed.proxy.set(.open, lines(fault))
    case .slow:
      testbed.proxy.set(.slow(ms: fault.delayMs), lines(fault))
      wait(fault.seconds)
      testbed.proxy.set(.open, lines(fault))
    case .copies: traffic.repeatBatches(20)
    }
    switch fault.kind {
    case .killCollect, .killProcess, .killServe, .killNATS, .killRedis, .killPostgres,
      .immediatePostgres, .flushRedis, .cut, .halfOpen, .copies, .killBackend,
      .freezeCollect, .freezeProcess:
      lifted = lifted ?? began
    default: break
    }
    return Times(began: began, lifted: lifted ?? Clock.steady(), note: note)
  }

  /// Ends what is still going on.
  func liftAll() {
    for node in testbed.nodes { node.thaw() }
    testbed.proxy.set(.open, Set(testbed.proxy.lines))
    testbed.logDisk?.empty()
    testbed.stateDisk?.empty()
    testbed.tableDisk?.empty()
  }

  // MARK: Parts

  private func lines(_ fault: Fault) -> Set<Line> {
    testbed.lines(node: fault.node, store: fault.store)
  }

  private func wait(_ seconds: Double) { Clock.pause(ms: Int(seconds * 1000)) }

  private func signal(_ server: LocalServer, _ number: Int32) {
    if let pid = testbed.servers.processID(of: server) { Glibc.kill(pid, number) }
  }

  /// One of several equal ones stands still, the others go on; at most one of a role at a time.
  private func freeze(_ role: String, _ fault: Fault, _ now: Int64) {
    for other in testbed.nodes(role) { other.thaw() }
    testbed.nodes(role)[fault.index].freeze(
      untilMicros: now + Int64(fault.seconds * 1_000_000))
  }

  private func freeze(_ server: LocalServer, _ seconds: Double) {
    let processes = family(of: server)
    for pid in processes { kill(pid, SIGSTOP) }
    wait(seconds)
    for pid in processes { kill(pid, SIGCONT) }
  }

  /// A server's process and, of Postgres, its children.
  private func family(of server: LocalServer) -> [Int32] {
    guard let root = testbed.servers.processID(of: server) else { return [] }
    guard let folder = opendir("/proc") else { return [root] }
    defer { closedir(folder) }
    var family = [root]
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if let pid = Int32(name), getpgidOfParent(pid) == root { family.append(pid) }
    }
    return family
  }

  /// The parent of a process, from the fourth field of its `stat`.
  private func getpgidOfParent(_ pid: Int32) -> Int32? {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return nil }
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 512)
    guard fgets(&buffer, Int32(buffer.count), file) != nil else { return nil }
    let text = String(
      decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    return fields.count > 1 ? Int32(fields[1]) : nil
  }

  /// Restarts one process after the other, each when the one before is ready.
  private func rollingRestart() -> String {
    for node in testbed.nodes {
      let before = node.startCount
      node.thaw()
      node.terminate()
      let deadline = Clock.steady() + 20_000_000
      while node.startCount == before || !Probe.isReady(node) {
        if Clock.steady() > deadline { return "\(node.name) is not ready 20 s after its SIGTERM" }
        Clock.pause(ms: 20)
      }
    }
    return ""
  }

  /// A server that another fault of the same moment hit is asked again until it is back.
  private func whenThere<Value>(_ body: () throws -> Value) throws -> Value {
    let deadline = Clock.steady() + 20_000_000
    while true {
      do {
        return try body()
      } catch {
        if Clock.steady() > deadline { throw error }
        Clock.pause(ms: 50)
      }
    }
  }

  private func redis() throws -> RedisConnection {
    var settings = try RedisSettings(url: testbed.servers.endpoints.redisURL)
    settings.connectTimeoutMs = 2000
    settings.commandTimeoutMs = 10_000
    return try RedisConnection(settings)
  }

  /// Redis comes back with what it held a while ago.
  /// - Returns: when it was killed.
  private func oldRedis() throws -> Int64 {
    _ = try whenThere { try redis().command("SAVE") }
    wait(1.5)
    let killed = Clock.steady()
    signal(.redis, SIGKILL)
    let deadline = killed + 10_000_000
    while Clock.steady() < deadline {
      do {
        _ = try redis()
        break
      } catch {
        Clock.pause(ms: 10)
      }
    }
    unlink("\(testbed.servers.home)/redis/dump.rdb")
    return killed
  }

  /// Ends a session while it commits, as an administrator or the kernel might.
  private func killBackend() throws -> String {
    let connection = try PostgresConnection(
      PostgresSettings(connection: testbed.servers.endpoints.postgresURL))
    let deadline = Clock.steady() + 3_000_000
    while Clock.steady() < deadline {
      let killed = try connection.query(
        """
        select count(pg_terminate_backend(pid)) from (
          select pid from pg_stat_activity
          where query = 'commit' and state = 'active' and pid <> pg_backend_pid() limit 1) c
        """)
      try killed.require(.int8)
      if killed.int8(0, 0) > 0 { return "" }
    }
    let any = try connection.query(
      """
      select count(pg_terminate_backend(pid)) from pg_stat_activity
      where application_name = 'smartcontent' and pid <> pg_backend_pid()
        and state <> 'idle'
      """)
    try any.require(.int8)
    return "no session was seen in COMMIT; \(any.int8(0, 0)) others were ended"
  }

  /// Takes the memory away that Redis may still use.
  private func fillRedis(_ seconds: Double) throws {
    let before = try whenThere {
      try redis().command("CONFIG", "GET", "maxmemory").array?.last?.text ?? "0"
    }
    _ = try whenThere { try redis().command("CONFIG", "SET", "maxmemory", "1") }
    wait(seconds)
    _ = try whenThere { try redis().command("CONFIG", "SET", "maxmemory", before) }
  }

  private func fill(_ disk: SmallDisk?, _ seconds: Double) throws {
    guard let disk else { return }
    try disk.fill()
    wait(seconds)
    disk.empty()
  }
}
