public import Dataflow
public import Events
public import Views

/// The frame that is being recounted, and what time it is in its stream.
public struct Moment: Sendable {
  public var stream: StreamPartition
  public var sequence: UInt64
  /// When the log stored it, microseconds since the epoch.
  public var storedAt: Int64
  /// As in its header; 0 where it has none.
  public var checksum: UInt32
  /// Running maximum of stored times.
  public var logTime: Int64
  /// Log time minus the allowed disorder.
  public var watermark: Int64
}

/// What the rules that all read models share say about one event.
public struct JudgedEvent: Sendable {
  public enum Verdict: Sendable {
    case onTime
    case late
    case tooLate
    case duplicate
    /// A dead letter.
    case rejected
  }

  public var verdict: Verdict
  /// Its place in the frame.
  public var index: Int
  /// Corrected, microseconds since the epoch.
  public var time: Int64
  /// True where the client's time was later than possible and the time of receipt was taken.
  public var isClamped: Bool
  /// ``EventKind/rawValue``.
  public var kind: UInt8
  public var key: Key128
  public var person: Key128
  /// The key of the user id that it carries; zero for none.
  public var user: Key128
  /// Its tuple's number in ``TupleNumbers``.
  public var tuple: Int
  /// Millionths of the tuple's currency.
  public var revenueMicros: Int64
  /// What it says about an incident.
  public var feedback: IncidentFeedback?
}
