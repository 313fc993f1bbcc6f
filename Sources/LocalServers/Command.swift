import Glibc

/// What to execute.
struct Command: Sendable {
  var path: String
  var arguments: [String]
  /// All that the child gets, as "NAME=value".
  var environment = Command.plainEnvironment
  /// Nil: ours.
  var workingFolder: String?
  /// Nil: the user that we are.
  var user: UnprivilegedUser?
  /// What the kernel sends to the child when this process ends; 0 for nothing.
  var deathSignal: Int32

  /// Servers see nothing of the user's environment but where libraries are.
  static var plainEnvironment: [String] {
    var environment = [
      "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
      "HOME=/",
    ]
    if let libraries = getenv("LD_LIBRARY_PATH") {
      environment.append("LD_LIBRARY_PATH=\(String(cString: libraries))")
    }
    return environment
  }
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
