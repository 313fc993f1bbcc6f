public import Events

/// That nothing is to be learned from a decision, or from all that a person was decided until then: an event of kind
/// ``EventKind/decision`` with one of these payloads. Who was a bot is found out late, and who is erased is to leave nothing.
///
///     {"retract":"<decision id>"}
///     {"retract_person":"<key of the person>"}
public struct LoggedRetractionEvent: Hashable, Sendable {
  public enum Subject: Hashable, Sendable {
    case decision(DecisionID)
    /// As the events of the person have it.
    case person(Key128)
  }

  public var subject: Subject

  public init(_ subject: Subject) { self.subject = subject }

  /// Name of the event.
  public static let eventName = "decision_retraction"
  /// Ids of events are unique within it.
  public static let source = "api/retraction"

  public var payload: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    switch subject {
    case .decision(let id):
      json.key("retract")
      json.string(id.description)
    case .person(let key):
      json.key("retract_person")
      json.string(key.description)
    }
    json.endObject()
    return json.bytes
  }

  /// - Returns: nil where the payload says neither.
  public init?(payload bytes: UnsafeRawBufferPointer) throws(JSONError) {
    var json = JSONScanner(bytes)
    var subject: Subject?
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "retract": subject = DecisionID(try json.string()).map { .decision($0) }
      case "retract_person": subject = Key128(try json.string()).map { .person($0) }
      default: try json.skipValue()
      }
    }
    try json.end()
    guard let subject else { return nil }
    self.init(subject)
  }
}
