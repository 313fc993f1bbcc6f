/// A time zone's rule for every year to come, as the footer of a TZif file writes it: a POSIX `TZ`
/// string (POSIX.1-2017 section 8.3 with the extensions of RFC 9636 section 3.3.1), such as
/// `EST5EDT,M3.2.0,M11.1.0`. Seconds throughout.
struct RecurringRule: Hashable, Sendable {
  /// A day of the year and a local time on it, which may lie outside of the day.
  private struct Moment: Hashable, Sendable {
    enum Day: Hashable, Sendable {
      /// Month, week (5 for the last) and weekday from 0 for Sunday.
      case weekday(month: Int, week: Int, weekday: Int)
      /// 1 to 365; 29 February is never counted.
      case julian(Int)
      /// 0 to 365, with 29 February.
      case ordinal(Int)
    }
    var day: Day
    var time: Int64
  }

  private var standardOffset: Int
  private var summer: (Summer)?

  private struct Summer: Hashable, Sendable {
    var offset: Int
    var start: Moment
    var end: Moment
  }

  /// - Returns: nil where the text is not such a rule.
  init?(_ text: String) {
    var scanner = Scanner(bytes: Array(text.utf8))
    guard scanner.name(), let standard = scanner.time() else { return nil }
    standardOffset = -standard
    if scanner.isAtEnd { return }
    guard scanner.name() else { return nil }
    var offset = standardOffset + 3600
    if !scanner.isNext(",") {
      guard let written = scanner.time() else { return nil }
      offset = -written
    }
    guard scanner.take(","), let start = Self.moment(&scanner), scanner.take(","),
      let end = Self.moment(&scanner), scanner.isAtEnd
    else { return nil }
    summer = Summer(offset: offset, start: start, end: end)
  }

  /// Local time minus UTC at an instant.
  func offset(at seconds: Int64) -> Int {
    guard let summer else { return standardOffset }
    let day = CivilTime.floorDivide(seconds + Int64(standardOffset), CivilTime.secondsPerDay)
    let year = CivilTime.date(days: day).year
    let start = Self.local(summer.start, year: year) - Int64(standardOffset)
    let end = Self.local(summer.end, year: year) - Int64(summer.offset)
    let isSummer =
      start < end ? seconds >= start && seconds < end : seconds >= start || seconds < end
    return isSummer ? summer.offset : standardOffset
  }

  /// Seconds since the epoch as if local time were UTC.
  private static func local(_ moment: Moment, year: Int) -> Int64 {
    let newYear = CivilTime.days(year: year, month: 1, day: 1)
    let isLeap = CivilTime.days(year: year, month: 3, day: 1) - newYear == 60
    let day: Int64
    switch moment.day {
    case .julian(let number): day = newYear + Int64(number - 1 + (isLeap && number >= 60 ? 1 : 0))
    case .ordinal(let number): day = newYear + Int64(number)
    case .weekday(let month, let week, let weekday):
      let first = CivilTime.days(year: year, month: month, day: 1)
      let next = CivilTime.days(year: year, month: month + 1, day: 1)
      // Sunday is 0 here and 6 in `CivilTime`.
      let firstWeekday = (CivilTime.weekday(days: first) + 1) % 7
      var candidate = first + (Int64(weekday) - firstWeekday + 7) % 7 + Int64(week - 1) * 7
      while candidate >= next { candidate -= 7 }
      day = candidate
    }
    return day * CivilTime.secondsPerDay + moment.time
  }

  private static func moment(_ scanner: inout Scanner) -> Moment? {
    let day: Moment.Day
    if scanner.take("M") {
      guard let month = scanner.number(in: 1...12), scanner.take("."),
        let week = scanner.number(in: 1...5), scanner.take("."),
        let weekday = scanner.number(in: 0...6)
      else { return nil }
      day = .weekday(month: month, week: week, weekday: weekday)
    } else if scanner.take("J") {
      guard let number = scanner.number(in: 1...365) else { return nil }
      day = .julian(number)
    } else {
      guard let number = scanner.number(in: 0...365) else { return nil }
      day = .ordinal(number)
    }
    guard scanner.take("/") else { return Moment(day: day, time: 7200) }
    guard let time = scanner.time() else { return nil }
    return Moment(day: day, time: Int64(time))
  }

  private struct Scanner {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { index == bytes.count }

    func isNext(_ character: Unicode.Scalar) -> Bool {
      index < bytes.count && bytes[index] == UInt8(ascii: character)
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard isNext(character) else { return false }
      index += 1
      return true
    }

    /// Three or more letters, or anything between angle brackets.
    mutating func name() -> Bool {
      let start = index
      if take("<") {
        while index < bytes.count, !isNext(">") { index += 1 }
        return take(">")
      }
      while index < bytes.count, Character(Unicode.Scalar(bytes[index])).isLetter { index += 1 }
      return index - start >= 3
    }

    mutating func number(in range: ClosedRange<Int>) -> Int? {
      let start = index
      var value = 0
      while index < bytes.count, index - start < 4, (0x30...0x39).contains(bytes[index]) {
        value = value * 10 + Int(bytes[index] - 0x30)
        index += 1
      }
      return index > start && range.contains(value) ? value : nil
    }

    /// `[+|-]h[h[h]][:mm[:ss]]`, in seconds.
    mutating func time() -> Int? {
      let isNegative = isNext("-")
      if !take("-") { _ = take("+") }
      guard let hours = number(in: 0...167) else { return nil }
      var seconds = hours * 3600
      if take(":") {
        guard let minutes = number(in: 0...59) else { return nil }
        seconds += minutes * 60
        if take(":") {
          guard let rest = number(in: 0...59) else { return nil }
          seconds += rest
        }
      }
      return isNegative ? -seconds : seconds
    }
  }
}
