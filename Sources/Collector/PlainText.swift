import Events

/// Tells by one look, eight bytes at a time, most texts in which ``PersonalText`` finds nothing: those with
/// neither `@` nor `%` and with fewer digits than a phone number has, and the two forms that are full of digits
/// in nearly every event, instants and UUIDs.
enum PlainText {
  /// - Returns: false where it has to be read, which says nothing yet.
  static func isPlain(_ text: UnsafeRawBufferPointer) -> Bool {
    var digits = 0
    var marks: UInt64 = 0
    var index = 0
    while index < text.count {
      let word = ByteWord.tail(text, from: index)
      digits &+= ByteWord.count(ByteWord.isDigit(word))
      marks |=
        ByteWord.isEqual(word, UInt8(ascii: "@")) | ByteWord.isEqual(word, UInt8(ascii: "%"))
      index &+= 8
    }
    if marks != 0 { return false }
    return digits < DigitRun.digitsMin || isInstant(text) || isUUID(text)
  }

  /// Whether a text, of which there is something, is none of those that are read further: the most are told here.
  @inline(__always)
  static func isOrdinary(_ text: UnsafeRawBufferPointer) -> Bool {
    mayBeText(text) && isPlain(text)
  }

  /// Whether a text, of which there is something, begins neither as JSON nor as what JSON becomes in base 64.
  @inline(__always)
  static func mayBeText(_ text: UnsafeRawBufferPointer) -> Bool {
    switch text[0] {
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "e"), UInt8(ascii: "W"),
      UInt8(ascii: "H"):
      false
    default: true
    }
  }

  /// Whether nothing personal is told by the form of a text, and it holds nothing that is read further.
  static func saysNothing(_ text: UnsafeRawBufferPointer) -> Bool {
    text.count <= 4 || isOrdinary(text) || mayBeText(text) && PersonalText.read(text).isEmpty
  }

  /// Whether there is an `@` or a `%`, without one of which nothing is a mail address.
  static func hasMark(_ text: UnsafeRawBufferPointer) -> Bool {
    var marks: UInt64 = 0
    var index = 0
    while index < text.count {
      let word = ByteWord.tail(text, from: index)
      marks |=
        ByteWord.isEqual(word, UInt8(ascii: "@")) | ByteWord.isEqual(word, UInt8(ascii: "%"))
      index &+= 8
    }
    return marks != 0
  }

  /// `2026-11-23T09:00:00Z` or `2026-11-23T09:00:00.123Z`: of its runs of digits only the date is long enough for
  /// a phone number, and it begins with four that are no prefix of one.
  private static func isInstant(_ text: UnsafeRawBufferPointer) -> Bool {
    guard text.count == 20 || text.count == 24, text[0] == UInt8(ascii: "2"),
      text[16] == UInt8(ascii: ":"), text[text.count &- 1] == UInt8(ascii: "Z"),
      text.count == 20 || text[19] == UInt8(ascii: ".")
    else { return false }
    for index in 17..<text.count &- 1 where index != 19 {
      guard text[index] &- UInt8(ascii: "0") <= 9 else { return false }
    }
    let (date, time) = (ByteWord.load(text, at: 0), ByteWord.load(text, at: 8))
    // `0000-00-` and `00T00:00`, the first byte lowest.
    return hasForm(date, 0x2d00_002d_0000_0000, ByteWord.isDigit(date))
      && hasForm(time, 0x0000_3a00_0054_0000, ByteWord.isDigit(time))
  }

  /// A UUID as it is usually written. Of its runs of digits only one at its beginning stands free, and it is no
  /// number of a phone or card unless all of the first eight signs are digits.
  private static func isUUID(_ text: UnsafeRawBufferPointer) -> Bool {
    guard text.count == 36 else { return false }
    let first = ByteWord.load(text, at: 0)
    guard ByteWord.isDigit(first) != ByteWord.highest else { return false }
    // `00000000`, `-0000-00`, `00-0000-`, `00000000` and once more the last eight.
    return hasForm(first, 0) && hasForm(ByteWord.load(text, at: 8), 0x0000_2d00_0000_002d)
      && hasForm(ByteWord.load(text, at: 16), 0x2d00_0000_002d_0000)
      && hasForm(ByteWord.load(text, at: 24), 0) && hasForm(ByteWord.load(text, at: 28), 0)
  }

  @inline(__always)
  private static func hasForm(_ word: UInt64, _ form: UInt64) -> Bool {
    hasForm(word, form, ByteWord.isHexadecimal(word))
  }

  /// - Parameters:
  ///   - form: the signs; 0 where there is none.
  ///   - others: what may stand where there is none, see ``ByteWord``.
  @inline(__always)
  private static func hasForm(_ word: UInt64, _ form: UInt64, _ others: UInt64) -> Bool {
    let isBetween = ByteWord.isEqual(form, 0)
    let isSign = ByteWord.isEqual(word ^ form, 0)
    return (isBetween & others) | (~isBetween & isSign) == ByteWord.highest
  }
}
