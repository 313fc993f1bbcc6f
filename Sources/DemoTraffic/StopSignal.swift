import Synchronization

/// Tells a run's threads to end.
final class StopSignal: Sendable {
  private let stopped = Atomic<Bool>(false)
  /// On the monotonic clock, microseconds; ``Int64/max`` for never.
  private let giveUpAt = Atomic<Int64>(.max)

  /// No new events; what is under way goes on.
  var isStopped: Bool { stopped.load(ordering: .relaxed) }

  /// Nor are requests sent again any more.
  var isGivenUp: Bool { DemoClock.monotonic() >= giveUpAt.load(ordering: .relaxed) }

  /// - Parameter graceMicros: how long unacknowledged requests are still sent again.
  func stop(graceMicros: Int64) {
    stopped.store(true, ordering: .relaxed)
    _ = giveUpAt.compareExchange(
      expected: .max, desired: DemoClock.monotonic() + graceMicros, ordering: .relaxed)
  }
}
