public import Events

/// What a run has sent, and how it was answered.
public struct DemoOutcome: Sendable {
  public var truth = DemoTruth()
  public var facets = DemoFacets()
  public var eventCount = 0
  public var acknowledgedEventCount = 0
  /// HTTP status to number of answers.
  public var statuses: [Int: Int] = [:]
  /// Sent again because of 429, 503 or a lost connection.
  public var retryCount = 0
  /// Well-formed requests that the collector refused for good.
  public var unexpectedRefusalCount = 0
  public var firstUnexpectedRefusal: String?
  /// Well-formed requests without an answer when the time was up.
  public var unacknowledgedRequestCount = 0
  /// Acknowledged while the log was away, without a position.
  public var spooledRequestCount = 0
  /// Covers every acknowledged event that was not spooled; nil where there was none.
  public var position: Position?
  /// From the first event to the last answer.
  public var seconds: Double = 0

  public init() {}

  mutating func cover(_ other: Position) {
    guard var position, position.generation == other.generation else {
      if position?.generation ?? 0 <= other.generation { position = other }
      return
    }
    for (partition, sequence) in other.sequences {
      position.advance(partition: partition, to: sequence)
    }
    self.position = position
  }
}
