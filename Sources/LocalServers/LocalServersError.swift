/// Why the local servers can't run: what, where, and what to do next.
public enum LocalServersError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The folder (or something in it) can't be made, read or written.
  case folder(path: String, operation: String, reason: String)
  /// Another process runs servers in this folder.
  case homeInUse(path: String, pid: Int32?)
  /// The program was not found, or only in versions that are too old ("path (version)").
  case programMissing(LocalServer, looked: [String], rejected: [String])
  /// A port that was asked for is in use; `holder` says by whom, if the system tells.
  case portTaken(String, port: UInt16, holder: String?)
  /// There is no free port left to choose from.
  case noFreePort
  /// Root was asked to run postgres, and there is no user to drop to.
  case noUnprivilegedUser
  /// The program could not be executed.
  case notExecuted(path: String, step: String, reason: String)
  /// The server stopped before it was ready, or was not ready in time; with the end of its log.
  case notReady(LocalServer, reason: String, log: String, logPath: String)

  /// For the program's exit status, after sysexits.h.
  public var exitCode: Int32 {
    switch self {
    case .programMissing, .noUnprivilegedUser: 69  // EX_UNAVAILABLE
    case .notReady, .notExecuted: 70  // EX_SOFTWARE
    case .folder: 73  // EX_CANTCREAT
    case .homeInUse: 75  // EX_TEMPFAIL
    case .portTaken, .noFreePort: 78  // EX_CONFIG
    }
  }

  public var description: String {
    switch self {
    case .folder(let path, let operation, let reason):
      return "can't \(operation) \(path): \(reason).\n"
        + "Fix: make it writable for this user (chown or chmod), or choose another folder with "
        + "--home FOLDER."
    case .homeInUse(let path, let pid):
      let who = pid.map { "process \($0)" } ?? "another process"
      return "\(who) already runs its servers in \(path).\n"
        + "Fix: stop it\(pid.map { " (kill \($0))" } ?? ""), or choose another folder with "
        + "--home FOLDER."
    case .programMissing(let server, let looked, let rejected):
      var text = "\(server.program) \(server.minimumVersion) or newer was not found.\n"
      if !rejected.isEmpty {
        text += "Not usable: \(rejected.joined(separator: ", ")).\n"
      }
      text += "Looked in: \(looked.joined(separator: ", ")).\n"
      text += "Fix: \(server.installation), or set \(server.pathVariable)=/path/of/"
      return text + server.program + "."
    case .portTaken(let name, let port, let holder):
      let who = holder.map { "by \($0)" } ?? "(the system does not tell by whom)"
      return "port \(port) for \(name) is taken \(who).\n"
        + "Fix: stop that program, choose another port, or leave the option out: then a free port "
        + "is found."
    case .noFreePort:
      return "no free TCP port on 127.0.0.1.\n"
        + "Fix: look with `ss -tln` for what holds them, or name the ports by options."
    case .noUnprivilegedUser:
      return "postgres refuses to run as root, and there is no user `postgres` or `nobody`.\n"
        + "Fix: adduser --system postgres, or run as an ordinary user."
    case .notExecuted(let path, let step, let reason):
      return "can't start \(path): \(step): \(reason).\n"
        + "Fix: check that it is a program for this machine and may be executed."
    case .notReady(let server, let reason, let log, let logPath):
      var text = "\(server.program) is not ready: \(reason).\n"
      if !log.isEmpty { text += "The end of its log:\n\(log)\n" }
      return text + "The whole log: \(logPath)"
    }
  }
}
