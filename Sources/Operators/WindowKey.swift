import Views

/// A (tuple, level, window start) in 64 bits: 27 bits of slot, 2 of level, 35 of the start counted
/// in ten seconds from the year 1. Every start of every level is a multiple of ten seconds after
/// the epoch, and ``TimeRange`` keeps the count within its bits.
enum WindowKey {
  static let slotMax = 1 << 27
  private static let unit: Int64 = 10_000_000
  /// Ten seconds from a multiple of it before ``TimeRange/earliest`` to the epoch; a day less, for
  /// the start of the day window that contains it.
  private static let shift: Int64 = -(TimeRange.earliest / unit) + 8_640 * 2

  /// The part that all tuples of a window share.
  @inline(__always)
  static func window(_ level: WindowLevel, _ start: Int64) -> UInt64 {
    UInt64(truncatingIfNeeded: level.rawValue) << 35
      | UInt64(truncatingIfNeeded: start / unit &+ shift)
  }

  @inline(__always)
  static func key(_ slot: Int, window: UInt64) -> UInt64 {
    UInt64(truncatingIfNeeded: slot) << 37 | window
  }

  @inline(__always)
  static func slot(_ key: UInt64) -> Int { Int(truncatingIfNeeded: key >> 37) }

  static func level(_ key: UInt64) -> WindowLevel {
    WindowLevel(rawValue: Int(truncatingIfNeeded: (key >> 35) & 3)) ?? .tenSeconds
  }

  static func start(_ key: UInt64) -> Int64 {
    (Int64(truncatingIfNeeded: key & 0x7_ffff_ffff) &- shift) &* unit
  }
}
