import Synchronization

/// A value that is set once, by one thread, and awaited by any number of threads and tasks.
final class Latch<Value: Sendable>: Sendable {
  private struct State {
    var value: Value?
    var waiting: [@Sendable (Value) -> Void] = []
  }

  private let state = Mutex(State())

  /// Only the first value counts.
  func set(_ value: Value) {
    let waiting: [@Sendable (Value) -> Void] = state.withLock { state in
      guard state.value == nil else { return [] }
      state.value = value
      defer { state.waiting = [] }
      return state.waiting
    }
    for call in waiting { call(value) }
  }

  var current: Value? { state.withLock { $0.value } }

  /// Calls `body` with the value, at once or when it is set (then on the setting thread).
  func whenSet(_ body: @escaping @Sendable (Value) -> Void) {
    let value: Value? = state.withLock { state in
      if state.value == nil { state.waiting.append(body) }
      return state.value
    }
    if let value { body(value) }
  }

  func value() async -> Value {
    await withCheckedContinuation { continuation in
      whenSet { continuation.resume(returning: $0) }
    }
  }

  /// Blocks the calling thread. Not for threads of the Swift concurrency pool.
  func wait() -> Value {
    let semaphore = Semaphore()
    whenSet { _ in semaphore.post() }
    semaphore.wait()
    guard let value = current else { preconditionFailure("a latch opened without a value") }
    return value
  }
}
