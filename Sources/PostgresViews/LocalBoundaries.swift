import PostgresClient
import Synchronization

/// Where local days, weeks and months begin, by the time zone data of Postgres.
///
/// A local day begins at the first instant whose local date is that day. That is not always local
/// midnight: where clocks jump from 00:00 to 01:00, Postgres takes the missing midnight for the
/// jump itself, which is right; where clocks go back over midnight, 00:00 happens twice and
/// Postgres takes the second, so the instant one hour or half an hour before is tried too. A date
/// that a zone skipped (Samoa, 2011-12-30) gives no boundary of its own.
enum LocalBoundaries {
  enum Unit: String {
    case day, week, month

    /// The least length, microseconds; a day of a zone that skips one has 0, which is rare enough.
    fileprivate var length: Int64 {
      switch self {
      case .day: return 86_400_000_000
      case .week: return 7 * 86_400_000_000
      case .month: return 28 * 86_400_000_000
      }
    }
  }

  /// Whether the boundaries of `from ..< to` are few enough for an answer.
  static func areFew(_ unit: Unit, from: Int64, to: Int64) -> Bool {
    let (span, overflow) = to.subtractingReportingOverflow(from)
    return !overflow && span / unit.length < countMax && from >= PostgresType.timestampMin
  }

  /// Boundaries in one answer: some 30 years of days.
  private static let countMax: Int64 = 11_000

  /// Rising starts of the units that meet `[from, to)` (microseconds since the epoch), then the end
  /// of the last one.
  static func read(
    _ unit: Unit, timezone: String, from: Int64, to: Int64, _ session: PostgresConnection
  ) throws(PostgresError) -> [Int64] {
    var parameters = PostgresParameters()
    parameters.append(text: timezone)
    parameters.append(timestamptz: from)
    parameters.append(timestamptz: to)
    let step = "interval '1 \(unit.rawValue)'"
    let result = try session.query(
      """
      select distinct (
        select min(t) from unnest(array[interval '0', interval '30 minutes', interval '1 hour']) back,
          lateral (select (local at time zone $1) - back as t) as candidate
        where t at time zone $1 >= local) as boundary
      from generate_series(
        date_trunc('\(unit.rawValue)', $2 at time zone $1),
        date_trunc('\(unit.rawValue)', ($3 - interval '1 microsecond') at time zone $1) + \(step),
        \(step)) as local
      order by boundary
      """, parameters)
    try result.require(.timestamptz)
    return (0..<result.rowCount).map { result.timestamptz($0, 0) }
  }
}

/// The names of time zones that the server knows, read once.
///
/// Asking for the name itself would not do: Postgres also takes abbreviations and rules such as
/// `XYZ5` for zones, which are not names of the IANA database.
final class TimezoneNames: Sendable {
  private let names = Mutex<Set<String>?>(nil)

  func contains(
    _ name: String, _ session: PostgresConnection
  ) throws(PostgresError) -> Bool {
    if let known = names.withLock({ $0 }) { return known.contains(name) }
    let result = try session.query("select name from pg_timezone_names")
    try result.require(.text)
    let read = Set((0..<result.rowCount).map { result.text($0, 0) })
    names.withLock { $0 = read }
    return read.contains(name)
  }
}
