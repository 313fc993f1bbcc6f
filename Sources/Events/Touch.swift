/// One event of a person, as person operators keep it.
///
/// Touches are ordered by time, then by event key: the same set is the same history, in whatever order
/// its members came.
public struct Touch: Hashable, Sendable, BitwiseCopyable {
  /// Microseconds since the epoch, corrected.
  public var time: Int64
  /// The event's deduplication key.
  public var key: Key128
  /// Millionths of the tuple's currency.
  public var revenueMicros: Int64
  /// The owner's number for the touch's dimension tuple: an index of the frame that carries it, or a
  /// slot of the table that keeps it.
  public var tuple: UInt32
  /// ``EventKind/rawValue``.
  public var kind: UInt8

  public init(time: Int64, key: Key128, revenueMicros: Int64, tuple: UInt32, kind: UInt8) {
    self.time = time
    self.key = key
    self.revenueMicros = revenueMicros
    self.tuple = tuple
    self.kind = kind
  }
}
