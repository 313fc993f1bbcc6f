/// The tokens of JSON: white space, literals, numbers and strings.
extension JSONScanner {
  /// The next byte; 0, which starts no token, at the end.
  @inline(__always)
  var current: UInt8 { offset < count ? base.load(fromByteOffset: offset, as: UInt8.self) : 0 }

  @inline(__always)
  func byte(_ index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }

  func error(_ expected: JSONError.Expected) -> JSONError { error(expected, at: offset) }

  @inline(never)
  func error(_ expected: JSONError.Expected, at place: Int) -> JSONError {
    JSONError(offset: place, expected: expected, isAtEnd: place >= count)
  }

  @inline(__always)
  mutating func skipWhitespace() {
    // Texts of programs have none, which one look tells.
    if offset < count, byte(offset) > 0x20 { return }
    skipWhitespaceThatIsThere()
  }

  private mutating func skipWhitespaceThatIsThere() {
    while offset < count {
      switch byte(offset) {
      case 0x20, 0x0a, 0x0d, 0x09: offset &+= 1
      default: return
      }
    }
  }

  mutating func literal(_ text: StaticString) throws(JSONError) {
    let length = text.utf8CodeUnitCount
    for index in 0..<length {
      guard offset &+ index < count, byte(offset &+ index) == text.utf8Start[index] else {
        throw error(.value, at: offset &+ index)
      }
    }
    offset &+= length
  }

  /// RFC 8259 section 6: `-`? (0 | 1-9 digits) (`.` digits)? ((e | E) (+ | -)? digits)?
  mutating func scanNumber() throws(JSONError) {
    if current == UInt8(ascii: "-") { offset &+= 1 }
    if current == UInt8(ascii: "0") {
      offset &+= 1
    } else {
      try scanDigits()
    }
    if current == UInt8(ascii: ".") {
      offset &+= 1
      try scanDigits()
    }
    if current | 0x20 == UInt8(ascii: "e") {
      offset &+= 1
      if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { offset &+= 1 }
      try scanDigits()
    }
  }

  /// One digit or more.
  private mutating func scanDigits() throws(JSONError) {
    guard current &- UInt8(ascii: "0") <= 9 else { throw error(.number) }
    repeat { offset &+= 1 } while current &- UInt8(ascii: "0") <= 9
  }

  /// The rest of a string whose opening quote is consumed.
  @inline(__always)
  mutating func scanString() throws(JSONError) -> JSONString {
    let start = offset
    let index = firstSpecial(from: start)
    guard index < count, byte(index) == UInt8(ascii: "\"") else {
      return try scanString(from: start, special: index)
    }
    offset = index &+ 1
    return JSONString(
      bytes: UnsafeRawBufferPointer(start: base + start, count: index &- start), isEscaped: false)
  }

  /// The same of a string that has escapes or characters beyond ASCII, or no end.
  ///
  /// - Parameter special: the first place that is not plain text.
  private mutating func scanString(
    from start: Int, special: Int
  ) throws(JSONError) -> JSONString {
    var index = special
    var isEscaped = false
    while true {
      guard index < count else { throw error(.character, at: count) }
      let special = byte(index)
      switch special {
      case UInt8(ascii: "\""):
        offset = index &+ 1
        return JSONString(
          bytes: UnsafeRawBufferPointer(start: base + start, count: index &- start),
          isEscaped: isEscaped)
      case UInt8(ascii: "\\"):
        isEscaped = true
        index = try escapeEnd(index)
      case ..<0x20: throw error(.character, at: index)
      default: index = try sequenceEnd(index)
      }
      index = firstSpecial(from: index)
    }
  }

  /// The first quote, backslash, control or non-ASCII byte at or after `index`, else `count`.
  @inline(__always)
  func firstSpecial(from index: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let highs: UInt64 = 0x8080_8080_8080_8080
    var index = index
    while index &+ 8 <= count {
      let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      let quotes = word ^ (ones &* 0x22)
      let slashes = word ^ (ones &* 0x5c)
      // A borrow reaches only bytes above a true match, so the lowest match is exact.
      let found =
        ((quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes
          | (word &- ones &* 0x20) & ~word | word) & highs
      if found != 0 { return index &+ found.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    while index < count {
      let byte = byte(index)
      if byte < 0x20 || byte >= 0x80 || byte == 0x22 || byte == 0x5c { return index }
      index &+= 1
    }
    return index
  }

  /// - Parameter index: of the backslash.
  private func escapeEnd(_ index: Int) throws(JSONError) -> Int {
    guard index &+ 1 < count else { throw error(.escape, at: count) }
    switch byte(index &+ 1) {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      return index &+ 2
    case UInt8(ascii: "u"):
      for place in index &+ 2..<index &+ 6 {
        guard place < count else { throw error(.escape, at: count) }
        let digit = byte(place)
        let letter = digit | 0x20
        guard
          digit &- UInt8(ascii: "0") <= 9
            || letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "f")
        else { throw error(.escape, at: place) }
      }
      return index &+ 6
    default: throw error(.escape, at: index &+ 1)
    }
  }

  /// Checks one non-ASCII character: Unicode 15, table 3-7 (no overlong forms, no surrogates,
  /// nothing above U+10FFFF).
  ///
  /// - Parameter index: of its first byte.
  private func sequenceEnd(_ index: Int) throws(JSONError) -> Int {
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xbf
    switch byte(index) {
    case 0xc2...0xdf: length = 2
    case 0xe0:
      length = 3
      second = 0xa0...0xbf
    case 0xed:
      length = 3
      second = 0x80...0x9f
    case 0xe1...0xef: length = 3
    case 0xf0:
      length = 4
      second = 0x90...0xbf
    case 0xf1...0xf3: length = 4
    case 0xf4:
      length = 4
      second = 0x80...0x8f
    default: throw error(.utf8, at: index)
    }
    guard index &+ length <= count else { throw error(.utf8, at: count) }
    guard second.contains(byte(index &+ 1)) else { throw error(.utf8, at: index &+ 1) }
    for place in index &+ 2..<index &+ length where byte(place) & 0xc0 != 0x80 {
      throw error(.utf8, at: place)
    }
    return index &+ length
  }
}
