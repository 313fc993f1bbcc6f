/// What became of every event that the log holds for one partition since its beginning.
///
/// Conservation: `onTime + late + tooLate + duplicate + rejected = received`, at every commit.
public struct Accounting: Hashable, Sendable {
  /// Events in stored frames and dead letters.
  public var received: Int64 = 0
  /// Counted before their 10 s window was final.
  public var onTime: Int64 = 0
  /// Counted after it: they corrected their windows.
  public var late: Int64 = 0
  /// Later than the pipeline's allowed lateness: kept in the late table, not counted.
  public var tooLate: Int64 = 0
  /// Copies of an event already seen within the dedupe horizon.
  public var duplicate: Int64 = 0
  /// Dead letters.
  public var rejected: Int64 = 0
  /// Of the counted events, those dated more than 5 min after their receipt and set to it.
  public var clampedFuture: Int64 = 0

  public init() {}

  public var isConserved: Bool { onTime + late + tooLate + duplicate + rejected == received }
}

/// An event that came later than its pipeline allows, as kept in the late table.
public struct LateEvent: Hashable, Sendable {
  /// Sequence of its frame in the partition's stream, and its place in it.
  public var sequence: UInt64
  public var index: Int32
  /// Microseconds since the epoch.
  public var eventTime: Int64
  /// ``EventKind/rawValue``.
  public var kind: UInt8
  public var dimensionID: Int64
  public var revenueMicros: Int64

  public init(
    sequence: UInt64, index: Int32, eventTime: Int64, kind: UInt8, dimensionID: Int64,
    revenueMicros: Int64
  ) {
    self.sequence = sequence
    self.index = index
    self.eventTime = eventTime
    self.kind = kind
    self.dimensionID = dimensionID
    self.revenueMicros = revenueMicros
  }
}
