/// Digits and what people write between them, such as `030 / 123-45` or `4111 1111 1111 1111`; tells
/// whether they are a phone number or the number of a payment card. See ``PersonalText``.
///
/// Ids and times are full of digits, and most events have some: ``extent(_:from:)`` tells what is long enough to
/// be looked at, and the groups are kept in place.
struct DigitRun {
  private struct Group {
    var start = 0
    var end = 0
    var count: Int { end - start }
  }

  /// Of the shortest phone number that is told here.
  static let digitsMin = 8
  /// The longest card number, digit by digit, has 19; what is longer is read in parts.
  private static let groupsMax = 20
  /// Between two groups, as in `030 / 1234567`.
  private static let separatorsMax = 3

  let start: Int
  /// After the last digit.
  private(set) var end: Int
  private(set) var digitCount = 0
  private var groups = InlineArray<20, Group>(repeating: Group())
  private var groupCount = 0

  /// What one look at a run tells. Most have too few digits to be anything, and most of the others are times
  /// and parts of ids.
  struct Extent {
    var end: Int
    var digitCount = 0
    var groupCount = 0
    /// Digits of the first group.
    var firstCount = 0
    /// Whether other signs than one of `-./` stand between groups; only behind others a card number begins.
    var isLoose = false

    /// False where ``DigitRun/find(in:_:)`` finds nothing: what has no international prefix and no leading 0 is
    /// a phone number only by the lengths of its groups.
    func mayMean(in text: UnsafeRawBufferPointer, from start: Int) -> Bool {
      guard digitCount >= DigitRun.digitsMin else { return false }
      if start > 0, text[start - 1] == UInt8(ascii: "+") || text[start - 1] == UInt8(ascii: "(") {
        return true
      }
      let isFree = DigitRun.isFree(before: start, text)
      if digitCount >= 13, isLoose || isFree && CardNumber.mayHaveScheme(text, from: start) {
        return true
      }
      return isFree && groupCount > 1
        && (text[start] == UInt8(ascii: "0") || firstCount == 1 || firstCount == 3
          || firstCount == 5)
    }
  }

  static func extent(_ text: UnsafeRawBufferPointer, from start: Int) -> Extent {
    var run = Extent(end: start)
    var index = start
    var separators = 0
    while index < text.count {
      let byte = text[index]
      if isDigit(byte) {
        if run.groupCount == 0 || run.end < index {
          if run.groupCount == groupsMax { break }
          if run.groupCount > 0, index &- run.end > 1 || !isPoint(text[run.end]) {
            run.isLoose = true
          }
          run.groupCount &+= 1
        }
        if run.groupCount == 1 { run.firstCount &+= 1 }
        run.digitCount &+= 1
        index &+= 1
        run.end = index
        separators = 0
      } else if separators < separatorsMax {
        let length = separatorLength(text, at: index)
        if length == 0 { break }
        index &+= length
        separators &+= 1
      } else {
        break
      }
    }
    return run
  }

  /// - Parameter start: of the first digit.
  init(_ text: UnsafeRawBufferPointer, from start: Int) {
    self.start = start
    end = start
    var index = start
    var separators = 0
    while index < text.count {
      if Self.isDigit(text[index]) {
        if groupCount > 0, groups[groupCount - 1].end == index {
          groups[groupCount - 1].end = index + 1
        } else if groupCount < Self.groupsMax {
          groups[groupCount] = Group(start: index, end: index + 1)
          groupCount += 1
        } else {
          break
        }
        digitCount += 1
        index += 1
        end = index
        separators = 0
      } else if separators < Self.separatorsMax {
        let length = Self.separatorLength(text, at: index)
        if length == 0 { break }
        index += length
        separators += 1
      } else {
        break
      }
    }
  }

  /// Adds nothing where the digits are something else, such as a time or an id.
  func find(in text: UnsafeRawBufferPointer, _ findings: inout [PersonalText.Finding]) {
    if digitCount >= 13, !(digitCount <= 15 && isInternational(text)) {
      let before = findings.count
      findCards(text, &findings)
      if findings.count > before { return }
    }
    if let range = phone(text) { findings.append(PersonalText.Finding(kind: .phone, range: range)) }
  }

  // MARK: Cards

  private func findCards(
    _ text: UnsafeRawBufferPointer, _ findings: inout [PersonalText.Finding]
  ) {
    var first = 0
    next: while first < groupCount {
      defer { first += 1 }
      guard Self.isFree(before: groups[first].start, text) else { continue }
      var digits = 0
      for last in first..<groupCount {
        if last > first, !isCardSeparator(groups[last - 1].end..<groups[last].start, text) {
          continue next
        }
        digits += groups[last].count
        if digits > 19 { continue next }
        let range = groups[first].start..<groups[last].end
        guard digits >= 13, CardNumber.isValid(text, range, digits),
          isFree(after: range.upperBound, text)
        else { continue }
        findings.append(PersonalText.Finding(kind: .card, range: range))
        first = last
        continue next
      }
    }
  }

