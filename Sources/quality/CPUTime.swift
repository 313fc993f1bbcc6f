import Glibc

/// Processor time of the calling thread, in seconds: what others do on the machine meanwhile is not in it.
enum CPUTime {
  static func thread() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
