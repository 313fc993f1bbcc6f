import Glibc

/// The two clocks that a loop needs, as values so that tests can give their own.
public struct LoopClock: Sendable {
  /// Microseconds since the Unix epoch.
  public var wall: @Sendable () -> Int64
  /// Microseconds that never go back, from an arbitrary start.
  public var monotonic: @Sendable () -> Int64

  public init(
    wall: @escaping @Sendable () -> Int64, monotonic: @escaping @Sendable () -> Int64
  ) {
    self.wall = wall
    self.monotonic = monotonic
  }

  public static let system = LoopClock(
    wall: { read(CLOCK_REALTIME) }, monotonic: { read(CLOCK_MONOTONIC) })

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}
