public import Events
public import HTTPServer

/// How feedback comes into the log.
public struct FeedbackIntake: Sendable {
  /// A note without personal data.
  let cleaned: @Sendable (String) -> String
  /// Makes the event durable, and then returns its position; nil where it has none yet.
  let store: @Sendable (IncomingEvent) async throws(Problem) -> String?

  public init(
    cleaned: @escaping @Sendable (String) -> String,
    store: @escaping @Sendable (IncomingEvent) async throws(Problem) -> String?
  ) {
    self.cleaned = cleaned
    self.store = store
  }
}
