import Synchronization

/// Hands out the numbers of things to do, until one of them has failed.
final class WorkQueue: Sendable {
  private struct State {
    var next = 0
    var failure: ScanError?
  }

  private let count: Int
  private let state = Mutex(State())

  init(count: Int) { self.count = count }

  /// - Returns: nil where there is nothing left to do.
  func take() -> Int? {
    state.withLock { state -> Int? in
      guard state.next < count, state.failure == nil else { return nil }
      defer { state.next += 1 }
      return state.next
    }
  }

  /// The first failure is kept.
  func fail(_ error: ScanError) { state.withLock { $0.failure = $0.failure ?? error } }

  var failure: ScanError? { state.withLock { $0.failure } }
  var hasFailed: Bool { failure != nil }
}
