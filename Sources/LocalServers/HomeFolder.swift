import CShims
import Glibc

/// The private folder of the local servers.
///
///     settings     ports and the limit of the log, kept from run to run
///     secrets/     one file each, readable by the owner only
///     run/         lock, pid files, the generated configurations
///     logs/        what each server says
///     nats/ redis/ postgres/    their data; postgres/ may be a link, see PostgresRecipe
struct HomeFolder: Sendable {
  let path: String

  init(_ path: String) { self.path = FileSystem.absolute(path) }

  var settingsPath: String { path + "/settings" }
  var lockPath: String { path + "/run/lock" }
  func pidPath(_ name: String) -> String { "\(path)/run/\(name).pid" }
  func configurationPath(_ server: LocalServer) -> String {
    "\(path)/run/\(server.rawValue).conf"
  }
  func logPath(_ server: LocalServer) -> String { "\(path)/logs/\(server.rawValue).log" }
  func dataPath(_ server: LocalServer) -> String { "\(path)/\(server.rawValue)" }
  func secretPath(_ name: String) -> String { "\(path)/secrets/\(name)" }

  /// Others may pass through the home folder (postgres runs as another user when we are root), but
  /// see nothing of it.
  func make() throws(LocalServersError) {
    try FileSystem.makeFolder(path, mode: 0o711)
    for (name, mode) in [("secrets", 0o700), ("run", 0o700), ("logs", 0o700)] {
      try FileSystem.makeFolder("\(path)/\(name)", mode: mode_t(mode))
    }
    guard access(path + "/run", W_OK | X_OK) == 0 else {
      throw FileSystem.failure("write to", path)
    }
  }

  /// The lock that one run holds; ends with the process, however it ends. Waits a moment for a holder
  /// that is just being killed: the kernel takes its time to close the files of a process.
  func lock() throws(LocalServersError) -> Int32 {
    let file = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileSystem.failure("open", lockPath) }
    let deadline = MonotonicClock.nowUs() + 1_000_000
    while true {
      let code = smartcontent_try_lock(file)
      if code == 0 { return file }
      guard code == EWOULDBLOCK else {
        close(file)
        throw .folder(path: lockPath, operation: "lock", reason: FileSystem.message(code))
      }
      if MonotonicClock.nowUs() > deadline {
        close(file)
        throw .homeInUse(path: path, pid: try readIdentity("dev")?.pid)
      }
      poll(nil, 0, 10)
    }
  }

  func readIdentity(_ name: String) throws(LocalServersError) -> ProcessIdentity? {
    try FileSystem.read(pidPath(name)).flatMap { ProcessIdentity(fileText: $0) }
  }

  func writeIdentity(_ identity: ProcessIdentity, _ name: String) throws(LocalServersError) {
    try FileSystem.write(identity.fileText, to: pidPath(name), mode: 0o600)
  }

  /// The secret of this name, made at its first use: 160 bits from the system, in hex.
  func secret(_ name: String) throws(LocalServersError) -> String {
    let file = secretPath(name)
    if let text = try FileSystem.read(file)?.split(whereSeparator: \.isWhitespace).first {
      return String(text)
    }
    var generator = SystemRandomNumberGenerator()
    // Starts with a letter: nats-server reads a word of digits in its configuration as a number.
    var secret = "s"
    for _ in 0..<5 {
      let part = String(UInt32.random(in: 0...UInt32.max, using: &generator), radix: 16)
      secret += String(repeating: "0", count: 8 - part.count) + part
    }
    try FileSystem.write(secret + "\n", to: file, mode: 0o600)
    return secret
  }

  func readSettings() throws(LocalServersError) -> Settings {
    Settings(text: try FileSystem.read(settingsPath) ?? "")
  }

  func writeSettings(_ settings: Settings) throws(LocalServersError) {
    try FileSystem.write(settings.text, to: settingsPath, mode: 0o600)
  }

  func readEndpoints() throws(LocalServersError) -> LocalEndpoints? {
    let settings = try readSettings()
    guard settings.isComplete else { return nil }
    return try endpoints(settings)
  }

  func endpoints(_ settings: Settings) throws(LocalServersError) -> LocalEndpoints {
    LocalEndpoints(
      natsPort: settings.natsPort, natsMonitorPort: settings.natsMonitorPort,
      natsToken: try secret("nats-token"),
      natsMaxFileStoreBytes: settings.natsMaxFileStoreBytes,
      redisPort: settings.redisPort, redisPassword: try secret("redis-password"),
      postgresPort: settings.postgresPort, postgresPassword: try secret("postgres-password"))
  }

  /// What is kept from run to run, as `name=number` lines. 0: not chosen yet.
  struct Settings: Sendable, Equatable {
    var natsPort: UInt16 = 0
    var natsMonitorPort: UInt16 = 0
    var redisPort: UInt16 = 0
    var postgresPort: UInt16 = 0
    var natsMaxFileStoreBytes: Int64 = 0

    init(text: String) {
      for line in text.split(separator: "\n") {
        let parts = line.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { continue }
        switch parts[0] {
        case "nats_port": natsPort = UInt16(parts[1]) ?? 0
        case "nats_monitor_port": natsMonitorPort = UInt16(parts[1]) ?? 0
        case "redis_port": redisPort = UInt16(parts[1]) ?? 0
        case "postgres_port": postgresPort = UInt16(parts[1]) ?? 0
        case "nats_max_file_store_bytes": natsMaxFileStoreBytes = Int64(parts[1]) ?? 0
        default: break
        }
      }
    }

    var text: String {
      """
      nats_port=\(natsPort)
      nats_monitor_port=\(natsMonitorPort)
      redis_port=\(redisPort)
      postgres_port=\(postgresPort)
      nats_max_file_store_bytes=\(natsMaxFileStoreBytes)

      """
    }

    var isComplete: Bool {
      natsPort != 0 && natsMonitorPort != 0 && redisPort != 0 && postgresPort != 0
        && natsMaxFileStoreBytes != 0
    }
  }
}
