import Glibc

/// How long a thread that is to stop still waits for a server: two seconds, so that a commit under
/// way normally ends with a known outcome and the process stays below its five seconds to stop.
///
/// Confined to the thread of its store.
final class StopGrace {
  private static let graceMs = 2_000
  private let isStopping: () -> Bool
  private var noticedAt: Int?

  init(_ isStopping: @escaping () -> Bool) { self.isStopping = isStopping }

  func isOver() -> Bool {
    guard isStopping() else { return false }
    let now = StopGrace.monotonicMilliseconds()
    let noticed = noticedAt ?? now
    noticedAt = noticed
    return now - noticed >= StopGrace.graceMs
  }

  static func monotonicMilliseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
  }
}
