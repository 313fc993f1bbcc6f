import Synchronization

/// Counts the sessions with one server that broke, for all pools that have some.
///
/// What ends a session without a word (a firewall that forgot it, a machine that vanished) mostly ends all that
/// were open, and each is found out only by its silence: four of a pool, one after the other, cost four times as
/// long. So a session that was seen to work last before another one broke is not asked any more; a new one
/// costs milliseconds.
///
///     session 1   used ── idle ── asked ╳ silent, broken: counted
///     session 2   used ── idle ─────────────────────────────── given up unused, a new one is opened
public final class SessionLosses: Sendable {
  private let counter = Atomic<Int>(0)

  public init() {}

  /// So many sessions have broken.
  public var count: Int { counter.load(ordering: .acquiring) }

  func add() { counter.add(1, ordering: .acquiringAndReleasing) }
}
