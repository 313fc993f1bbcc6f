/// Reads flat JSON objects, one a line, of which the caller wants some string members.
///
/// Lines of one source are alike: the same members in the same order with the same white space. So
/// what lies between the values of a line is learned from one line and expected in the next, where it
/// is compared eight bytes at a time; what is left to scan is the values, sixteen bytes a step (SWAR:
/// quote, backslash, control and non-ASCII bytes at once). A line that differs in anything, or has
/// values with escapes or beyond ASCII or of other types, is read by ``JSONScanner`` and teaches the
/// layout anew. Either way every byte of a line is checked against RFC 8259. Cost: some 0.15 ns per
/// byte where lines are alike, ten times that where they are not.
///
///     var lines = JSONLineScanner(members: ["ad_id", "event_type"])
///     while offset < bytes.count {
///       offset = try lines.next(bytes, offset)
///       use(lines.value(0), lines.value(1))   // nil where the line has no such string
///     }
public struct JSONLineScanner: ~Copyable {
  /// Bytes that stand between two values, at most 24, in three words.
  private struct Literal: BitwiseCopyable {
    var word0: UInt64 = 0
    var word1: UInt64 = 0
    var word2: UInt64 = 0
    var mask0: UInt64 = 0
    var mask1: UInt64 = 0
    var mask2: UInt64 = 0
    var byteCount = 0
  }

  private static let literalBytesMax = 24
  /// Members of a line that is learned.
  private static let fieldCountMax = 32

  private let members: [String]
  /// Before the first value, between two, and after the last one with the line's end.
  private let literals: UnsafeMutablePointer<Literal>
  /// Which of `members` each value of a learned line is; -1 for none.
  private let memberOfField: UnsafeMutablePointer<Int>
  private var fieldCount = 0
  /// The values of the present line, by member.
  private let values: UnsafeMutablePointer<UnsafeRawBufferPointer?>
  /// Values that had escapes, without them.
  private let scratch: UnsafeMutablePointer<UInt8>
  private let scratchCapacity: Int
  /// Lines that were not like the one before.
  public private(set) var unlikeCount = 0

  /// - Parameter lineBytesMax: the longest line that may have escapes in a wanted value.
  public init(members: [String], lineBytesMax: Int = 65_536) {
    precondition(members.count <= Self.fieldCountMax, "at most 32 members")
    self.members = members
    literals = .allocate(capacity: Self.fieldCountMax + 1)
    literals.initialize(repeating: Literal(), count: Self.fieldCountMax + 1)
    memberOfField = .allocate(capacity: Self.fieldCountMax)
    memberOfField.initialize(repeating: -1, count: Self.fieldCountMax)
    values = .allocate(capacity: members.count)
    values.initialize(repeating: nil, count: members.count)
    scratch = .allocate(capacity: lineBytesMax)
    scratchCapacity = lineBytesMax
  }

  deinit {
    literals.deallocate()
    memberOfField.deallocate()
    values.deallocate()
    scratch.deallocate()
  }

  /// The value of a member in the line read last, or nil where it has no such member or another type
  /// than string. Valid until the next line is read and while the bytes are.
  @inline(__always)
  public func value(_ member: Int) -> UnsafeRawBufferPointer? { values[member] }

  /// Reads the line at `offset`.
  ///
  /// - Returns: the offset after the line and its `\n`, which the last line need not have.
  /// - Throws: where the line is not a JSON object; its offset counts from the line's start.
  @inline(__always)
  public mutating func next(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int
  ) throws(JSONError) -> Int {
    let end = scan(bytes, offset)
    return end > 0 ? end : try read(bytes, offset)
  }

  // MARK: Lines like the one before

