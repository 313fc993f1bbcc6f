/// Passes over the JSON of a payload without looking at what is not asked for.
///
/// Collectors have checked every payload, so only the structure is followed here: quotes, escapes and brackets, eight
/// bytes at a time (SWAR, as ``JSONScanner`` does). Of bytes that are no JSON it finds something or nothing, and
/// never reads outside of them. Cost: some 0.6 ns a byte where texts are as short as
/// those of trackers.
struct PayloadSkimmer {
  private let base: UnsafeRawPointer
  private let count: Int
  /// Of the next byte to be read.
  private(set) var offset: Int
  /// Whether the bytes have come to their end where something was still to come.
  private(set) var isCut = false

  /// - Parameter offset: where to begin, within the bytes or at their end.
  init(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) {
    self.offset = offset
    // An empty buffer may have no address; nothing is read from it.
    base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
    count = bytes.count
  }

  /// Where a text is, between its quotes.
  struct Text: BitwiseCopyable {
    var start: Int
    var count: Int
    var isEscaped: Bool
  }

  func bytes(_ text: Text) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + text.start, count: text.count)
  }

  /// The first eight bytes of a text, or all of it and zeros: texts with others are others.
  @inline(__always)
  func head(_ text: Text) -> UInt64 {
    guard text.start &+ 8 <= count else {
      return Self.head(bytes(text))
    }
    let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: text.start, as: UInt64.self))
    return text.count >= 8 ? word : word & ((1 << UInt64(text.count &* 8)) &- 1)
  }

  static func head(_ bytes: some Sequence<UInt8>) -> UInt64 {
    var head: UInt64 = 0
    for (index, byte) in bytes.prefix(8).enumerated() { head |= UInt64(byte) << UInt64(index * 8) }
    return head
  }

  /// The next byte that is no white space, not consumed; 0 at the end.
  @inline(__always)
  mutating func peek() -> UInt8 {
    while offset < count {
      let byte = byte(offset)
      if byte > 0x20 { return byte }
      offset &+= 1
    }
    isCut = true
    return 0
  }

  /// Over a byte that ``peek()`` has found.
  @inline(__always)
  mutating func step() { offset &+= 1 }

  /// The next member's name of an object whose `{` or last value is consumed, up to and including its colon; nil at
  /// its end, which is consumed.
  @inline(__always)
  mutating func name() -> Text? {
    var next = peek()
    if next == UInt8(ascii: ",") {
      step()
      next = peek()
    }
    guard next == UInt8(ascii: "\"") else {
      if next != 0 { step() }
      return nil
    }
    guard let name = text(), peek() == UInt8(ascii: ":") else { return nil }
    step()
    return name
  }

  /// A text whose quote is next.
  @inline(__always)
  mutating func text() -> Text? {
    let start = offset &+ 1
    var index = start
    var isEscaped = false
    while true {
      index = firstQuote(from: index)
      guard index < count else {
        offset = count
        isCut = true
        return nil
      }
      if byte(index) == UInt8(ascii: "\"") { break }
      isEscaped = true
      index &+= 2
    }
    offset = index &+ 1
    return Text(start: start, count: index &- start, isEscaped: isEscaped)
  }

  /// A number or a word such as `true`.
  @inline(__always)
  mutating func word() -> Text {
    let start = offset
    while offset < count {
      let byte = byte(offset)
      if byte == UInt8(ascii: ",") || byte | 0x20 == UInt8(ascii: "}") || byte <= 0x20 { break }
      offset &+= 1
    }
    if offset >= count { isCut = true }
    return Text(start: start, count: offset &- start, isEscaped: false)
  }

  /// Over an object or array whose bracket is next.
  mutating func skipContainer() {
    var depth = 0
    while true {
      offset = firstBracket(from: offset)
      guard offset < count else {
        isCut = true
        return
      }
      switch byte(offset) {
      case UInt8(ascii: "\""): guard text() != nil else { return }
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth &+= 1
        offset &+= 1
      default:
        depth &-= 1
        offset &+= 1
        if depth <= 0 { return }
      }
    }
  }

  // MARK: Bytes

  @inline(__always)
  private func byte(_ index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }

  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highs: UInt64 = 0x8080_8080_8080_8080

  /// A high bit for each byte that is zero; those above the first one may be wrong.
  @inline(__always)
  private static func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & highs }

  /// The first quote or backslash at or after `start`, else `count`.
  @inline(__always)
  private func firstQuote(from start: Int) -> Int {
    var index = start
    while index &+ 8 <= count {
      let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      let found =
        Self.zeros(word ^ 0x2222_2222_2222_2222) | Self.zeros(word ^ 0x5c5c_5c5c_5c5c_5c5c)
      if found != 0 { return index &+ found.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    while index < count {
      let byte = byte(index)
      if byte == 0x22 || byte == 0x5c { return index }
      index &+= 1
    }
    return count
  }

  /// The first quote or bracket at or after `start`, else `count`.
  @inline(__always)
  private func firstBracket(from start: Int) -> Int {
    var index = start
    while index &+ 8 <= count {
      let word = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      // `[` and `{`, `]` and `}` differ in one bit.
      let folded = word | 0x2020_2020_2020_2020
      let found =
        Self.zeros(word ^ 0x2222_2222_2222_2222) | Self.zeros(folded ^ 0x7b7b_7b7b_7b7b_7b7b)
        | Self.zeros(folded ^ 0x7d7d_7d7d_7d7d_7d7d)
      if found != 0 { return index &+ found.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    while index < count {
      let byte = byte(index)
      if byte == 0x22 || byte | 0x20 == 0x7b || byte | 0x20 == 0x7d { return index }
      index &+= 1
    }
    return count
  }
}
