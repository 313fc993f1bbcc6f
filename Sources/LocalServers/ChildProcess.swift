import CShims
import Glibc

/// What to execute.
struct Command: Sendable {
  var path: String
  var arguments: [String]
  var workingFolder: String?
  /// Nil: the user that we are.
  var user: UnprivilegedUser?
  /// What the kernel sends to the child when the thread that started it ends.
  var deathSignal: Int32
}

/// A user to drop to when we are root.
struct UnprivilegedUser: Sendable, Equatable {
  let name: String
  let uid: uid_t
  let gid: gid_t

  /// `postgres`, else `nobody`; nil where there is neither.
  static func find() -> UnprivilegedUser? {
    for name in ["postgres", "nobody"] {
      var entry = passwd()
      var found: UnsafeMutablePointer<passwd>?
      var buffer = [CChar](repeating: 0, count: 16 << 10)
      if getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil {
        return UnprivilegedUser(name: name, uid: entry.pw_uid, gid: entry.pw_gid)
      }
    }
    return nil
  }
}

/// A child that was started here and not yet reaped.
struct ChildProcess: Sendable {
  let pid: Int32

  /// Starts it. With a death signal the calling thread must outlive the child.
  init(_ command: Command, output: Int32) throws(LocalServersError) {
    var environment = [
      "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
      "HOME=\(command.workingFolder ?? "/")",
    ]
    if let libraries = getenv("LD_LIBRARY_PATH") {
      environment.append("LD_LIBRARY_PATH=\(String(cString: libraries))")
    }
    let arguments = CStrings([command.path] + command.arguments)
    let variables = CStrings(environment)
    let folder = command.workingFolder.map { strdup($0) }
    let path = strdup(command.path)
    defer {
      free(path)
      free(folder ?? nil)
    }
    var request = smartcontent_spawn_request()
    request.path = UnsafePointer(path)
    request.argv = UnsafePointer(arguments.pointers)
    request.envp = UnsafePointer(variables.pointers)
    request.working_folder = folder.flatMap { UnsafePointer($0) }
    request.output_fd = output
    request.death_signal = command.deathSignal
    if let user = command.user {
      request.drop_privileges = 1
      request.uid = user.uid
      request.gid = user.gid
    }
    let result = smartcontent_spawn(&request)
    withExtendedLifetime((arguments, variables)) {}
    guard result.error == 0 else {
      throw .notExecuted(
        path: command.path, step: Self.stepName(result.step),
        reason: FileSystem.message(result.error))
    }
    pid = result.pid
  }

  /// How it ended, nil while it runs. After an answer the pid must not be used any more.
  func reap() -> Ending? {
    var status: Int32 = 0
    while true {
      let got = waitpid(pid, &status, WNOHANG)
      if got == 0 { return nil }
      if got == pid { return Ending(waitStatus: status) }
      if errno != EINTR { return .unknown }
    }
  }

  enum Ending: Sendable, Equatable, CustomStringConvertible {
    case exited(Int32)
    case killed(Int32)
    /// Somebody else reaped it.
    case unknown

    init(waitStatus: Int32) {
      let signal = waitStatus & 0x7f
      self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .killed(signal)
    }

    var description: String {
      switch self {
      case .exited(let code): "exited with status \(code)"
      case .killed(let signal): "killed by signal \(signal)"
      case .unknown: "ended"
      }
    }
  }

  /// Runs a short command to its end and returns what it printed; nil when it did not end in time
  /// (it is killed then).
  static func run(
    _ path: String, _ arguments: [String], user: UnprivilegedUser? = nil, timeoutMs: Int = 5000
  ) throws(LocalServersError) -> (ending: Ending, output: String)? {
    var (readEnd, writeEnd): (Int32, Int32) = (-1, -1)
    let code = smartcontent_pipe(&readEnd, &writeEnd, 0)
    guard code == 0 else {
      throw .notExecuted(path: path, step: "pipe", reason: FileSystem.message(code))
    }
    defer { close(readEnd) }
    let command = Command(path: path, arguments: arguments, user: user, deathSignal: 0)
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
