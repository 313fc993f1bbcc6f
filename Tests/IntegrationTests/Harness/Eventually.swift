import Glibc

/// Waits for a condition, with a deadline instead of a guess how long it takes.
///
/// - Returns: whether it became true within the time. Asked every `everyMs`.
func eventually(
  withinMs: Int = 5000, everyMs: Int = 5, _ condition: () async throws -> Bool
) async rethrows -> Bool {
  let deadline = ContinuousClock.now.advanced(by: .milliseconds(withinMs))
  while true {
    if try await condition() { return true }
    guard ContinuousClock.now < deadline, !Task.isCancelled else { return false }
    poll(nil, 0, Int32(everyMs))
  }
}