  /// - Returns: the offset after the line, or 0 where it is not like the one before.
  @inline(__always)
  private func scan(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Int {
    guard fieldCount > 0, let base = bytes.baseAddress else { return 0 }
    // No load of a value or a literal reaches further than this from where it starts.
    let limit = bytes.count &- Self.literalBytesMax
    var place = offset
    for field in 0..<fieldCount {
      guard place <= limit, Self.matches(base + place, literals + field) else { return 0 }
      place &+= literals[field].byteCount
      let start = place
      while true {
        guard place <= limit else { return 0 }
        let low = Self.special(base.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        let high = Self.special(base.loadUnaligned(fromByteOffset: place &+ 8, as: UInt64.self))
        if low | high == 0 {
          place &+= 16
          continue
        }
        let bit =
          low != 0 ? low.trailingZeroBitCount : 64 &+ high.trailingZeroBitCount
        place &+= bit &>> 3
        break
      }
      guard base.load(fromByteOffset: place, as: UInt8.self) == UInt8(ascii: "\"") else { return 0 }
      let member = memberOfField[field]
      if member >= 0 {
        values[member] = UnsafeRawBufferPointer(start: base + start, count: place &- start)
      }
    }
    guard place <= limit, Self.matches(base + place, literals + fieldCount) else { return 0 }
    return place &+ literals[fieldCount].byteCount
  }

  @inline(__always)
  private static func matches(
    _ base: UnsafeRawPointer, _ literal: UnsafeMutablePointer<Literal>
  ) -> Bool {
    let a = (base.loadUnaligned(as: UInt64.self) ^ literal.pointee.word0) & literal.pointee.mask0
    let b =
      (base.loadUnaligned(fromByteOffset: 8, as: UInt64.self) ^ literal.pointee.word1)
      & literal.pointee.mask1
    let c =
      (base.loadUnaligned(fromByteOffset: 16, as: UInt64.self) ^ literal.pointee.word2)
      & literal.pointee.mask2
    return a | b | c == 0
  }

  /// The high bit of each byte that is a quote, a backslash, a control or a non-ASCII byte; exact up
  /// to and including the first such byte, which is all that is looked at.
  @inline(__always)
  private static func special(_ loaded: UInt64) -> UInt64 {
    let word = UInt64(littleEndian: loaded)
    let ones: UInt64 = 0x0101_0101_0101_0101
    let quote = (word ^ (ones &* 0x22)) &- ones
    let backslash = (word ^ (ones &* 0x5c)) &- ones
    let control = word &- (ones &* 0x20)
    return (quote | backslash | control | word) & (ones &* 0x80)
  }

  // MARK: Other lines

  @inline(never)
  private mutating func read(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int
  ) throws(JSONError) -> Int {
    unlikeCount &+= 1
    var end = offset
    while end < bytes.count && bytes[end] != UInt8(ascii: "\n") { end += 1 }
    let line = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
    for member in members.indices { values[member] = nil }
    fieldCount = 0
    var isAlike = end < bytes.count
    var scratchUsed = 0
    /// Where the text since the last value starts.
    var literalStart = 0
    var json = JSONScanner(line)
    try json.beginObject()
    while let key = try json.nextKey() {
      let member = members.firstIndex(of: key.string) ?? -1
      guard try json.peek() == .string else {
        try json.skipValue()
        if member >= 0 { values[member] = nil }
        isAlike = false
        continue
      }
      let text = try json.text()
      // The scanner stands behind the closing quote.
      let close = json.offset - 1
      let raw = text.bytes
      let isPlain = raw.allSatisfy { $0 < 0x80 && $0 != UInt8(ascii: "\\") }
      let start = close - raw.count
      if member >= 0 {
        if text.isEscaped {
          values[member] = keep(text.string, &scratchUsed)
        } else {
          values[member] = UnsafeRawBufferPointer(rebasing: line[start..<close])
        }
      }
      isAlike =
        isAlike && isPlain && fieldCount < Self.fieldCountMax
        && learn(line, literalStart..<start, fieldCount)
      if isAlike {
        memberOfField[fieldCount] = member
        fieldCount += 1
      }
      literalStart = close
    }
    try json.end()
    let after = min(end + 1, bytes.count)
    let last = UnsafeRawBufferPointer(rebasing: bytes[offset..<after])
    if !isAlike || !learn(last, literalStart..<last.count, fieldCount) { fieldCount = 0 }
    return after
  }

  /// Copies a value without its escapes, which is never longer than with them.
  private func keep(_ text: String, _ used: inout Int) -> UnsafeRawBufferPointer? {
    let start = used
    for byte in text.utf8 {
      guard used < scratchCapacity else { return nil }
      scratch[used] = byte
      used += 1
    }
    return UnsafeRawBufferPointer(start: scratch + start, count: used - start)
  }

  private func learn(_ line: UnsafeRawBufferPointer, _ range: Range<Int>, _ field: Int) -> Bool {
    guard range.count <= Self.literalBytesMax else { return false }
    var words: [UInt64] = [0, 0, 0]
    var masks: [UInt64] = [0, 0, 0]
    for (index, byte) in line[range].enumerated() {
      words[index / 8] |= UInt64(byte) << (index % 8 * 8)
      masks[index / 8] |= 0xff << (index % 8 * 8)
    }
    literals[field] = Literal(
      word0: words[0].littleEndian, word1: words[1].littleEndian, word2: words[2].littleEndian,
      mask0: masks[0].littleEndian, mask1: masks[1].littleEndian, mask2: masks[2].littleEndian,
      byteCount: range.count)
    return true
  }
}
