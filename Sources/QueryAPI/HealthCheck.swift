/// A dependency, and how it is at the moment.
public struct HealthCheck: Sendable {
  public enum State: Hashable, Sendable {
    case ok
    /// It can be used, but not in full: what is wrong and what to do, as in `failing`.
    case degraded(String)
    /// What is wrong and what to do, for the operator; it names no secret.
    case failing(String)
  }

  /// As in the answer, such as `postgres`.
  public var name: String
  /// Answers within ``limit``; later is failing.
  public var state: @Sendable () async -> State

  /// The kubelet gives a probe one second by default; two leave room for a slow commit.
  public static let limit = Duration.seconds(2)

  public init(name: String, state: @escaping @Sendable () async -> State) {
    self.name = name
    self.state = state
  }

  /// The state, or failing where it took longer than `limit`.
  func limited(to limit: Duration = HealthCheck.limit) async -> State {
    let race = Race<State>()
    let check = Task { await race.finish(with: self.state()) }
    let alarm = Task {
      do {
        try await Task.sleep(for: limit)
        await race.finish(with: .failing("gave no answer within \(limit)"))
      } catch {
        // Cancelled because the check was faster.
      }
    }
    let state = await race.result()
    alarm.cancel()
    check.cancel()
    return state
  }
}

/// Hands out the first of several results, without waiting for the others.
private actor Race<Value: Sendable> {
  private var value: Value?
  private var waiting: CheckedContinuation<Value, Never>?

  func finish(with value: Value) {
    guard self.value == nil else { return }
    self.value = value
    waiting?.resume(returning: value)
    waiting = nil
  }

  func result() async -> Value {
    if let value { return value }
    return await withCheckedContinuation { waiting = $0 }
  }
}
