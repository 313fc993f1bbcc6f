/// How a process stands to the others that share the streams.
public struct GroupStatus: Hashable, Sendable {
  public enum Contact: Hashable, Sendable {
    /// It has not yet joined.
    case joining
    case reached
    /// The group cannot be reached; the text says why. Tried again without end.
    case away(String)
  }

  public var contact = Contact.joining
  /// Processes that share the streams, this one among them, as of the last beat.
  public var memberCount = 0
  /// Streams that nobody owned or is about to, as of the last beat.
  public var unownedCount = 0
  /// When the last beat succeeded, microseconds of the monotonic clock.
  public var lastBeat: Int64 = 0

  public init() {}
}
