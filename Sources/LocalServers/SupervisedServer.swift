import Glibc
import Logging

/// One server and where it is in its life. Belongs to the supervising thread.
struct SupervisedServer {
  enum State {
    /// Starts at this time.
    case waiting(untilUs: Int64)
    /// A command that comes before the server (initdb) runs; then `starting`, or an error.
    case preparing(ChildProcess)
    /// Runs, but did not answer yet; then `ready`, or `waiting` when it dies.
    case starting(ChildProcess, sinceUs: Int64, askAtUs: Int64)
    /// Answered; then `waiting` when it dies, or `restarting` when it can't do its work any more.
    case ready(ChildProcess, sinceUs: Int64, askAtUs: Int64)
    /// Was told to end so that it can start again; then `waiting`.
    case restarting(ChildProcess, sinceUs: Int64)
    /// Was told to end; then `ended`.
    case stopping(ChildProcess, sinceUs: Int64, signalsSent: Int)
    case ended
  }

  let recipe: any ServerRecipe
  private let home: HomeFolder
  private let logger: Logger
  private let report: @Sendable (LocalServersEvent) -> Void
  private(set) var state = State.waiting(untilUs: 0)
  /// Deaths since it last ran for long.
  private(set) var deaths = 0
  /// How the last one ended, and what was missing when it was last asked.
  private(set) var lastProblem = "it was not started"

  /// Pauses before a start, by the number of deaths: the first restart is at once.
  private static let pausesMs = [0, 100, 200, 400, 800, 1600, 3200, 5000]
  /// A server that was ready for so long starts again without a pause.
  private static let longEnoughUs: Int64 = 10_000_000
  private static let logLimitBytes = 16 << 20
  /// A running server is asked how it does so often.
  private static let conditionIntervalUs: Int64 = 1_000_000
  /// One that is to start again is killed after this time.
  private static let restartPatienceUs: Int64 = 3_000_000

  init(
    _ recipe: any ServerRecipe, home: HomeFolder, logger: Logger,
    report: @escaping @Sendable (LocalServersEvent) -> Void
  ) {
    self.recipe = recipe
    self.home = home
    self.logger = logger
    self.report = report
  }

  var server: LocalServer { recipe.server }

  var child: ChildProcess? {
    switch state {
    case .preparing(let child), .starting(let child, _, _), .ready(let child, _, _),
      .restarting(let child, _), .stopping(let child, _, _):
      child
    case .waiting, .ended: nil
    }
  }

  var isReady: Bool { if case .ready = state { true } else { false } }
  var isEnded: Bool { if case .ended = state { true } else { false } }

  /// Does what is due now. Throws what no restart can heal.
  mutating func advance(nowUs: Int64) throws(LocalServersError) {
    switch state {
    case .waiting(let untilUs):
      guard nowUs >= untilUs else { return }
      if let preparation = try recipe.prepare() {
        state = .preparing(try start(preparation))
      } else {
        state = .starting(try start(recipe.command), sinceUs: nowUs, askAtUs: nowUs)
      }

    case .preparing(let child):
      guard let ending = child.reap() else { return }
      guard ending == .exited(0) else { throw notReady("its preparation \(ending)") }
      try recipe.finishPreparation()
      state = .starting(try start(recipe.command), sinceUs: nowUs, askAtUs: nowUs)

    case .starting(let child, let sinceUs, let askAtUs):
      if let ending = child.reap() {
        died(ending, nowUs: nowUs)
      } else if nowUs < askAtUs {
        return
      } else if let problem = recipe.readinessProblem() {
        lastProblem = problem
        // Asked the less often the longer it takes: at most an eighth of the time is lost.
        let askAtUs = nowUs + min((nowUs - sinceUs) / 8, 100_000)
        state = .starting(child, sinceUs: sinceUs, askAtUs: askAtUs)
      } else {
        let now = MonotonicClock.nowUs()
        state = .ready(child, sinceUs: now, askAtUs: now + Self.conditionIntervalUs)
        let elapsed = Int((now - sinceUs) / 1000)
        logger.info("\(server.program) is ready", metadata: ["after_ms": "\(elapsed)"])
        report(.ready(server, afterMs: elapsed))
      }

    case .ready(let child, let sinceUs, let askAtUs):
      guard let ending = child.reap() else {
        if nowUs >= askAtUs { examine(child, readySinceUs: sinceUs, nowUs: nowUs) }
        return
      }
      if nowUs - sinceUs > Self.longEnoughUs { deaths = 0 }
      died(ending, nowUs: nowUs)

    case .restarting(let child, let sinceUs):
      if let ending = child.reap() {
        died(ending, nowUs: nowUs)
      } else if nowUs - sinceUs > Self.restartPatienceUs {
        kill(child.pid, SIGKILL)
      }

    case .stopping, .ended:
      return
    }
  }

