public import Views

/// What a pipeline's declaration says about windows, and what follows from it and a watermark.
///
///     … expired windows …│seam … final, in state (grace) …│… open …            time of events →
///                        └ smallest start not expired     └ watermark    log time ┘
public struct WindowPolicy: Hashable, Sendable {
  /// How late an event may be, microseconds from the end of its 10 s window to the watermark; nil
  /// for ever.
  public var allowedLateness: Int64?
  /// How long a final window stays in state, microseconds from its end to the watermark.
  public var windowGrace: Int64
  /// The most tuples with rows in state; the events of further ones count for `(other)`.
  public var tupleCountMax: Int

  public init(allowedLateness: Int64?, windowGrace: Int64, tupleCountMax: Int) {
    precondition(windowGrace >= 0 && allowedLateness ?? 0 >= 0, "a declaration's times are checked")
    // Years 1 to 9999 at most, so that no sum overflows.
    self.allowedLateness = allowedLateness.map { min($0, TimeRange.latest) }
    self.windowGrace = min(windowGrace, TimeRange.latest)
    self.tupleCountMax = tupleCountMax
  }

  /// An event time later than its receipt by more than this is not possible: the client's clock is
  /// wrong, and the time of receipt is taken. Five minutes, microseconds.
  public static let futureTolerance: Int64 = 300_000_000

  /// The same for a receipt later than log time, which a collector's wrong clock gives; without it
  /// windows would stay open until that time comes. One hour, microseconds.
  public static let receiptTolerance: Int64 = 3_600_000_000

  /// The time that an event counts at: the client's, unless it is later than is possible.
  ///
  /// - Parameter logTime: of the event's frame, microseconds since the epoch.
  @inlinable
  public static func eventTime(stated: Int64, receivedAt: Int64, logTime: Int64) -> Int64 {
    let receiptMax = min(logTime &+ receiptTolerance, TimeRange.latest - futureTolerance)
    let received = min(receivedAt, receiptMax)
    let time = stated > received &+ futureTolerance ? received : stated
    return max(time, TimeRange.earliest)
  }

  /// The smallest start such that this window and no earlier one is in state: a window is expired
  /// once the watermark is at or past its end plus the grace, whether or not it ever existed.
  public func seam(_ level: WindowLevel, watermark: Int64) -> Int64 {
    if watermark == .min { return .min }
    return level.start(of: watermark - windowGrace - level.length) + level.length
  }

  /// Events from this time on are on time: their 10 s window ends after the watermark.
  public func onTimeFrom(watermark: Int64) -> Int64 {
    watermark == .min ? .min : WindowLevel.tenSeconds.start(of: watermark)
  }

  /// Events before this time are too late: the watermark has passed the end of their 10 s window by
  /// the allowed lateness or more.
  public func tooLateBefore(watermark: Int64) -> Int64 {
    guard let allowedLateness, watermark != .min else { return .min }
    return WindowLevel.tenSeconds.start(of: watermark - allowedLateness)
  }
}
