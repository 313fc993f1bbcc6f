/// What became of one post, and when it went out.
public struct TimedPost: Sendable, Equatable {
  /// Numbers of its channel, of its audience, and of the window that its time was drawn from.
  public var channel: Int
  public var audience: Int
  public var window: Int
  /// Hour of the week, 0 to 167 from Monday 0 o'clock.
  public var slot: Int
  public var engagements: Double
  /// What engagements are a rate of, such as the number of followers; 1 for a rate by post.
  public var exposure: Double

  public init(
    channel: Int, audience: Int, window: Int, slot: Int, engagements: Double, exposure: Double = 1
  ) {
    self.channel = channel
    self.audience = audience
    self.window = window
    self.slot = slot
    self.engagements = engagements
    self.exposure = exposure
  }
}

/// Hours of a week and how they are alike.
public enum WeekSlots {
  public static let count = 168

  /// The hour of the week of a time, UTC.
  ///
  /// - Parameter time: microseconds since the epoch, which was a Thursday.
  public static func slot(_ time: Int64) -> Int {
    let hour: Int64 = 3_600_000_000
    let rest = time % hour
    let hours = (time - rest) / hour - (rest < 0 ? 1 : 0) + 72
    return Int(((hours % 168) + 168) % 168)
  }

  /// Such as `2-18` for Tuesday from 18 o'clock on: the day as in ISO 8601, and the hour.
  public static func text(_ slot: Int) -> String {
    "\(day(slot) + 1)-\(hour(slot) < 10 ? "0" : "")\(hour(slot))"
  }

  public static func hour(_ slot: Int) -> Int { slot % 24 }
  /// 0 is Monday.
  public static func day(_ slot: Int) -> Int { slot / 24 }
  public static func isWeekend(_ slot: Int) -> Bool { slot >= 120 }
}
