import Glibc

/// The clocks of a run, and its pauses. Microseconds.
enum Clock {
  /// Since the Unix epoch.
  static func wall() -> Int64 { read(CLOCK_REALTIME) }

  /// Never goes back.
  static func steady() -> Int64 { read(CLOCK_MONOTONIC) }

  static func pause(ms: Int) {
    var left = timespec(tv_sec: ms / 1000, tv_nsec: (ms % 1000) * 1_000_000)
    while true {
      let request = left
      let code = withUnsafePointer(to: request) { nanosleep($0, &left) }
      if code == 0 || errno != EINTR { return }
    }
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}

/// Something that the run needs could not be had; says what to do.
struct ChaosError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// The same with the system's reason.
  static func system(_ what: String) -> ChaosError {
    ChaosError("\(what): \(String(cString: strerror(errno)))")
  }
}