  /// Finds out whether a running server still does its work.
  private mutating func examine(_ child: ChildProcess, readySinceUs: Int64, nowUs: Int64) {
    switch recipe.condition() {
    case .well:
      lastProblem = ""
    case .ailing(let reason):
      guard lastProblem != reason else { break }
      lastProblem = reason
      logger.error("\(server.program) does not work", metadata: ["why": "\(reason)"])
      report(.ailing(server, reason: reason))
    case .needsRestart(let reason):
      logger.notice("\(server.program) is started again", metadata: ["why": "\(reason)"])
      kill(child.pid, recipe.stopSignals.first?.signal ?? SIGTERM)
      state = .restarting(child, sinceUs: nowUs)
      return
    }
    state = .ready(
      child, sinceUs: readySinceUs, askAtUs: MonotonicClock.nowUs() + Self.conditionIntervalUs)
  }

  /// A start that could not be made is tried again after a pause.
  mutating func postpone(nowUs: Int64) {
    guard child == nil || child?.reap() != nil else { return }
    deaths += 1
    state = .waiting(untilUs: nowUs + 2_000_000)
  }

  /// Takes note of the end of a server that was told to end.
  mutating func reapStopped(nowUs: Int64) {
    guard case .stopping(let child, let sinceUs, _) = state, child.reap() != nil else { return }
    ended(afterUs: nowUs - sinceUs)
  }

  /// Asks it to end: the recipe's signals one after the other as time passes, SIGKILL at the end.
  mutating func stop(nowUs: Int64, limitUs: Int64) {
    switch state {
    case .waiting:
      state = .ended
    case .preparing(let child):
      kill(child.pid, SIGKILL)
      state = .stopping(child, sinceUs: nowUs, signalsSent: recipe.stopSignals.count + 1)
    case .starting(let child, _, _), .ready(let child, _, _), .restarting(let child, _):
      state = .stopping(child, sinceUs: nowUs, signalsSent: 0)
      stop(nowUs: nowUs, limitUs: limitUs)
    case .stopping(let child, let sinceUs, var sent):
      let signals = recipe.stopSignals + [(percent: 100, signal: SIGKILL)]
      while sent < signals.count,
        (nowUs - sinceUs) * 100 >= Int64(signals[sent].percent) * limitUs
      {
        kill(child.pid, signals[sent].signal)
        sent += 1
      }
      state = .stopping(child, sinceUs: sinceUs, signalsSent: sent)
    case .ended:
      return
    }
  }

  func notReady(_ reason: String) -> LocalServersError {
    let path = home.logPath(server)
    return .notReady(
      server, reason: reason, log: FileSystem.tail(path, lines: 12), logPath: path)
  }

  private mutating func died(_ ending: ProcessEnding, nowUs: Int64) {
    let pauseMs = Self.pausesMs[min(deaths, Self.pausesMs.count - 1)]
    deaths += 1
    lastProblem = "it \(ending)"
    state = .waiting(untilUs: nowUs + Int64(pauseMs) * 1000)
    removePidFile()
    logger.error(
      "\(server.program) died and is started again",
      metadata: [
        "how": "\(ending)", "pause_ms": "\(pauseMs)", "log": "\(home.logPath(server))",
      ])
    report(.died(server, how: "\(ending)", restartInMs: pauseMs))
  }

  private mutating func ended(afterUs: Int64) {
    state = .ended
    removePidFile()
    logger.info("\(server.program) stopped", metadata: ["after_ms": "\(afterUs / 1000)"])
    report(.stopped(server, afterMs: Int(afterUs / 1000)))
  }

  /// The pid file is a note for the next run; this one does not need it.
  private func removePidFile() {
    unlink(home.pidPath(server.rawValue))
  }

  private func start(_ command: Command) throws(LocalServersError) -> ChildProcess {
    let path = home.logPath(server)
    var status = stat()
    if stat(path, &status) == 0, status.st_size > Self.logLimitBytes { rename(path, path + ".1") }
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileSystem.failure("open", path) }
    defer { close(file) }
    let child = try ChildProcess(command, output: file)
    if let identity = ProcessIdentity(running: child.pid) {
      try home.writeIdentity(identity, server.rawValue)
    }
    return child
  }
}
