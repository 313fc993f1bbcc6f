import ArgumentParser
import CShims
import Definitions
import Glibc
import HTTPClient
import JetStreamLog
import LocalServers
import NATSClient
import PostgresClient
import RedisClient

/// `smartcontent doctor`: looks at everything that SmartContent stands on and says how to mend what is
/// wrong.
///
/// It looks at the servers that are named by options or environment, like the other commands; where
/// none is, at those of `smartcontent dev` in the home folder. It changes nothing.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Check programs, servers, durability, ports, disk and clock; print each fix.",
    discussion: "Exit codes: 0 all is well (there may be warnings), 1 something must be mended.")

  @OptionGroup var servers: ServerOptions
  @OptionGroup var folder: StreamsFolderOption

  @Option(help: ArgumentHelp("Folder of `smartcontent dev`.", valueName: "folder"))
  var home = ".smartcontent"

  @Option(
    help: ArgumentHelp(
      "Monitoring URL of the nats-server, such as http://127.0.0.1:8222; it tells the durability"
        + " mode [env SMARTCONTENT_NATS_MONITOR].", valueName: "url"))
  var natsMonitor: String?

  @Option(help: ArgumentHelp("Address that `smartcontent dev` answers on.", valueName: "host:port"))
  var http = Environment["SMARTCONTENT_HTTP"] ?? "127.0.0.1:8080"

  func run() throws {
    var report = DoctorReport()
    checkDefinitions(&report)
    if namesServers {
      checkNamedServers(&report)
    } else {
      checkPrograms(&report)
      try checkLocalServers(&report)
      checkPort(&report)
      checkDisk(&report)
    }
    checkFileLimit(&report)
    checkClock(&report)
    print(report.summary)
    if report.failures > 0 { throw ExitCode(1) }
  }

  private var namesServers: Bool {
    [
      servers.nats ?? Environment["SMARTCONTENT_NATS"],
      servers.redis ?? Environment["SMARTCONTENT_REDIS"],
      servers.postgres ?? Environment["SMARTCONTENT_POSTGRES"],
    ].contains { $0 != nil }
  }

  // MARK: What is on this machine

  private func checkDefinitions(_ report: inout DoctorReport) {
    do {
      let place = try folder.find()
      let problems = Definitions.check(folder: place)
      guard let first = problems.first else {
        report.ok("definitions", "\(place): no problems")
        return checkWebhooks(try Definitions(folder: place).webhooks, &report)
      }
      report.fail(
        "definitions", "\(first)\(problems.count > 1 ? " and \(problems.count - 1) more" : "")",
        fix: "smartcontent streams check lists them all")
    } catch {
      report.fail("definitions", "\(error)", fix: "name the folder with --streams")
    }
  }

  private func checkWebhooks(_ webhooks: [WebhookDeclaration], _ report: inout DoctorReport) {
    for webhook in webhooks {
      let name = "webhook \(webhook.name)"
      guard Environment[webhook.secretVariable] != nil else {
        report.warn(
          name, "\(webhook.secretVariable) is not set here",
          fix:
            "set it to its secret where `smartcontent process` runs, which does not start without")
        continue
      }
      if let problem = WebhookOptions.problem(of: webhook) {
        report.fail(name, problem, fix: "correct the variable")
      } else {
        report.ok(name, "has its secret")
      }
    }
  }

  private func checkPrograms(_ report: inout DoctorReport) {
    for server in LocalServer.allCases {
      do throws(LocalServersError) {
        let program = try ServerProgram.find(server)
        report.ok(server.program, "\(program.version), \(program.path)")
      } catch {
        report.fail(server.program, error)
      }
    }
  }

  private func checkPort(_ report: inout DoctorReport) {
    guard let colon = http.lastIndex(of: ":"), let port = UInt16(http[http.index(after: colon)...])
    else {
      return report.fail(
        "port", "\(http) is not HOST:PORT", fix: "give --http such as 127.0.0.1:8080")
    }
    if LoopbackPort.isFree(port) { return report.ok("port \(port)", "free") }
    let holder = LoopbackPort.holder(of: port) ?? "a program of another user"
    if holder.hasPrefix("smartcontent ") {
      report.ok("port \(port)", "held by \(holder)")
    } else {
      report.fail(
        "port \(port)", "taken by \(holder)",
        fix: "stop that program, or start with --http 127.0.0.1:OTHER")
    }
  }

  private func checkDisk(_ report: inout DoctorReport) {
    var place = home
    while access(place, F_OK) != 0 {
      guard let slash = place.lastIndex(of: "/") else {
        place = "."
        break
      }
      place = slash == place.startIndex ? "/" : String(place[..<slash])
    }
    if access(place, W_OK) != 0 {
      report.fail(
        "folder", "\(place) is not writable for this user",
        fix: "chown or chmod it, or choose another with --home")
    }
    var status = statvfs()
    guard statvfs(place, &status) == 0 else {
      return report.warn(
        "disk", "unknown: \(String(cString: strerror(errno)))", fix: "look at `df`")
    }
    let free = Int64(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize))
    let text = "\(Self.gibibytes(free)) free at \(place)"
    if free < Self.leastFreeBytes {
      report.fail(
        "disk", text, fix: "make room: a full disk stops the log (5 GiB is the least that is safe)")
    } else {
      report.ok("disk", text)
    }
  }

  /// Below this the servers' own files (WAL, the log's blocks) may not find room.
  private static let leastFreeBytes: Int64 = 5 << 30

  private func checkFileLimit(_ report: inout DoctorReport) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    if limit.rlim_max < 1024 {
      report.fail(
        "open files", "at most \(limit.rlim_max)", fix: "ulimit -n 4096 (each connection is one)")
    } else {
      report.ok("open files", "at most \(limit.rlim_max)")
    }
  }

  private func checkClock(_ report: inout DoctorReport) {
    switch smartcontent_clock_is_synchronised() {
    case 1: report.ok("clock", "synchronised")
    case 0:
      report.warn(
        "clock", "not synchronised by a time service",
        fix: "apt-get install chrony; events carry the clocks of many machines")
    default: report.warn("clock", "the kernel does not tell", fix: "check it with `timedatectl`")
    }
  }

  // MARK: Servers

  private func checkLocalServers(_ report: inout DoctorReport) throws {
    guard let endpoints = try LocalEndpoints.read(home: home) else {
      return report.note("servers", "none were started in \(home) yet; start: smartcontent dev")
    }
    guard !LoopbackPort.isFree(endpoints.natsPort) else {
      return report.note("servers", "those of \(home) do not run; start: smartcontent dev")
    }
    checkNATS(&report, url: endpoints.natsURLWithToken, monitor: endpoints.natsMonitorURL)
    checkRedis(&report, url: endpoints.redisURL)
    checkPostgres(&report, url: endpoints.postgresURL)
  }

  private func checkNamedServers(_ report: inout DoctorReport) {
    do {
      checkNATS(
        &report, url: try servers.natsURL(),
        monitor: natsMonitor ?? Environment["SMARTCONTENT_NATS_MONITOR"])
    } catch {
      report.fail("nats", "\(error)", fix: "name all three servers, or none for those of dev")
    }
    do {
      checkRedis(&report, url: try servers.redisURL())
    } catch {
      report.fail("redis", "\(error)", fix: "name all three servers, or none for those of dev")
    }
    do {
      checkPostgres(&report, url: try servers.postgresURL())
    } catch {
      report.fail("postgres", "\(error)", fix: "name all three servers, or none for those of dev")
    }
  }

  private func checkNATS(_ report: inout DoctorReport, url: String, monitor: String?) {
    let limit = checkDurability(&report, monitor: monitor)
    do {
      let log = JetStreamLog(address: try NATSAddress(url), name: "doctor")
      let used = try log.admin.account().storage
      report.ok(
        "nats",
        "JetStream holds \(Self.gibibytes(Int64(clamping: used)))"
          + (limit.map { " of \(Self.gibibytes($0))" } ?? ""))
      try checkStreams(&report, log, limit: limit)
    } catch {
      report.fail("nats", "\(error)", fix: "start it, and check URL and token")
    }
  }

  /// - Returns: the server's limit over all streams in bytes, if it tells.
  private func checkDurability(_ report: inout DoctorReport, monitor: String?) -> Int64? {
    guard let monitor else {
      report.warn(
        "durability", "unknown: the server's monitoring is not named",
        fix: "give --nats-monitor http://HOST:8222")
      return nil
    }
    do {
      let varz = NATSFigures(try HTTPClient().get(monitor + "/varz").text)
      let version = varz["version"] ?? "?"
      if varz["sync_always"] == "true" {
        report.ok("durability", "nats-server \(version) syncs each frame before its ack")
      } else {
        report.fail(
          "durability",
          "nats-server \(version) acknowledges before the frame is on the disk:"
            + " a power cut loses what was acknowledged",
          fix: "set `sync_interval: always` in its jetstream block (2.10 or newer), restart it")
      }
      return varz["max_storage"].flatMap { Int64($0) }
    } catch {
      report.fail(
        "durability", "\(error)", fix: "check --nats-monitor (option `http` of the server)")
      return nil
    }
  }

  private func checkStreams(_ report: inout DoctorReport, _ log: JetStreamLog, limit: Int64?) throws
  {
    var streams = try Definitions(folder: try folder.find()).streams
    if let limit { streams = streams.fitted(toStoreBytes: limit) }
    let setup = StreamSetup(log.admin)
    streams = try setup.adopted(streams)
    let changes = try setup.changes(streams)
    if let first = changes.first {
      report.warn(
        "streams", "\(changes.count) differ from the definitions, such as \(first)",
        fix: "smartcontent streams plan, then apply (dev does it by itself)")
    } else {
      report.ok("streams", "as declared")
    }
    for stream in streams.all {
      guard let info = try log.admin.info(stream.name) else { continue }
      let share = Double(info.bytes) / Double(max(1, stream.bytesMax))
      if share > 0.9 {
        report.fail(
          stream.name, "\(Int(share * 100)) % full",
          fix: "raise max_bytes in streams.yaml and apply it")
      }
    }
  }

  private func checkRedis(_ report: inout DoctorReport, url: String) {
    do {
      let redis = try RedisConnection(RedisSettings(url: url))
      let info = try redis.command("INFO").get().text ?? ""
      func field(_ name: String) -> String? {
        info.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
          .map { String($0.dropFirst(name.count + 1)) }
      }
      report.ok(
        "redis",
        "\(field("redis_version") ?? "?"), \(field("used_memory_human") ?? "?") used of"
          + " \(field("maxmemory_human") ?? "?")")
      if field("maxmemory_policy") != "noeviction" {
        report.fail(
          "redis eviction", "\(field("maxmemory_policy") ?? "?")",
          fix: "set maxmemory-policy noeviction: a hot copy must not lose parts silently")
      }
    } catch {
      report.fail("redis", "\(error)", fix: "start it, and check URL and password")
    }
  }

  private func checkPostgres(_ report: inout DoctorReport, url: String) {
    do {
      let postgres = try PostgresConnection(PostgresSettings(connection: url))
      var before = timespec()
      clock_gettime(CLOCK_REALTIME, &before)
      let row = try postgres.query(
        """
        select current_setting('server_version'), current_setting('fsync'),
          current_setting('full_page_writes'), current_setting('synchronous_commit'),
          clock_timestamp()
        """)
      report.ok("postgres", row.text(0, 0))
      for (index, name) in [(1, "fsync"), (2, "full_page_writes")] where row.text(0, index) != "on"
      {
        report.fail(
          "postgres \(name)", row.text(0, index), fix: "set \(name) = on: a power cut loses data")
      }
      if row.text(0, 3) == "off" {
        report.warn(
          "postgres commits", "synchronous_commit is off by default",
          fix: "none needed: SmartContent turns it on for its own commits")
      }
      let nowUs = Int64(before.tv_sec) * 1_000_000 + Int64(before.tv_nsec) / 1000
      let differenceMs = abs(row.timestamptz(0, 4) - nowUs) / 1000
      if differenceMs > 1000 {
        report.fail(
          "clock of postgres", "\(differenceMs) ms away from ours",
          fix: "run a time service on both machines")
      }
      try checkIncidents(&report, postgres)
    } catch {
      report.fail("postgres", "\(error)", fix: "start it, and check URL and password")
    }
  }

  /// How many go on, who was told, and who wants to be told nothing any more.
  private func checkIncidents(
    _ report: inout DoctorReport, _ postgres: PostgresConnection
  ) throws(PostgresError) {
    let tables = try postgres.query(
      """
      select to_regclass('smartcontent.pipelines')::oid::int8 is not null,
        to_regclass('smartcontent.incident_receivers')::oid::int8 is not null
      """)
    try tables.require(.bool, .bool)
    guard tables.bool(0, 0), tables.bool(0, 1) else { return }
    let schemas = try postgres.query(
      """
      select schema from (
        select 'p_' || name || '_' || version as schema from smartcontent.pipelines where active) p
      where to_regclass(schema || '.incidents') is not null order by schema
      """)
    try schemas.require(.text)
    var counts: [String] = []
    for row in 0..<schemas.rowCount {
      let schema = schemas.text(row, 0)
      let open = try postgres.query(
        "select count(*) from \(schema).incidents where end_at is null and group_id = id")
      try open.require(.int8)
      counts.append("\(open.int8(0, 0)) go on in \(schema)")
    }
    let ended = try postgres.query(
      "select name from smartcontent.incident_receivers where ended order by name")
    try ended.require(.text)
    report.ok("incidents", counts.isEmpty ? "none are watched for" : counts.joined(separator: ", "))
    for row in 0..<ended.rowCount {
      report.warn(
        "webhook \(ended.text(row, 0))", "answered 410 and is told of incidents no more",
        fix: "give it another address in notifications.yaml, or remove it there")
    }
  }

  private static func gibibytes(_ bytes: Int64) -> String {
    let tenths = bytes / ((1 << 30) / 10)
    return "\(tenths / 10).\(tenths % 10) GiB"
  }
}