  private func isCardSeparator(_ range: Range<Int>, _ text: UnsafeRawBufferPointer) -> Bool {
    guard range.count == 1 else {
      return range.count == Self.separatorLength(text, at: range.lowerBound)
    }
    let byte = text[range.lowerBound]
    return byte == UInt8(ascii: " ") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
  }

  // MARK: Phones

  /// Whether there is a `+` in front, and no country's number that begins with 0.
  private func isInternational(_ text: UnsafeRawBufferPointer) -> Bool {
    guard start > 0, text[start - 1] == UInt8(ascii: "+"), text[start] != UInt8(ascii: "0") else {
      return false
    }
    return start == 1 || !Self.isWord(text[start - 2])
  }

  private func phone(_ text: UnsafeRawBufferPointer) -> Range<Int>? {
    var start = self.start
    var isInternational = false
    var isBracketed = false
    prefix: while start > 0 {
      switch text[start - 1] {
      case UInt8(ascii: "+") where !isInternational: isInternational = true
      case UInt8(ascii: "(") where !isBracketed: isBracketed = true
      default: break prefix
      }
      start -= 1
    }
    let leading = text[self.start]
    if isInternational && leading != UInt8(ascii: "0"), start == 0 || !Self.isWord(text[start - 1])
    {
      let taken = cut(text, anywhere: true)
      return taken > 0 ? start..<groups[taken - 1].end : nil
    }
    guard groupCount > 1, Self.isFree(before: start, text) else { return nil }
    let taken = cut(text, anywhere: false)
    guard taken > 0, isFree(after: groups[taken - 1].end, text), !isSerial(text) else {
      return nil
    }
    let isTrunk =
      leading == UInt8(ascii: "0") && (groups[0].count > 1 || isBracketed)
      && !(taken >= 3 && isDate(text))
      && !(groups[0].count > 2 && text[self.start + 1] == leading
        && text[self.start + 2] == leading)
    // Where a digit follows another sign, the group has no second one.
    let second = groups[0].count > 1 ? text[self.start + 1] : 0
    return isTrunk || hasNationalForm(taken, leading, second: second, isBracketed)
      || isCalledFromAfar(text)
      ? start..<groups[taken - 1].end : nil
  }

  /// As many groups as a number has digits, which is 8 to 15 (E.164); 0 where that is none.
  ///
  /// - Parameter anywhere: whether what follows may be close by; else there is a space.
  private func cut(_ text: UnsafeRawBufferPointer, anywhere: Bool) -> Int {
    var digits = 0
    var taken = 0
    for index in 0..<groupCount {
      digits += groups[index].count
      guard digits <= 15 else {
        return anywhere || taken > 0 && text[groups[taken - 1].end] == UInt8(ascii: " ") ? taken : 0
      }
      if digits >= 8 { taken = index + 1 }
    }
    return taken
  }

  private func hasCounts(_ taken: Int, _ a: Int, _ b: Int, _ c: Int = 0, _ d: Int = 0) -> Bool {
    let count = d > 0 ? 4 : c > 0 ? 3 : 2
    return taken == count && groups[0].count == a && groups[1].count == b
      && (count < 3 || groups[2].count == c) && (count < 4 || groups[3].count == d)
  }

  /// `0317-8471`, an ISSN with its check digit (ISO 3297). Numbers of ten or more digits are none.
  private func isSerial(_ text: UnsafeRawBufferPointer) -> Bool {
    guard groupCount == 2, hasCounts(2, 4, 4), text[groups[0].end] == UInt8(ascii: "-") else {
      return false
    }
    var sum = 0
    var weight = 8
    for index in start..<end where Self.isDigit(text[index]) {
      sum += weight * Int(text[index] & 0xf)
      weight -= 1
    }
    return sum % 11 == 0
  }

  /// Lengths of groups of countries that write no leading 0.
  ///
  /// - Parameter second: the second digit.
  private func hasNationalForm(
    _ taken: Int, _ leading: UInt8, second: UInt8, _ isBracketed: Bool
  ) -> Bool {
    let digit = leading & 0xf
    return hasCounts(taken, 3, 3, 4) && digit >= 2  // North America
      || hasCounts(taken, 1, 3, 3, 4) && digit == 1
      || hasCounts(taken, 3, 4, 4) && digit == 1 && second & 0xf >= 3  // China
      || (hasCounts(taken, 3, 2, 2, 2) || hasCounts(taken, 5, 5)) && digit >= 6  // Spain; India
      || (hasCounts(taken, 2, 4, 4) || hasCounts(taken, 2, 5, 4)) && isBracketed  // Brazil
  }

  /// `00 49 30 123456`.
  private func isCalledFromAfar(_ text: UnsafeRawBufferPointer) -> Bool {
    let first = groups[0]
    guard first.count >= 2 else { return false }
    return text[first.start] == UInt8(ascii: "0") && text[first.start + 1] == UInt8(ascii: "0")
      && (first.count == 2
        ? text[groups[1].start] != UInt8(ascii: "0")
        : text[first.start + 2] != UInt8(ascii: "0"))
  }

