import Glibc

/// An OS thread that runs one function: connections block, so they get no task.
public struct WorkerThread: Sendable {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: pthread_t

  public init(_ run: @escaping @Sendable () -> Void) {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, body.toOpaque())
    precondition(code == 0, "no thread could be started: \(String(cString: strerror(code)))")
    self.thread = thread
  }

  /// Waits for the function's end; to be called once.
  public func join() { pthread_join(thread, nil) }
}

/// Clocks and sleep of the sender; the generator gets its times from here.
enum DemoClock {
  /// Microseconds since the Unix epoch.
  static func now() -> Int64 { read(CLOCK_REALTIME) }

  /// Microseconds that never go back.
  static func monotonic() -> Int64 { read(CLOCK_MONOTONIC) }

  static func sleep(micros: Int64) {
    guard micros > 0 else { return }
    var left = timespec(tv_sec: Int(micros / 1_000_000), tv_nsec: Int(micros % 1_000_000) * 1_000)
    while true {
      let request = left
      let code = withUnsafePointer(to: request) { nanosleep($0, &left) }
      if code == 0 || errno != EINTR { return }
    }
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
  }
}
