import Views

extension DateRange {
  /// The period before, of the same length: days before days, whole months before whole months, else so
  /// much time before the start.
  ///
  ///     day      |─ yesterday ─────|─ today ──────┆ · · ·|        month   |─ Oct ────|─ Nov ──|
  ///              |~~~~~~~~~~~~~~|  compared       now              7d      |─ 7 days ─|─ 7 days ─|
  ///
  /// Where the range lasts beyond `now`, as today does, the period before ends as far into itself as `now` is
  /// into the range, so that a morning is not compared with a whole day. That end is rounded up to windows
  /// which are kept so far back: 10 s, minutes or hours.
  ///
  /// - Parameter range: what this one means at `now`.
  /// - Returns: nil where nothing comes before.
  func previous(to range: TimeRange, now: Int64, zone: ZoneRules) -> TimeRange? {
    guard let whole = wholePrevious(to: range, zone: zone) else { return nil }
    guard range.from <= now, now < range.to else { return whole }
    let end = whole.from + now - range.from
    let level = Self.level(keptAt: end, now: now)
    let rounded = level.start(of: end + level.length - 1)
    return TimeRange(from: whole.from, to: min(whole.to, max(rounded, whole.from + level.length)))
  }

  private func wholePrevious(to range: TimeRange, zone: ZoneRules) -> TimeRange? {
    func start(_ day: Int64) -> Int64 { zone.start(ofLocalDay: day) * 1_000_000 }
    func day(_ instant: Int64) -> Int64 {
      zone.localDay(at: CivilTime.floorDivide(instant, 1_000_000))
    }
    switch self {
    case .all: return nil
    case .lastDays(let count):
      return TimeRange(from: start(day(range.from) - Int64(count)), to: range.from)
    case .day, .yesterday:
      return TimeRange(from: start(day(range.from) - 1), to: range.from)
    case .month:
      return TimeRange(from: start(Self.month(-1, from: day(range.from))), to: range.from)
    case .explicit(.localDay(let first), .localDay(let last)):
      if let months = Self.wholeMonths(first, last) {
        return TimeRange(from: start(Self.month(-months, from: first)), to: range.from)
      }
      return TimeRange(from: start(first - (last - first + 1)), to: range.from)
    case .lastMinutes, .explicit:
      return TimeRange(from: range.from - (range.to - range.from), to: range.from)
    }
  }

  /// The first day of the month that is so many after a day's own.
  private static func month(_ offset: Int, from day: Int64) -> Int64 {
    let date = CivilTime.date(days: day)
    return CivilTime.days(year: date.year, month: date.month + offset, day: 1)
  }

  /// How many months two days and those between them are; nil where they are no whole ones.
  private static func wholeMonths(_ first: Int64, _ last: Int64) -> Int? {
    let (begin, end) = (CivilTime.date(days: first), CivilTime.date(days: last + 1))
    guard begin.day == 1, end.day == 1, last >= first else { return nil }
    return (end.year - begin.year) * 12 + end.month - begin.month
  }

  /// The shortest windows that are still kept of a time, with a minute to spare.
  private static func level(keptAt time: Int64, now: Int64) -> WindowLevel {
    WindowLevel.allCases.first { level in
      level.retention.map { time - WindowLevel.minute.length >= now - $0 } ?? true
    } ?? .hour
  }
}

extension ZoneRules {
  /// Microseconds since 1970-01-01 00:00 on local clocks.
  func localTime(at micros: Int64) -> Int64 {
    micros + Int64(offset(at: CivilTime.floorDivide(micros, 1_000_000))) * 1_000_000
  }
}
