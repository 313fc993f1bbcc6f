import Glibc

/// How many files and connections this process may have open at once.
enum OpenFiles {
  /// Raises the limit as far as the system allows: many start processes with 1,024, fewer than a
  /// collector has connections.
  static func raiseLimit() {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
    limit.rlim_cur = limit.rlim_max
    // Where it is refused the old limit stays, and `smartcontent doctor` names it.
    setrlimit(resource, &limit)
  }
}
