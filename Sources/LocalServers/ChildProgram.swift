import Glibc
import Synchronization

/// Any program as a child of this process, with its output in a file: a role of SmartContent beside
/// the servers, in tests that kill it and in benchmarks that measure it.
///
/// It ends with this process, however it ends.
public final class ChildProgram: Sendable {
  public let pid: Int32
  public let logPath: String
  private let child: ChildProcess
  private let state = Mutex<ProcessEnding?>(nil)

  /// Starts it with this process's environment, changed by `environment`. The output is appended to
  /// the file at `logPath`.
  public init(
    path: String, arguments: [String], environment: [String: String] = [:],
    workingFolder: String? = nil, logPath: String
  ) throws(LocalServersError) {
    let file = open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileSystem.failure("open", logPath) }
    defer { close(file) }
    var variables: [String] = []
    var entry = environ
    while let pointer = entry.pointee {
      let text = String(cString: pointer)
      if environment[String(text.prefix { $0 != "=" })] == nil { variables.append(text) }
      entry += 1
    }
    for (name, value) in environment { variables.append("\(name)=\(value)") }
    child = try ChildProcess(
      Command(
        path: path, arguments: arguments, environment: variables.sorted(),
        workingFolder: workingFolder, deathSignal: SIGKILL), output: file)
    pid = child.pid
    self.logPath = logPath
  }

  /// How it ended, nil while it runs.
  public var ending: ProcessEnding? {
    state.withLock { ending in
      if ending == nil { ending = child.reap() }
      return ending
    }
  }

  /// Sends a signal; does nothing to a program that has ended.
  public func signal(_ number: Int32) {
    state.withLock { ending in
      if ending == nil { ending = child.reap() }
      if ending == nil { Glibc.kill(pid, number) }
    }
  }

  /// Ends it as a crash would, and waits until it is gone.
  public func kill() async {
    signal(SIGKILL)
    _ = await waitForEnd(timeoutMs: 5000)
  }

  /// How it ended; nil if it still runs after the time.
  public func waitForEnd(timeoutMs: Int) async -> ProcessEnding? {
    let deadline = MonotonicClock.nowUs() + Int64(timeoutMs) * 1000
    while true {
      if let ending { return ending }
      if MonotonicClock.nowUs() >= deadline { return nil }
      do {
        try await Task.sleep(nanoseconds: 2_000_000)
      } catch {
        return ending
      }
    }
  }

  /// The end of what it wrote.
  public func log(lines: Int = 40) -> String { FileSystem.tail(logPath, lines: lines) }
}
