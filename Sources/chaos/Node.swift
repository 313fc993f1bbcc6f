import Foundation
import LocalServers
import Synchronization

/// One `smartcontent` process that is started again whenever it ends, as a service manager does.
final class Node: Sendable {
  struct State {
    var program: ChildProgram?
    /// It shall run.
    var isWanted = false
    /// SIGSTOP without SIGCONT.
    var isFrozen = false
    /// Steady time of the SIGCONT.
    var thawsAtMicros: Int64 = .max
    /// The next end is our doing.
    var isExpectedToEnd = false
    var startedMicros: Int64 = 0
    var startCount = 0
    var peakMebibytes = 0
    /// Ends that nobody asked for.
    var crashes: [String] = []
  }

  let name: String
  let role: String
  let port: UInt16
  private let path: String
  private let arguments: [String]
  private let environment: [String: String]
  private let logPath: String
  private let state = Mutex(State())

  init(
    name: String, role: String, port: UInt16, path: String, arguments: [String],
    environment: [String: String], logPath: String
  ) {
    self.name = name
    self.role = role
    self.port = port
    self.path = path
    self.arguments = [role, "--http", "127.0.0.1:\(port)"] + arguments
    self.environment = environment
    self.logPath = logPath
  }

  var url: String { "http://127.0.0.1:\(port)" }
  var log: String { logPath }
  var isFrozen: Bool { state.withLock(\.isFrozen) }
  var startCount: Int { state.withLock(\.startCount) }
  /// Seconds since it was started last.
  var upSeconds: Double {
    Double(Clock.steady() - state.withLock(\.startedMicros)) / 1e6
  }
  var crashes: [String] { state.withLock(\.crashes) }

  /// The largest resident memory that ``measureMemory()`` saw.
  var peakMebibytes: Int { state.withLock(\.peakMebibytes) }

  /// Reads how much memory it has taken since its start.
  func measureMemory() {
    guard let pid = state.withLock({ $0.program?.pid }),
      let data = FileManager.default.contents(atPath: "/proc/\(pid)/status")
    else { return }
    for line in String(decoding: data, as: UTF8.self).split(separator: "\n")
    where line.hasPrefix("VmHWM:") {
      let kibibytes = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
      state.withLock { $0.peakMebibytes = max($0.peakMebibytes, kibibytes / 1024) }
    }
  }

  func start() { state.withLock { $0.isWanted = true } }

  /// Looks after the process: reaps it, starts it. Called often, from one thread.
  func tend() {
    state.withLock { state in
      if let ending = state.program?.ending {
        if !state.isExpectedToEnd { state.crashes.append("\(name) \(ending)") }
        state.program = nil
        state.isFrozen = false
      }
      let now = Clock.steady()
      if state.isFrozen, now >= state.thawsAtMicros {
        state.program?.signal(SIGCONT)
        state.isFrozen = false
      }
      guard state.isWanted, state.program == nil else { return }
      // A process that ends as soon as it is started is not started hundreds of times.
      guard now - state.startedMicros > 500_000 else { return }
      state.startedMicros = now
      state.startCount += 1
      state.isExpectedToEnd = false
      do {
        state.program = try ChildProgram(
          path: path, arguments: arguments, environment: environment, logPath: logPath)
      } catch {
        state.crashes.append("\(name) can't be started: \(error)")
      }
    }
  }

  func kill() { end(SIGKILL) }
  func terminate() { end(SIGTERM) }

  private func end(_ signal: Int32) {
    state.withLock { state in
      guard let program = state.program else { return }
      state.isExpectedToEnd = true
      program.signal(signal)
      if state.isFrozen {
        state.isFrozen = false
        program.signal(SIGCONT)
      }
    }
  }

  /// Stops it where it stands until then.
  func freeze(untilMicros: Int64) {
    state.withLock { state in
      guard let program = state.program, program.ending == nil else { return }
      program.signal(SIGSTOP)
      state.isFrozen = true
      state.thawsAtMicros = untilMicros
    }
  }

  func thaw() {
    state.withLock { state in
      guard state.isFrozen else { return }
      state.program?.signal(SIGCONT)
      state.isFrozen = false
    }
  }

  /// Asks it to end, kills it after the time, and starts it no more.
  func stop(withinMs: Int) {
    thaw()
    state.withLock { $0.isWanted = false }
    terminate()
    let deadline = Clock.steady() + Int64(withinMs) * 1000
    while state.withLock({ $0.program.map { $0.ending == nil } ?? false }) {
      if Clock.steady() > deadline { kill() }
      Clock.pause(ms: 10)
    }
  }
}
