/// The condition did not come true in time.
public struct TimedOut: Error {}

/// Returns once `condition` holds; looks every few milliseconds.
public func eventually(
  within limit: Duration = .seconds(20), _ condition: @Sendable () async throws -> Bool
) async throws {
  let deadline = ContinuousClock.now + limit
  while !(try await condition()) {
    if ContinuousClock.now >= deadline { throw TimedOut() }
    try await Task.sleep(for: .milliseconds(2))
  }
}
