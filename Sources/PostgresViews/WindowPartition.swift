import Views

/// One time partition of a ``TimedTable``: a day of 10 s rows and trends, a month of 1 min rows, a
/// year of hour or day rows.
///
/// Partitions make retention a `drop table` instead of millions of deletes. Only the years 2000 to
/// 2099 are divided; times before and after have one partition each (`…_before`, `…_after`), so
/// that a client's broken clock can't make thousands of tables.
struct WindowPartition: Hashable {
  /// The stretch of time that one partition holds.
  enum Division {
    case days
    case months
    case years
  }

  let parent: TimedTable
  /// First day, first day of the month or first day of the year, in days since the Unix epoch.
  let firstDay: Int

  static let firstYear = 2000
  static let lastYear = 2099
  private static let dayLength: Int64 = 86_400_000_000
  private static let divided =
    Int64(CivilDate(firstYear, 1, 1).days) * dayLength..<Int64(CivilDate(lastYear + 1, 1, 1).days)
    * dayLength

  /// The partition that holds `time` (microseconds since the epoch); nil where `_before` or
  /// `_after`, which always exist, do.
  init?(_ parent: TimedTable, holding time: Int64) {
    guard WindowPartition.divided.contains(time) else { return nil }
    var date = CivilDate(days: Int(time / WindowPartition.dayLength))
    switch parent.division {
    case .days: break
    case .months: date.day = 1
    case .years:
      date.month = 1
      date.day = 1
    }
    self.parent = parent
    firstDay = date.days
  }

  /// The partition whose table has this name; nil for any other table.
  init?(_ parent: TimedTable, table: String) {
    let digits = Array(table.dropFirst("\(parent.name)_".count))
    guard digits.count == WindowPartition.digitCount(parent.division),
      let number = Int(String(digits))
    else { return nil }
    let date: CivilDate
    switch parent.division {
    case .days: date = CivilDate(number / 10_000, number / 100 % 100, number % 100)
    case .months: date = CivilDate(number / 100, number % 100, 1)
    case .years: date = CivilDate(number, 1, 1)
    }
    self.parent = parent
    firstDay = date.days
    guard self.table == table else { return nil }
  }

  private static func digitCount(_ division: Division) -> Int {
    switch division {
    case .days: 8
    case .months: 6
    case .years: 4
    }
  }

  /// Such as `metrics_10s_20251124`, `outcomes_1m_202511`, `trends_20251124`, `metrics_1h_2025`.
  var table: String {
    let date = CivilDate(days: firstDay)
    let number: Int
    switch parent.division {
    case .days: number = date.year * 10_000 + date.month * 100 + date.day
    case .months: number = date.year * 100 + date.month
    case .years: number = date.year
    }
    return "\(parent.name)_\(number)"
  }

  /// Day after the last one, in days since the Unix epoch.
  var endDay: Int {
    let date = CivilDate(days: firstDay)
    switch parent.division {
    case .days: return firstDay + 1
    case .months:
      let isLast = date.month == 12
      return CivilDate(date.year + (isLast ? 1 : 0), isLast ? 1 : date.month + 1, 1).days
    case .years: return CivilDate(date.year + 1, 1, 1).days
    }
  }

  /// Microseconds since the epoch at which the partition ends.
  var end: Int64 { Int64(endDay) * WindowPartition.dayLength }

  /// Makes the table in `schema` where it is missing.
  func creation(in schema: String) -> String {
    """
    create table if not exists \(schema).\(table) partition of \(schema).\(parent.name)
      for values from ('\(CivilDate(days: firstDay)) 00:00:00+00')
      to ('\(CivilDate(days: endDay)) 00:00:00+00')
      with (fillfactor = \(parent.fillFactor), autovacuum_vacuum_scale_factor = 0.05);
    """
  }
}

/// A day of the Gregorian calendar, and its distance from the Unix epoch.
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil` and
/// `civil_from_days`; restricted to years from 1 on.
struct CivilDate: Hashable, CustomStringConvertible {
  var year: Int
  var month: Int
  var day: Int

  init(_ year: Int, _ month: Int, _ day: Int) {
    self.year = year
    self.month = month
    self.day = day
  }

  init(days: Int) {
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  /// Days since 1970-01-01.
  var days: Int {
    let shiftedYear = month <= 2 ? year - 1 : year
    let era = shiftedYear / 400
    let yearOfEra = shiftedYear % 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  var description: String {
    let month = month < 10 ? "0\(month)" : "\(month)"
    let day = day < 10 ? "0\(day)" : "\(day)"
    return "\(year)-\(month)-\(day)"
  }
}