  /// `01.02.2026` and the like.
  private func isDate(_ text: UnsafeRawBufferPointer) -> Bool {
    guard hasCounts(3, 2, 2, 4) else { return false }
    let century = (text[groups[2].start] & 0xf, text[groups[2].start + 1] & 0xf)
    return century == (1, 9) || century == (2, 0)
  }

  // MARK: Neighbours

  private static func isFree(before start: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    guard start > 0 else { return true }
    let byte = text[start - 1]
    switch byte {
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"):
      // Part of something longer, unless it stands alone there, as a dash between words does.
      return start == 1 || text[start - 2] == UInt8(ascii: " ")
    default: return !isWord(byte)
    }
  }

  private func isFree(after end: Int, _ text: UnsafeRawBufferPointer) -> Bool {
    guard end < text.count else { return true }
    let next: UInt8 = end + 1 < text.count ? text[end + 1] : 0
    switch text[end] {
    case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"):
      return !Self.isWord(next) || Self.isDigit(next)
    case UInt8(ascii: ":"): return !Self.isDigit(next)
    default: return !Self.isWord(text[end])
    }
  }

  private static func isWord(_ byte: UInt8) -> Bool {
    isDigit(byte) || (byte | 0x20) &- UInt8(ascii: "a") <= 25 || byte == UInt8(ascii: "_")
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") <= 9 }

  /// What may follow a group within something longer, such as an id.
  private static func isPoint(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "/")
  }

  /// Bytes of what may stand between groups; 0 where it is none. Address books and office programs write spaces
  /// that do not break a line, thin ones, and hyphens of their own (U+00A0, U+2002 to U+200A, U+2010 to U+2012, U+202F).
  /// The longer dashes stand between two numbers.
  private static func separatorLength(_ text: UnsafeRawBufferPointer, at index: Int) -> Int {
    let byte = text[index]
    if byte < 0x80 { return isSeparator(byte) ? 1 : 0 }
    let left = text.count - index
    if byte == 0xc2, left > 1, text[index + 1] == 0xa0 { return 2 }
    guard byte == 0xe2, left > 2, text[index + 1] == 0x80 else { return 0 }
    switch text[index + 2] {
    case 0x82...0x8a, 0x90...0x92, 0xaf: return 3
    default: return 0
    }
  }

  /// A `+` is a space in a query.
  private static func isSeparator(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"),
      UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "+"):
      return true
    default: return false
    }
  }
}

/// Numbers of payment cards (ISO/IEC 7812), by the ranges and lengths of the schemes.
enum CardNumber {
  /// - Parameters:
  ///   - range: of the number with what stands between its digits.
  ///   - count: of its digits, 13 to 19.
  static func isValid(_ text: UnsafeRawBufferPointer, _ range: Range<Int>, _ count: Int) -> Bool {
    hasScheme(text, range, count) && hasCheckDigit(text, range)
  }

  /// Whether a number of some length may begin there.
  ///
  /// - Parameter start: of a run of digits, of which there are four or more.
  static func mayHaveScheme(_ text: UnsafeRawBufferPointer, from start: Int) -> Bool {
    let prefix = prefix(text, start..<text.count)
    // A scheme with numbers of several lengths has some of sixteen digits; American Express has fifteen alone.
    return hasScheme(prefix, 16) || hasScheme(prefix, 15)
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") <= 9 }

  private static func hasScheme(
    _ text: UnsafeRawBufferPointer, _ range: Range<Int>, _ count: Int
  ) -> Bool { hasScheme(prefix(text, range), count) }

  /// The number of the first four digits.
  private static func prefix(_ text: UnsafeRawBufferPointer, _ range: Range<Int>) -> Int {
    var prefix = 0
    var left = 4
    for index in range where isDigit(text[index]) {
      prefix = prefix * 10 + Int(text[index] & 0xf)
      left -= 1
      if left == 0 { break }
    }
    return prefix
  }

  private static func hasScheme(_ prefix: Int, _ count: Int) -> Bool {
    switch prefix {
    case 4000...4999: return count == 13 || count == 16 || count == 19  // Visa
    case 5100...5599, 2221...2720: return count == 16  // Mastercard
    case 3400...3499, 3700...3799: return count == 15  // American Express
    case 3000...3059, 3600...3699, 3800...3999: return count >= 14  // Diners Club
    case 3528...3589: return count >= 16  // JCB
    case 6011, 6440...6599, 6200...6299, 8100...8199: return count >= 16  // Discover, UnionPay
    case 5000...5099, 5600...5899, 6300...6399, 6700...6799: return true  // Maestro
    default: return false
    }
  }

  /// Luhn's formula.
  private static func hasCheckDigit(
    _ text: UnsafeRawBufferPointer, _ range: Range<Int>
  ) -> Bool {
    var sum = 0
    var isDoubled = false
    for index in range.reversed() where isDigit(text[index]) {
      let digit = Int(text[index] & 0xf)
      let weighted = isDoubled ? digit * 2 : digit
      sum += weighted > 9 ? weighted - 9 : weighted
      isDoubled.toggle()
    }
    return sum % 10 == 0
  }
}
