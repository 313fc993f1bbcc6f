import Glibc

/// postgres with a data folder of its own, fsync on, on loopback only.
///
/// Postgres refuses to run as root. Then it runs as an unprivileged user that must be able to reach
/// the data. Where it can't (a home below /root), the data are in /var/lib/smartcontent/<hash of the
/// home's path>, and `postgres` in the home folder is a link to them.
struct PostgresRecipe: ServerRecipe {
  let home: HomeFolder
  let program: ServerProgram
  let endpoints: LocalEndpoints
  let sharedBuffersMiB: Int
  let maxWALMiB: Int
  /// Nil when we are not root.
  let user: UnprivilegedUser?
  /// Where the data really are.
  let dataPath: String

  /// Finds the place of the data, and makes it where it is not in the home folder.
  init(
    home: HomeFolder, program: ServerProgram, endpoints: LocalEndpoints,
    options: LocalServersOptions
  ) throws(LocalServersError) {
    self.home = home
    self.program = program
    self.endpoints = endpoints
    sharedBuffersMiB = options.postgresSharedBuffersMiB
    maxWALMiB = options.postgresMaxWALMiB
    guard geteuid() == 0 else {
      user = nil
      dataPath = home.dataPath(.postgres)
      return
    }
    guard let found = UnprivilegedUser.find() else { throw .noUnprivilegedUser }
    user = found
    dataPath = try Self.placeForData(home, found)
  }

  static let outsideFolder = "/var/lib/smartcontent"

  /// The folder for a home that postgres can't reach.
  static func outsidePath(_ home: HomeFolder) -> String {
    // FNV-1a, 64 bits: a name, not a secret.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in home.path.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let hex = String(hash, radix: 16)
    return "\(outsideFolder)/\(String(repeating: "0", count: 16 - hex.count))\(hex)"
  }

  private static func placeForData(_ home: HomeFolder, _ user: UnprivilegedUser)
    throws(LocalServersError) -> String
  {
    let inside = home.dataPath(.postgres)
    let outside = outsidePath(home)
    if FileSystem.linkTarget(inside) == outside { return outside }
    let test = try ChildProcess.run("/usr/bin/test", ["-x", home.path], user: user)
    if test?.ending == .exited(0) { return inside }

    // What lies there without a link to it belongs to a home folder that was removed.
    try FileSystem.remove(outside)
    try FileSystem.makeFolder(outsideFolder, mode: 0o711)
    unlink(inside)
    guard symlink(outside, inside) == 0 else { throw FileSystem.failure("make the link", inside) }
    return outside
  }

  var server: LocalServer { .postgres }
  var ports: [(name: String, port: UInt16)] { [("postgres", endpoints.postgresPort)] }

  /// Fast shutdown with a checkpoint, then immediate shutdown (recovers at the next start).
  var stopSignals: [(percent: Int, signal: Int32)] { [(0, SIGINT), (70, SIGQUIT)] }

  private var passwordPath: String { dataPath + ".password" }
  private var draftPath: String { dataPath + ".new" }

  func prepare() throws(LocalServersError) -> Command? {
    if FileSystem.exists(dataPath + "/PG_VERSION") {
      try endStrangers()
      return nil
    }
    // initdb works in a folder beside the final one: a killed initdb leaves nothing half-made there.
    try FileSystem.remove(draftPath)
    try FileSystem.remove(dataPath)
    try FileSystem.makeFolder(draftPath, mode: 0o700)
    try FileSystem.write(endpoints.postgresPassword + "\n", to: passwordPath, mode: 0o600)
    if let user {
      for path in [draftPath, passwordPath] where chown(path, user.uid, user.gid) != 0 {
        throw FileSystem.failure("give postgres", path)
      }
    }
    // PATH may hold a link to postgres alone.
    let real = FileSystem.withoutLinks(program.path)
    let initdb = String(real.dropLast("postgres".count)) + "initdb"
    return Command(
      path: initdb,
      arguments: [
        "--pgdata", draftPath, "--username", LocalEndpoints.postgresUser,
        "--pwfile", passwordPath, "--auth", "scram-sha-256", "--encoding", "UTF8",
        "--locale", "C.UTF-8", "--no-instructions",
      ],
      workingFolder: "/", user: user, deathSignal: SIGKILL)
  }

  func finishPreparation() throws(LocalServersError) {
    try FileSystem.remove(passwordPath)
    guard rename(draftPath, dataPath) == 0 else { throw FileSystem.failure("make", dataPath) }
  }

