import Synchronization

/// How many events a write key may still send: a token bucket that gains ``eventsPerSecond`` and holds
/// what comes together in ``burstSeconds``.
///
/// A request that finds anything in the bucket is taken whole; what it has beyond that is owed, and the
/// next ones wait for it. So a batch that is larger than the bucket gets through, and over time no more
/// than the rate does.
///
/// The generic cell rate algorithm (ITU-T I.371, annex A): all of the state is the instant at which the
/// bucket would be full again, 8 bytes. About 10 ns, from any thread.
///
///     bucket full           some left          empty: refused until it has one again
///     fullAt <= now         fullAt < now + burst       fullAt >= now + burst
final class RateLimit: Sendable {
  static let burstSeconds = 2
  /// What may be configured.
  static let eventsPerSecondRange = 1...1_000_000

  let eventsPerSecond: Int
  private let nanosPerEvent: Int64
  /// Steady nanoseconds.
  private let fullAt = Atomic<Int64>(.min / 2)
  private static let burstNanos = Int64(burstSeconds) * 1_000_000_000

  /// - Precondition: the rate is in ``eventsPerSecondRange``.
  init(eventsPerSecond: Int) {
    precondition(Self.eventsPerSecondRange.contains(eventsPerSecond), "a rate is 1 to 1000000")
    self.eventsPerSecond = eventsPerSecond
    nanosPerEvent = 1_000_000_000 / Int64(eventsPerSecond)
  }

  /// How long the bucket is still empty, in microseconds; 0 where it holds something.
  func emptyMicros(nowMicros: Int64) -> Int64 {
    wait(fullAt.load(ordering: .relaxed), now: nowMicros * 1000)
  }

  /// Takes the events out of the bucket unless it is empty.
  ///
  /// - Returns: how long it is still empty, in microseconds; 0 where the events were taken.
  func take(_ events: Int, nowMicros: Int64) -> Int64 {
    let now = nowMicros * 1000
    var old = fullAt.load(ordering: .relaxed)
    while true {
      let wait = wait(old, now: now)
      if wait > 0 { return wait }
      let (isDone, seen) = fullAt.compareExchange(
        expected: old, desired: max(old, now) + Int64(events) * nanosPerEvent, ordering: .relaxed)
      if isDone { return 0 }
      old = seen
    }
  }

  private func wait(_ fullAt: Int64, now: Int64) -> Int64 {
    guard fullAt > now else { return 0 }
    let empty = fullAt - now - Self.burstNanos
    return empty < 0 ? 0 : empty / 1000 + 1
  }
}
