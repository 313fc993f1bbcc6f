/// Why the server itself refuses a request of a route. The raw value is the code of its answer.
public enum ServerRefusal: String, Sendable {
  case bodyTooLarge = "body_too_large"
  case bodyTimeout = "body_timeout"
  case answerTimeout = "answer_timeout"
  case overloaded

  /// Whether the server is at fault, and not the client: the answer is a 503.
  public var isOfServer: Bool { self == .answerTimeout || self == .overloaded }
}
