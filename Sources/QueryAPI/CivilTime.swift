/// Dates and RFC 3339 timestamps, without a calendar library.
///
/// Days and dates are converted as in Howard Hinnant, "chrono-compatible low-level date
/// algorithms" (2013): eras of 400 years that begin on 1 March. Proleptic Gregorian.
enum CivilTime {
  static let secondsPerDay: Int64 = 86_400

  struct Date: Hashable, Sendable {
    var year: Int
    /// 1 to 12.
    var month: Int
    /// 1 to 31.
    var day: Int
  }

  /// Days since 1970-01-01. `month` may lie outside 1 to 12: it carries into the year.
  static func days(year: Int, month: Int, day: Int) -> Int64 {
    let months = year * 12 + month - 1
    let civilYear = floorDivide(months, 12)
    let civilMonth = months - civilYear * 12 + 1
    let y = civilMonth <= 2 ? civilYear - 1 : civilYear
    let era = floorDivide(y, 400)
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (civilMonth > 2 ? civilMonth - 3 : civilMonth + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return Int64(era * 146_097 + dayOfEra - 719_468)
  }

  static func date(days: Int64) -> Date {
    let shifted = Int(days) + 719_468
    let era = floorDivide(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return Date(
      year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month,
      day: dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  /// 0 for Monday to 6 for Sunday; 1970-01-01 was a Thursday.
  static func weekday(days: Int64) -> Int64 { floorModulo(days + 3, 7) }

  /// - Returns: days since 1970-01-01 of `YYYY-MM-DD`, or nil where it is not a date.
  static func parseDate(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    return bytes.count == 10 ? date(bytes) : nil
  }

  /// - Returns: microseconds since the epoch of an RFC 3339 timestamp with offset, or nil.
  static func parseTimestamp(_ text: String) -> Int64? {
    let b = Array(text.utf8)
    guard b.count >= 20, let day = date(Array(b[0..<10])), b[10] | 0x20 == UInt8(ascii: "t"),
      let hour = number(b, 11, 2), let minute = number(b, 14, 2), let second = number(b, 17, 2),
      b[13] == UInt8(ascii: ":"), b[16] == UInt8(ascii: ":"), hour < 24, minute < 60, second < 60
    else { return nil }
    var index = 19
    var micros: Int64 = 0
    if b[index] == UInt8(ascii: ".") {
      index += 1
      var unit: Int64 = 100_000
      let start = index
      while index < b.count, (0x30...0x39).contains(b[index]) {
        micros += Int64(b[index] - 0x30) * unit
        unit /= 10
        index += 1
      }
      if index == start { return nil }
    }
    guard index < b.count, let offset = offset(Array(b[index...])) else { return nil }
    let seconds = day * secondsPerDay + Int64(hour * 3600 + minute * 60 + second - offset)
    return seconds * 1_000_000 + micros
  }

  /// RFC 3339, with a fraction only where there is one, and `Z` for an offset of 0.
  ///
  /// - Parameter offset: of local time from UTC, in seconds.
  static func text(micros: Int64, offset: Int = 0) -> String {
    var bytes: [UInt8] = []
    append(micros: micros, offset: offset, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The same as bytes.
  static func append(micros: Int64, offset: Int = 0, to output: inout [UInt8]) {
    let second = floorDivide(micros, 1_000_000)
    let fraction = micros - second * 1_000_000
    let local = second + Int64(offset)
    let day = floorDivide(local, secondsPerDay)
    let inDay = Int(local - day * secondsPerDay)
    append(days: day, to: &output)
    output.append(UInt8(ascii: "T"))
    append(two: inDay / 3600, to: &output)
    output.append(UInt8(ascii: ":"))
    append(two: inDay / 60 % 60, to: &output)
    output.append(UInt8(ascii: ":"))
    append(two: inDay % 60, to: &output)
    if fraction > 0 {
      output.append(UInt8(ascii: "."))
      var rest = fraction
      var unit: Int64 = 100_000
      while rest > 0 {
        output.append(UInt8(ascii: "0") + UInt8(rest / unit))
        rest %= unit
        unit /= 10
      }
    }
    if offset == 0 {
      output.append(UInt8(ascii: "Z"))
      return
    }
    let minutes = abs(offset) / 60
    output.append(offset < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
    append(two: minutes / 60, to: &output)
    output.append(UInt8(ascii: ":"))
    append(two: minutes % 60, to: &output)
  }

  /// `YYYY-MM-DD`.
  static func dateText(days: Int64) -> String {
    var bytes: [UInt8] = []
    append(days: days, to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func append(days: Int64, to output: inout [UInt8]) {
    let date = date(days: days)
    if (0..<10_000).contains(date.year) {
      append(two: date.year / 100, to: &output)
      append(two: date.year % 100, to: &output)
    } else {
      output.append(contentsOf: String(date.year).utf8)
    }
    output.append(UInt8(ascii: "-"))
    append(two: date.month, to: &output)
    output.append(UInt8(ascii: "-"))
    append(two: date.day, to: &output)
  }

  static func floorDivide<Value: SignedInteger>(_ a: Value, _ b: Value) -> Value {
    a >= 0 ? a / b : (a - b + 1) / b
  }

  static func floorModulo<Value: SignedInteger>(_ a: Value, _ b: Value) -> Value {
    a - floorDivide(a, b) * b
  }

  private static func date(_ b: [UInt8]) -> Int64? {
    guard let year = number(b, 0, 4), let month = number(b, 5, 2), let day = number(b, 8, 2),
      b[4] == UInt8(ascii: "-"), b[7] == UInt8(ascii: "-"), (1...12).contains(month), day >= 1
    else { return nil }
    let days = days(year: year, month: month, day: day)
    // A day that the month lacks comes back as another one.
    return date(days: days).day == day ? days : nil
  }

  /// `Z`, `+hh:mm` or `-hh:mm`, in seconds.
  private static func offset(_ b: [UInt8]) -> Int? {
    if b.count == 1, b[0] | 0x20 == UInt8(ascii: "z") { return 0 }
    guard b.count == 6, b[0] == UInt8(ascii: "+") || b[0] == UInt8(ascii: "-"),
      let hours = number(b, 1, 2), let minutes = number(b, 4, 2), b[3] == UInt8(ascii: ":"),
      hours < 24, minutes < 60
    else { return nil }
    let seconds = hours * 3600 + minutes * 60
    return b[0] == UInt8(ascii: "-") ? -seconds : seconds
  }

  private static func number(_ b: [UInt8], _ start: Int, _ count: Int) -> Int? {
    var value = 0
    for index in start..<start + count {
      guard index < b.count, (0x30...0x39).contains(b[index]) else { return nil }
      value = value * 10 + Int(b[index] - 0x30)
    }
    return value
  }

  /// Of 0 to 99.
  private static func append(two value: Int, to output: inout [UInt8]) {
    output.append(UInt8(ascii: "0") + UInt8(value / 10))
    output.append(UInt8(ascii: "0") + UInt8(value % 10))
  }
}