/// Prints findings as they come, counts what must be mended.
private struct DoctorReport {
  private(set) var failures = 0
  private(set) var warnings = 0

  func ok(_ name: String, _ text: String) { line("ok   ", name, text) }
  func note(_ name: String, _ text: String) { line("-    ", name, text) }

  mutating func warn(_ name: String, _ text: String, fix: String) {
    warnings += 1
    line("warn ", name, text)
    print("                         fix: \(fix)")
  }

  mutating func fail(_ name: String, _ text: String, fix: String) {
    failures += 1
    line("FAIL ", name, text)
    print("                         fix: \(fix)")
  }

  /// Its description ends with the fix.
  mutating func fail(_ name: String, _ error: LocalServersError) {
    failures += 1
    line("FAIL ", name, "\(error)".replacingNewlines(with: "\n                         "))
  }

  var summary: String {
    failures == 0
      ? "all is well\(warnings == 0 ? "" : ", \(warnings) warnings")"
      : "\(failures) to mend\(warnings == 0 ? "" : ", \(warnings) warnings")"
  }

  private func line(_ mark: String, _ name: String, _ text: String) {
    print(mark + name + String(repeating: " ", count: max(1, 20 - name.count)) + text)
  }
}

extension String {
  fileprivate func replacingNewlines(with text: String) -> String {
    split(separator: "\n").joined(separator: text)
  }
}

/// Single figures of what the monitoring of nats-server prints; names are used once there.
private struct NATSFigures {
  private let text: String

  init(_ text: String) { self.text = text }

  subscript(name: String) -> String? {
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2, parts[0].contains("\"\(name)\"") else { continue }
      return String(parts[1].filter { !" ,\"".contains($0) })
    }
    return nil
  }
}
