/// A refusal of the JetStream API, from the `error` field of an answer.
public struct APIError: Error, Hashable, Sendable, CustomStringConvertible {
  /// HTTP-like, such as 404.
  public var code: Int
  /// The exact cause; the numbers are listed in nats-server's `server/errors.json`.
  public var number: Int
  public var text: String

  public init(code: Int, number: Int, text: String) {
    self.code = code
    self.number = number
    self.text = text
  }

  init?(_ answer: JSONSlice) {
    guard let error = answer["error"] else { return nil }
    code = error["code"]?.integer.map { Int(clamping: $0) } ?? 0
    number = error["err_code"]?.integer.map { Int(clamping: $0) } ?? 0
    text = error["description"]?.string ?? "no description"
  }

  public var description: String { "\(text) (JetStream error \(number))" }

  static let streamNotFound = 10_059
  static let messageNotFound = 10_037
  static let messageTooLarge = 10_054
  /// There is no message of this sequence, or it cannot be removed.
  static let messageNotDeleted = 10_057
  /// `Nats-Expected-Last-Subject-Sequence` was another one; the second number is of newer servers.
  static let wrongSubjectSequence: Set<Int> = [10_071, 10_164]
}
