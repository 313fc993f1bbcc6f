/// Instants as text: RFC 3339 and the ISO 8601 forms that SDKs send, to and from microseconds
/// since the Unix epoch.
///
/// Proleptic Gregorian calendar, years 0000 to 9999, no leap seconds (a second 60 is read as the
/// first instant of the next minute, as POSIX clocks have it). Day arithmetic: Howard Hinnant,
/// "chrono-compatible low-level date algorithms".
public enum Timestamp {
  /// 9999-12-31T23:59:59.999999Z.
  public static let max: Int64 = 253_402_300_799_999_999
  /// 0000-01-01T00:00:00Z.
  public static let min: Int64 = -62_167_219_200_000_000

  static let microsPerSecond: Int64 = 1_000_000
  static let microsPerDay: Int64 = 86_400 * microsPerSecond

  /// Reads `2026-11-01T12:00:00Z`, `2026-11-01 12:00:00.123456789+02:00`, `2026-11-01T12:00` or
  /// `2026-11-01`.
  ///
  /// Between date and time stands `T`, `t` or a space; any number of fraction digits after `.` or
  /// `,`, of which those beyond the sixth are cut off; zone `Z`, `z`, `±hh:mm`, `±hhmm` or `±hh`.
  /// Without a zone it is UTC.
  ///
  /// - Returns: nil where the text is none of these, or names a day or time that does not exist,
  ///   or lies outside ``min`` to ``max``.
  public static func parse(_ text: UnsafeRawBufferPointer) -> Int64? {
    var reader = Reader(text: text)
    guard let year = reader.number(4), reader.pass("-"), let month = reader.number(2),
      reader.pass("-"), let day = reader.number(2), (1...12).contains(month),
      day >= 1, day <= Self.days(inMonth: month, year: year)
    else { return nil }
    var micros = days(year: year, month: month, day: day) * microsPerDay
    if !reader.isAtEnd {
      guard reader.pass("T") || reader.pass("t") || reader.pass(" "), let time = reader.time(),
        let zone = reader.isAtEnd ? 0 : reader.zone(), reader.isAtEnd
      else { return nil }
      micros += time - zone
    }
    return micros >= min && micros <= max ? micros : nil
  }

  /// See ``parse(_:)-(UnsafeRawBufferPointer)``.
  public static func parse(_ text: String) -> Int64? {
    var text = text
    return text.withUTF8 { parse(UnsafeRawBufferPointer($0)) }
  }

  /// `2026-11-01T12:00:00.000Z`, with six digits where the microseconds are not whole
  /// milliseconds.
  ///
  /// - Parameter micros: clamped to ``min`` … ``max``.
  public static func format(_ micros: Int64) -> String {
    let micros = Swift.min(Swift.max(micros, min), max)
    let day = floorDivide(micros, microsPerDay)
    let date = civil(day)
    let time = micros - day * microsPerDay
    let fraction = time % microsPerSecond
    let seconds = time / microsPerSecond
    let fractionText =
      fraction % 1000 == 0 ? padded(fraction / 1000, 3) : padded(fraction, 6)
    return padded(date.year, 4) + "-" + padded(date.month, 2) + "-" + padded(date.day, 2) + "T"
      + padded(seconds / 3600, 2) + ":" + padded(seconds / 60 % 60, 2) + ":"
      + padded(seconds % 60, 2) + "." + fractionText + "Z"
  }

  private static func padded(_ value: Int64, _ width: Int) -> String {
    let digits = "\(value)"
    return String(repeating: "0", count: Swift.max(0, width - digits.utf8.count)) + digits
  }

  // MARK: Calendar

  /// Days since 1970-01-01.
  static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
    // Years start in March, so that the leap day is the last of its year.
    let year = month <= 2 ? year - 1 : year
    let era = floorDivide(year, 400)
    let yearOfEra = year - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }

  /// - Parameter days: since 1970-01-01.
  static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
      dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    )
  }

  static func days(inMonth month: Int64, year: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
  }
}

/// Reads the parts of a timestamp from left to right.
private struct Reader {
  let text: UnsafeRawBufferPointer
  var index = 0

  var isAtEnd: Bool { index == text.count }

  mutating func pass(_ character: Unicode.Scalar) -> Bool {
    guard index < text.count, text[index] == UInt8(ascii: character) else { return false }
    index += 1
    return true
  }

  /// Exactly `digits` digits.
  mutating func number(_ digits: Int) -> Int64? {
    guard index + digits <= text.count else { return nil }
    var value: Int64 = 0
    for place in index..<index + digits {
      let digit = text[place] &- 0x30
      guard digit <= 9 else { return nil }
      value = value * 10 + Int64(digit)
    }
    index += digits
    return value
  }

  /// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f…` in microseconds.
  mutating func time() -> Int64? {
    guard let hour = number(2), hour < 24, pass(":"), let minute = number(2), minute < 60
    else { return nil }
    var micros = (hour * 60 + minute) * 60 * Timestamp.microsPerSecond
    guard pass(":") else { return micros }
    guard let second = number(2), second <= 60 else { return nil }
    micros += second * Timestamp.microsPerSecond
    guard pass(".") || pass(",") else { return micros }
    let start = index
    var unit = Timestamp.microsPerSecond / 10
    while index < text.count, text[index] &- 0x30 <= 9 {
      micros += Int64(text[index] - 0x30) * unit
      unit /= 10
      index += 1
    }
    return index > start ? micros : nil
  }

  /// East of UTC, in microseconds.
  mutating func zone() -> Int64? {
    if pass("Z") || pass("z") { return 0 }
    let isWest = pass("-")
    guard isWest || pass("+"), let hours = number(2), hours < 24 else { return nil }
    var minutes: Int64 = 0
    if pass(":") || !isAtEnd {
      guard let stated = number(2), stated < 60 else { return nil }
      minutes = stated
    }
    let micros = (hours * 60 + minutes) * 60 * Timestamp.microsPerSecond
    return isWest ? -micros : micros
  }
}
