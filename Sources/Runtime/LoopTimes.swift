/// Where a loop's time goes, microseconds since its start. What is left of the whole is processing.
public struct LoopTimes: Sendable {
  /// Since the loop's start.
  public var whole: Int64 = 0
  /// Waiting for frames.
  public var idle: Int64 = 0
  /// Held up by Postgres and Redis taking what it writes.
  public var stores: Int64 = 0
  /// Waiting for something that is away.
  public var away: Int64 = 0

  public init() {}

  public var busy: Int64 { max(0, whole - idle - stores - away) }
}
