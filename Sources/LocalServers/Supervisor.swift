import CShims
import Glibc
import Logging
import Synchronization

/// The thread that starts, watches and stops the servers of one home folder.
///
/// A loop: advance each server's state, wait for a request to stop or for the next look. All state but
/// the two latches and the list of processes belongs to this thread.
final class Supervisor: Sendable {
  let started = Latch<Result<LocalEndpoints, LocalServersError>>()
  let stopped = Latch<Bool>()
  /// The running processes, for those who want to see or end one.
  let processes = Mutex<[LocalServer: Int32]>([:])

  private let home: HomeFolder
  private let options: LocalServersOptions
  private let logger: Logger
  private let stopRequested = Atomic<Bool>(false)
  private let wakeRead: Int32
  private let wakeWrite: Int32

  /// While a server starts or stops it is asked so often; a running one is looked at less often.
  private static let busyTickMs: Int32 = 5
  private static let quietTickMs: Int32 = 50
  /// Deaths of one server before the first start counts as failed.
  private static let deathsBeforeFailure = 3
  /// Starts with newly chosen ports, when somebody was quicker at one of ours.
  private static let startAttempts = 3

  init(home: HomeFolder, options: LocalServersOptions, logger: Logger)
    throws(LocalServersError)
  {
    var (readEnd, writeEnd): (Int32, Int32) = (-1, -1)
    let code = smartcontent_pipe(&readEnd, &writeEnd, 1)
    guard code == 0 else {
      throw .folder(
        path: home.path, operation: "make a pipe for", reason: FileSystem.message(code))
    }
    (wakeRead, wakeWrite) = (readEnd, writeEnd)
    self.home = home
    self.options = options
    self.logger = logger
  }

  deinit {
    close(wakeRead)
    close(wakeWrite)
  }

  func startThread() {
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        smartcontent_name_thread("local-servers")
        Unmanaged<Supervisor>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
    precondition(code == 0, "no thread for the local servers: \(FileSystem.message(code))")
    pthread_detach(thread)
  }

  func requestStop() {
    stopRequested.store(true, ordering: .releasing)
    var byte: UInt8 = 1
    // A full pipe means that a wake-up is already on its way.
    _ = write(wakeWrite, &byte, 1)
  }

  private var shallStop: Bool { stopRequested.load(ordering: .acquiring) }

  // MARK: The thread

  private func run() {
    do throws(LocalServersError) {
      try home.make()
      let lock = try home.lock()
      defer {
        unlink(home.pidPath("dev"))
        close(lock)
      }
      if let identity = ProcessIdentity(running: getpid()) {
        try home.writeIdentity(identity, "dev")
      }
      try endLeftovers()
      try serve()
    } catch {
      started.set(.failure(error))
    }
    stopped.set(true)
  }

  /// Ends the servers of a run that was killed: all are told first, then awaited.
  private func endLeftovers() throws(LocalServersError) {
    var leftovers: [ProcessIdentity] = []
    for server in LocalServer.allCases {
      guard let identity = try home.readIdentity(server.rawValue) else { continue }
      if identity.isRunning {
        logger.warning(
          "ending the \(server.program) of an earlier run", metadata: ["pid": "\(identity.pid)"])
        kill(identity.pid, server == .postgres ? SIGQUIT : SIGTERM)
        leftovers.append(identity)
      } else {
        unlink(home.pidPath(server.rawValue))
      }
    }
    for identity in leftovers {
      guard identity.waitUntilGone(ms: 1500) || identity.end(signal: SIGKILL, graceMs: 0) else {
        throw .folder(
          path: home.path, operation: "use",
          reason: "process \(identity.pid) of an earlier run does not end")
      }
    }
  }

  private func serve() throws(LocalServersError) {
    let beginUs = MonotonicClock.nowUs()
    var programs: [LocalServer: ServerProgram] = [:]
    for server in options.servers.sorted(by: { $0.rawValue < $1.rawValue }) {
      let major = server == .postgres ? try postgresMajorOfData() : nil
      programs[server] = try ServerProgram.find(
        server, path: options.programs[server], postgresMajor: major)
    }
    for attempt in 1... {
      let endpoints = try PortPlan.choose(home: home, options: options)
      var servers = try recipes(programs, endpoints).map {
        SupervisedServer($0, home: home, logger: logger, report: options.onEvent)
      }
      do throws(LocalServersError) {
        try supervise(&servers, endpoints, beginUs: beginUs)
        return
      } catch {
        endAll(&servers)
        let ours = servers.filter { !$0.recipe.ports.allSatisfy { LoopbackPort.isFree($0.port) } }
        guard !ours.isEmpty, attempt < Self.startAttempts, started.current == nil else {
          throw error
        }
        // Somebody took one of our ports: `choose` says so if it was asked for, else takes others.
      }
    }
  }