  /// Settings: postgresql.org/docs/15/runtime-config.html. No replication (`wal_level=minimal`), many
  /// small upserts (`autovacuum` looks often), a limit on the WAL that bounds the recovery after a kill,
  /// and one syncfs instead of an fsync of each file before it (measured: 1.4 s for an empty database).
  private var settings: [(String, String)] {
    [
      ("listen_addresses", "127.0.0.1"), ("port", "\(endpoints.postgresPort)"),
      ("unix_socket_directories", ""), ("max_connections", "200"),
      ("fsync", "on"), ("full_page_writes", "on"), ("synchronous_commit", "on"),
      ("shared_buffers", "\(sharedBuffersMiB)MB"), ("work_mem", "8MB"),
      ("maintenance_work_mem", "64MB"), ("huge_pages", "off"),
      ("wal_level", "minimal"), ("max_wal_senders", "0"), ("wal_buffers", "8MB"),
      ("max_wal_size", "\(maxWALMiB)MB"), ("min_wal_size", "128MB"), ("checkpoint_timeout", "5min"),
      ("recovery_init_sync_method", "syncfs"),
      ("autovacuum_naptime", "10s"), ("autovacuum_max_workers", "2"),
      ("max_parallel_workers_per_gather", "0"), ("jit", "off"), ("random_page_cost", "1.1"),
      ("max_locks_per_transaction", "256"), ("timezone", "UTC"), ("log_timezone", "UTC"),
      ("logging_collector", "off"), ("log_destination", "stderr"), ("log_checkpoints", "off"),
    ]
  }

  var command: Command {
    // Immediate shutdown when the parent is gone: postgres ends its own children, and recovers at the
    // next start.
    Command(
      path: program.path,
      arguments: ["-D", dataPath] + settings.flatMap { ["-c", "\($0.0)=\($0.1)"] },
      workingFolder: dataPath, user: user, deathSignal: SIGQUIT)
  }

  /// A start-up message of protocol 3.0: the server asks for a password when it is ready, and answers
  /// with an error while it starts, recovers or stops.
  /// postgresql.org/docs/15/protocol-message-formats.html
  func readinessProblem() -> String? {
    guard let talk = LoopbackExchange(port: endpoints.postgresPort) else {
      return "it does not accept connections on port \(endpoints.postgresPort) yet"
    }
    var message: [UInt8] = [0, 3, 0, 0]
    for text in ["user", LocalEndpoints.postgresUser, "database", LocalEndpoints.postgresDatabase] {
      message += Array(text.utf8) + [0]
    }
    message.append(0)
    let length = UInt32(message.count + 4).bigEndian
    let head = withUnsafeBytes(of: length) { Array($0) }
    guard talk.send(head + message) else { return "it closed the connection" }
    let answer = talk.receive { $0.count >= 9 }
    switch answer.first {
    case UInt8(ascii: "R"): return nil
    case UInt8(ascii: "E"):
      let text = String(decoding: answer.dropFirst(5), as: UTF8.self)
      return text.split(separator: "\0").first { $0.hasPrefix("M") }
        .map { "it says: \($0.dropFirst())" } ?? "it answered with an error"
    default: return "it does not answer"
    }
  }

  /// Ends what a killed run left: a postmaster on our data that no pid file knows, then any process
  /// that still has the data open (backends notice the end of their postmaster a moment late), and the
  /// postmaster.pid that would refuse the start if its number now belongs to a stranger.
  private func endStrangers() throws(LocalServersError) {
    let file = dataPath + "/postmaster.pid"
    guard let text = try FileSystem.read(file) else { return }
    if let pid = text.split(separator: "\n").first.flatMap({ Int32($0) }), worksOnOurData(pid),
      let identity = ProcessIdentity(running: pid)
    {
      _ = identity.end(signal: SIGQUIT, graceMs: 1500)
    }
    for name in FileSystem.names(in: "/proc") {
      guard let pid = Int32(name), worksOnOurData(pid),
        let identity = ProcessIdentity(running: pid)
      else { continue }
      _ = identity.waitUntilGone(ms: 300) || identity.end(signal: SIGKILL, graceMs: 0)
    }
    try FileSystem.remove(file)
  }

  /// Every process of postgres has its data folder as working folder.
  private func worksOnOurData(_ pid: Int32) -> Bool {
    FileSystem.linkTarget("/proc/\(pid)/cwd") == FileSystem.withoutLinks(dataPath)
      && LoopbackPort.programName(pid) == "postgres"
  }
}
