import Runtime

/// The time of a simulation: it passes when somebody looks, waits, or when the scheduler says so.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedClock: @unchecked Sendable {
  private var elapsed: Int64 = 0
  /// How far the log's clock and the processes' wall clock are off, microseconds.
  var logSkew: Int64 = 0
  var wallSkew: Int64 = 0

  func advance(micros: Int64) { elapsed += micros }

  /// The stored time of a frame that is appended now, microseconds since the epoch.
  var logTime: Int64 { ten + elapsed + logSkew }

  var loopClock: LoopClock {
    LoopClock(
      wall: { [self] in ten + elapsed + wallSkew },
      monotonic: { [self] in
        elapsed += 50
        return 1_000_000_000 + elapsed
      })
  }
}
