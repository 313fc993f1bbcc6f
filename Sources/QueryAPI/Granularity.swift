import Views

/// The length of a time bucket of an answer.
enum Granularity: String, CaseIterable, Hashable, Sendable {
  case tenSeconds = "10s"
  case minute
  case hour
  case day
  case week
  case month

  /// Its name, or the length that the name stands for: `1m`, `1h`, `1d`.
  init?(name: String) {
    switch name {
    case "1m", "1min": self = .minute
    case "1h": self = .hour
    case "1d": self = .day
    default: self.init(rawValue: name)
    }
  }

  /// As a dimension, such as `time:hour`.
  var dimensionName: String { "time:" + rawValue }

  /// Starts of the buckets that cover `range` in local time: the first is at or before its start,
  /// the end of the last one at or past its end. Microseconds since the epoch, rising.
  ///
  /// 10 s and 1 min buckets are the same in every zone. Hours start on the local hour and where
  /// the zone's offset changes; days, weeks (from Monday) and months at the first instant of
  /// their first local day, so that a day can have 23 or 25 hours.
  ///
  /// - Returns: nil where there would be more than `countMax` buckets.
  func boundaries(over range: TimeRange, zone: ZoneRules, countMax: Int) -> [Int64]? {
    switch self {
    case .tenSeconds: grid(of: .tenSeconds, over: range, countMax: countMax)
    case .minute: grid(of: .minute, over: range, countMax: countMax)
    case .hour: hours(over: range, zone: zone, countMax: countMax)
    case .day, .week, .month: days(over: range, zone: zone, countMax: countMax)
    }
  }

  private func grid(of level: WindowLevel, over range: TimeRange, countMax: Int) -> [Int64]? {
    let first = level.start(of: range.from)
    guard (range.to - first) / level.length <= countMax else { return nil }
    var boundaries = Array(stride(from: first, to: range.to, by: Int(level.length)))
    boundaries.append((boundaries.last ?? first) + level.length)
    return boundaries
  }

  private func hours(over range: TimeRange, zone: ZoneRules, countMax: Int) -> [Int64]? {
    guard (range.to - range.from) / WindowLevel.hour.length < countMax else { return nil }
    let from = CivilTime.floorDivide(range.from, 1_000_000)
    let to = CivilTime.floorDivide(range.to + 999_999, 1_000_000)
    let localSecond = CivilTime.floorModulo(from + Int64(zone.offset(at: from)), 3600)
    var start = from - localSecond
    if let change = zone.change(after: start, upTo: from) { start = change }
    var boundaries = [start * 1_000_000]
    while start < to {
      let local = start + Int64(zone.offset(at: start))
      let next = start + 3600 - CivilTime.floorModulo(local, 3600)
      start = zone.change(after: start, upTo: next) ?? next
      boundaries.append(start * 1_000_000)
    }
    return boundaries
  }

  private func days(over range: TimeRange, zone: ZoneRules, countMax: Int) -> [Int64]? {
    let from = CivilTime.floorDivide(range.from, 1_000_000)
    let to = CivilTime.floorDivide(range.to + 999_999, 1_000_000)
    guard (to - from) / (CivilTime.secondsPerDay * 28) < countMax else { return nil }
    var day = firstDay(containing: zone.localDay(at: from))
    var boundaries = [zone.start(ofLocalDay: day) * 1_000_000]
    while boundaries[boundaries.count - 1] < to * 1_000_000 {
      day = nextFirstDay(after: day)
      let start = zone.start(ofLocalDay: day) * 1_000_000
      // Equal where a zone skipped a whole day by moving across the date line.
      if start > boundaries[boundaries.count - 1] { boundaries.append(start) }
      if boundaries.count > countMax + 1 { return nil }
    }
    return boundaries
  }

  private func firstDay(containing day: Int64) -> Int64 {
    switch self {
    case .week: return day - CivilTime.weekday(days: day)
    case .month:
      let date = CivilTime.date(days: day)
      return CivilTime.days(year: date.year, month: date.month, day: 1)
    default: return day
    }
  }

  private func nextFirstDay(after first: Int64) -> Int64 {
    switch self {
    case .week: return first + 7
    case .month:
      let date = CivilTime.date(days: first)
      return CivilTime.days(year: date.year, month: date.month + 1, day: 1)
    default: return first + 1
    }
  }
}