  private func postgresMajorOfData() throws(LocalServersError) -> Int? {
    try FileSystem.read(home.dataPath(.postgres) + "/PG_VERSION")
      .flatMap { $0.split(whereSeparator: \.isWhitespace).first }.flatMap { Int($0) }
  }

  private func recipes(_ programs: [LocalServer: ServerProgram], _ endpoints: LocalEndpoints)
    throws(LocalServersError) -> [any ServerRecipe]
  {
    var recipes: [any ServerRecipe] = []
    // Postgres first: it takes the longest.
    if let program = programs[.postgres] {
      let recipe = try PostgresRecipe(
        home: home, program: program, endpoints: endpoints, options: options)
      if recipe.dataPath != home.dataPath(.postgres) {
        logger.notice(
          "the data of postgres are outside of the home folder, which its user can't reach",
          metadata: ["data": "\(recipe.dataPath)", "user": "\(recipe.user?.name ?? "")"])
      }
      recipes.append(recipe)
    }
    if let program = programs[.nats] {
      recipes.append(NATSRecipe(home: home, program: program, endpoints: endpoints))
    }
    if let program = programs[.redis] {
      recipes.append(
        RedisRecipe(
          home: home, program: program, endpoints: endpoints,
          maxMemoryBytes: options.redisMaxMemoryBytes))
    }
    return recipes
  }

  /// Runs until a stop is asked for, or throws when the first start fails. Later deaths never end it.
  private func supervise(
    _ servers: inout [SupervisedServer], _ endpoints: LocalEndpoints, beginUs: Int64
  ) throws(LocalServersError) {
    while !shallStop {
      let now = MonotonicClock.nowUs()
      for index in servers.indices {
        do throws(LocalServersError) {
          try servers[index].advance(nowUs: now)
        } catch {
          guard started.current != nil else { throw error }
          // A restart that can't be made now (a full disk, a vanished program) may work later.
          logger.error("\(servers[index].server.program) can't be started: \(error)")
          servers[index].postpone(nowUs: now)
        }
      }
      publishProcesses(servers)
      let allReady = servers.allSatisfy(\.isReady)
      if started.current == nil {
        if allReady {
          started.set(.success(endpoints))
        } else if let failed = servers.first(where: { $0.deaths >= Self.deathsBeforeFailure }) {
          throw failed.notReady(failed.lastProblem)
        } else if now - beginUs > Int64(options.startTimeoutMs) * 1000,
          let slow = servers.first(where: { !$0.isReady })
        {
          throw slow.notReady(
            "\(slow.lastProblem), after \(Double(options.startTimeoutMs) / 1000) s")
        }
      }
      pause(allReady ? Self.quietTickMs : Self.busyTickMs)
    }
    endAll(&servers)
    if started.current == nil {
      throw .folder(path: home.path, operation: "serve", reason: "stopped before it was ready")
    }
  }

  private func endAll(_ servers: inout [SupervisedServer]) {
    let limitUs = Int64(options.stopTimeoutMs) * 1000
    while !servers.allSatisfy(\.isEnded) {
      let now = MonotonicClock.nowUs()
      for index in servers.indices {
        servers[index].stop(nowUs: now, limitUs: limitUs)
        servers[index].reapStopped(nowUs: now)
      }
      poll(nil, 0, Self.busyTickMs)
    }
    publishProcesses(servers)
  }

  private func publishProcesses(_ servers: [SupervisedServer]) {
    var running: [LocalServer: Int32] = [:]
    for server in servers {
      if let child = server.child { running[server.server] = child.pid }
    }
    processes.withLock { $0 = running }
  }

  private func pause(_ ms: Int32) {
    var wait = pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0)
    guard poll(&wait, 1, ms) > 0 else { return }
    var bytes = [UInt8](repeating: 0, count: 64)
    _ = read(wakeRead, &bytes, bytes.count)
  }
}
