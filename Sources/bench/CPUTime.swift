import Foundation

/// Seconds of processor time that something takes.
enum CPUTime {
  /// Of the calling thread.
  static func thread() -> Double { read(CLOCK_THREAD_CPUTIME_ID) }
  /// Of the whole process.
  static func process() -> Double { read(CLOCK_PROCESS_CPUTIME_ID) }

  /// Of the child processes that have ended.
  static func endedChildren() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage)
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
  }

  /// Of another process that runs, in steps of 10 ms.
  static func process(_ pid: Int32) throws -> Double {
    let (user, system) = try parts(of: pid)
    return user + system
  }

  /// The same, what it spends by itself and what in the kernel on its behalf.
  static func parts(of pid: Int32) throws -> (user: Double, system: Double) {
    let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    // Behind the name in brackets the fields begin with the third (proc(5)); 14 and 15 are ticks.
    let fields = (text.split(separator: ")").last ?? "").split(separator: " ").map {
      Double($0) ?? 0
    }
    guard fields.count > 12 else { throw BenchError("/proc shows no processor time of \(pid)") }
    let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))
    return (fields[11] / ticksPerSecond, fields[12] / ticksPerSecond)
  }

  private static func seconds(_ time: timeval) -> Double {
    Double(time.tv_sec) + Double(time.tv_usec) * 1e-6
  }

  private static func read(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
