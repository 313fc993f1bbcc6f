import Glibc

/// The collector's clocks; replaced in tests.
public struct CollectorClock: Sendable {
  /// Microseconds since the Unix epoch.
  public var nowMicros: @Sendable () -> Int64
  /// Microseconds of a clock that never jumps.
  public var steadyMicros: @Sendable () -> Int64

  public init(
    nowMicros: @escaping @Sendable () -> Int64, steadyMicros: @escaping @Sendable () -> Int64
  ) {
    self.nowMicros = nowMicros
    self.steadyMicros = steadyMicros
  }

  public static let system = CollectorClock(
    nowMicros: {
      var time = timespec()
      clock_gettime(CLOCK_REALTIME, &time)
      return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    },
    steadyMicros: {
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    })
}
