public import Events

/// What a decision earned, as somebody told the decision API: an event of kind ``EventKind/decision`` with this
/// payload. It takes the place of all that was seen by itself; of several the last one counts, by time and then by
/// the event's key.
///
///     {"reward_of":"<decision id>","value":0.5}
public struct LoggedRewardEvent: Hashable, Sendable {
  public var decision: DecisionID
  /// 0 to 1.
  public var value: Double

  /// - Precondition: the value is a number.
  public init(decision: DecisionID, value: Double) {
    self.decision = decision
    self.value = min(max(value, 0), 1)
  }

  /// Name of the event.
  public static let eventName = "decision_reward"
  /// Ids of events are unique within it.
  public static let source = "api/reward"

  public var payload: [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("reward_of")
    json.string(decision.description)
    json.key("value")
    json.double(value)
    json.endObject()
    return json.bytes
  }

  /// - Returns: nil where the payload is a decision's.
  public init?(payload bytes: UnsafeRawBufferPointer) throws(JSONError) {
    var json = JSONScanner(bytes)
    var decision: DecisionID?
    var value: Double?
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "reward_of": decision = DecisionID(try json.string())
      case "value": value = try json.double()
      default: try json.skipValue()
      }
    }
    try json.end()
    guard let decision, let value else { return nil }
    self.init(decision: decision, value: value)
  }
}
