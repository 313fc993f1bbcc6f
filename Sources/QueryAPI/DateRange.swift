import Views

/// A stretch of time in microseconds since the epoch: `from` inclusive, `to` exclusive.
struct TimeRange: Hashable, Sendable {
  var from: Int64
  var to: Int64
}

/// The time that a query is about, as it was asked for.
enum DateRange: Hashable, Sendable {
  /// The last minutes up to now, such as `30m`, `24h` or `48h`.
  case lastMinutes(Int)
  /// Today and the local days before it, this many in all, such as `7d`.
  case lastDays(Int)
  /// Today, in local time.
  case day
  /// The day before, in local time.
  case yesterday
  /// This month, in local time.
  case month
  /// From 1970-01-01 to the end of today.
  case all
  case explicit(Edge, Edge)

  /// An end of an explicit range.
  enum Edge: Hashable, Sendable {
    /// Microseconds since the epoch.
    case instant(Int64)
    /// A local day, as days since 1970-01-01. As the end of a range it is included.
    case localDay(Int64)
  }

  /// How far minutes of `m` and hours of `h` may reach back at full 10 s; their moving edge needs windows of 10 s, which are
  /// kept for two days. Longer ones are of full minutes.
  static let fineMinutesMax = 24 * 60
  /// As long as minutes are kept.
  static let lastMinutesMax = 90 * 24 * 60
  /// Ten years.
  static let lastDaysMax = 3660

  static let allowed = [
    "30m", "24h", "7d", "30d", "any other number of m (to 129600), h (to 2160) or d (to 3660)",
    "today (or day)", "yesterday", "month", "all",
    "[from, to] as RFC 3339 timestamps (to excluded) or dates (to included)",
  ]

  /// - Returns: nil where the word is not a range.
  init?(_ word: String) {
    switch word {
    case "day", "today": self = .day
    case "yesterday": self = .yesterday
    case "month": self = .month
    case "all": self = .all
    default:
      guard let unit = word.last, let count = Int(word.dropLast()), count > 0,
        word.utf8.allSatisfy({ $0 != UInt8(ascii: "+") })
      else { return nil }
      switch unit {
      case "m" where count <= Self.lastMinutesMax: self = .lastMinutes(count)
      case "h" where count <= Self.lastMinutesMax / 60: self = .lastMinutes(count * 60)
      case "d" where count <= Self.lastDaysMax: self = .lastDays(count)
      default: return nil
      }
    }
  }

  /// What the range means at `now`.
  ///
  /// Ranges that end now end at the next full 10 s, those of more than a day at the next full minute. Days and months are whole: their end may lie
  /// in the future, and they are read from few, long windows.
  func resolved(now: Int64, zone: ZoneRules) -> TimeRange {
    let today = zone.localDay(at: CivilTime.floorDivide(now, 1_000_000))
    func start(_ day: Int64) -> Int64 { zone.start(ofLocalDay: day) * 1_000_000 }
    switch self {
    case .lastMinutes(let minutes):
      let level: WindowLevel = minutes <= Self.fineMinutesMax ? .tenSeconds : .minute
      let end = level.start(of: now + level.length - 1)
      return TimeRange(from: end - Int64(minutes) * WindowLevel.minute.length, to: end)
    case .lastDays(let count):
      return TimeRange(from: start(today - Int64(count) + 1), to: start(today + 1))
    case .day:
      return TimeRange(from: start(today), to: start(today + 1))
    case .yesterday:
      return TimeRange(from: start(today - 1), to: start(today))
    case .month:
      let date = CivilTime.date(days: today)
      return TimeRange(
        from: start(CivilTime.days(year: date.year, month: date.month, day: 1)),
        to: start(CivilTime.days(year: date.year, month: date.month + 1, day: 1)))
    case .all:
      // Events may be dated some minutes ahead of their receipt, so a day is added.
      let end = WindowLevel.day.start(of: now) + 2 * WindowLevel.day.length
      return TimeRange(from: 0, to: end)
    case .explicit(let from, let to):
      return TimeRange(
        from: from.instant(asEnd: false, zone: zone), to: to.instant(asEnd: true, zone: zone))
    }
  }
}

extension DateRange.Edge {
  /// - Returns: nil where the text is neither a timestamp nor a date.
  init?(_ text: String) {
    if let day = CivilTime.parseDate(text) {
      self = .localDay(day)
    } else if let instant = CivilTime.parseTimestamp(text) {
      self = .instant(instant)
    } else {
      return nil
    }
  }

  fileprivate func instant(asEnd: Bool, zone: ZoneRules) -> Int64 {
    switch self {
    case .instant(let instant): instant
    case .localDay(let day): zone.start(ofLocalDay: asEnd ? day + 1 : day) * 1_000_000
    }
  }
}
