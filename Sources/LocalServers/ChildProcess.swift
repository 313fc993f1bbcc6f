import CShims
import Glibc

/// A child that was started here and not yet reaped.
struct ChildProcess: Sendable {
  let pid: Int32

  /// Starts it, with `output` as its stdout and stderr.
  init(_ command: Command, output: Int32) throws(LocalServersError) {
    let result = SpawnThread.shared.run { Self.spawn(command, output: output) }
    guard result.error == 0 else {
      throw .notExecuted(
        path: command.path, step: Self.stepName(result.step),
        reason: FileSystem.message(result.error))
    }
    pid = result.pid
  }

  private static func spawn(_ command: Command, output: Int32) -> smartcontent_spawn_result {
    let texts = CStrings([command.path] + [command.workingFolder ?? ""])
    let arguments = CStrings([command.path] + command.arguments)
    let environment = CStrings(command.environment)
    var request = smartcontent_spawn_request()
    request.path = UnsafePointer(texts.pointers[0])
    request.argv = UnsafePointer(arguments.pointers)
    request.envp = UnsafePointer(environment.pointers)
    if command.workingFolder != nil {
      request.working_folder = UnsafePointer(texts.pointers[1])
    }
    request.output_fd = output
    request.death_signal = command.deathSignal
    if let user = command.user {
      request.drop_privileges = 1
      request.uid = user.uid
      request.gid = user.gid
    }
    let result = smartcontent_spawn(&request)
    withExtendedLifetime((texts, arguments, environment)) {}
    return result
  }

  /// How it ended, nil while it runs. After an answer the pid must not be used any more.
  func reap() -> ProcessEnding? {
    var status: Int32 = 0
    while true {
      let got = waitpid(pid, &status, WNOHANG)
      if got == 0 { return nil }
      if got == pid { return ProcessEnding(waitStatus: status) }
      if errno != EINTR { return .unknown }
    }
  }

  /// Runs a short command to its end and returns what it printed; nil when it did not end in time
  /// (it is killed then).
  static func run(
    _ path: String, _ arguments: [String], user: UnprivilegedUser? = nil, timeoutMs: Int = 5000
  ) throws(LocalServersError) -> (ending: ProcessEnding, output: String)? {
    var (readEnd, writeEnd): (Int32, Int32) = (-1, -1)
    let code = smartcontent_pipe(&readEnd, &writeEnd, 0)
    guard code == 0 else {
      throw .notExecuted(path: path, step: "pipe", reason: FileSystem.message(code))
    }
    defer { close(readEnd) }
    let command = Command(path: path, arguments: arguments, user: user, deathSignal: SIGKILL)
    let child: ChildProcess
    do {
      child = try ChildProcess(command, output: writeEnd)
    } catch {
      close(writeEnd)
      throw error
    }
    close(writeEnd)

    let deadline = MonotonicClock.nowUs() + Int64(timeoutMs) * 1000
    var output: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
      let left = (deadline - MonotonicClock.nowUs()) / 1000
      var wait = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
      let ready = poll(&wait, 1, Int32(max(0, left)))
      if ready < 0 && errno == EINTR { continue }
      if ready == 0 {
        kill(child.pid, SIGKILL)
        while child.reap() == nil { poll(nil, 0, 1) }
        return nil
      }
      let count = read(readEnd, &block, block.count)
      if count <= 0 { break }
      if output.count < 64 << 10 { output.append(contentsOf: block[..<count]) }
    }
    while true {
      if let ending = child.reap() {
        return (ending, String(decoding: output, as: UTF8.self))
      }
      if MonotonicClock.nowUs() > deadline { kill(child.pid, SIGKILL) }
      poll(nil, 0, 1)
    }
  }

  private static func stepName(_ step: Int32) -> String {
    switch UInt32(step) {
    case SMARTCONTENT_SPAWN_FORK.rawValue: "fork"
    case SMARTCONTENT_SPAWN_REDIRECT.rawValue: "open its log"
    case SMARTCONTENT_SPAWN_DROP_PRIVILEGES.rawValue: "change the user"
    case SMARTCONTENT_SPAWN_DEATH_SIGNAL.rawValue: "set the death signal"
    case SMARTCONTENT_SPAWN_WORKING_FOLDER.rawValue: "enter its folder"
    default: "execute"
    }
  }
}

/// A NULL-terminated array of C strings.
private final class CStrings {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointers = .allocate(capacity: count + 1)
    for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
    pointers[count] = nil
  }

  deinit {
    for index in 0..<count { free(pointers[index]) }
    pointers.deallocate()
  }
}
