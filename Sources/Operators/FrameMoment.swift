/// Where and when a frame is: what operators know of time.
public struct FrameMoment: Hashable, Sendable {
  /// The frame's sequence in its stream, from 1.
  public var sequence: UInt64
  /// Running maximum of stored times, this frame's included, microseconds since the epoch.
  public var logTime: Int64
  /// Log time minus the allowed disorder: events before it are not expected any more.
  public var watermark: Int64
  /// True during replay of what has been committed already.
  public var isSilent: Bool

  public init(sequence: UInt64, logTime: Int64, watermark: Int64, isSilent: Bool = false) {
    self.sequence = sequence
    self.logTime = logTime
    self.watermark = watermark
    self.isSilent = isSilent
  }
}

/// The times that the core computes with: the years 1 to 9999. Anything outside is moved to the
/// nearest end, so that no sum of times overflows.
public enum TimeRange {
  /// 0001-01-01T00:00:00Z, microseconds since the epoch.
  public static let earliest: Int64 = -62_135_596_800_000_000
  /// 9999-12-31T00:00:00Z, microseconds since the epoch.
  public static let latest: Int64 = 253_402_214_400_000_000

  @inlinable
  public static func clamp(_ time: Int64) -> Int64 { min(max(time, earliest), latest) }
}
