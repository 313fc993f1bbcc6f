/// How one payload was laid out, as far as it was looked through: its bytes, and where its values are.
///
///     before   {"type":"track","properties":{"position":4},"context":{"campaign":{"source":"news
///     now      {"type":"track","properties":{"position":17},"context":{"campaign":{"source":"mail
///              ═══════════ the same ═══════════════════╗═════════════ the same ══════════════╗
///                                            other value: to its end                   other value
///
/// Payloads of a kind have the same members in the same order. Where all that differs are values, and each of them is
/// of the sort that was there before (a text, a word, an array that nothing is looked for in), reading the payload
/// finds the same members in the same places: so it is compared, eight bytes at a time, instead of read. Which values
/// differ shows as payloads come; from then on these are followed to their ends without being compared.
struct PayloadLayout {
  enum Sort: UInt8 {
    /// Between its quotes.
    case text
    /// A number, or a word such as `true`.
    case word
    case container
  }

  struct Value: BitwiseCopyable {
    var start: Int
    var count: Int
    var sort: Sort
    var isEscaped: Bool
    /// Whether it counts: neither empty, nor `null`, nor a container.
    var isThere: Bool
    /// −1 for none.
    var field: Int
    var rank: UInt8
    /// Whether it has been another in some payload of this layout.
    var varies: Bool

    /// The byte that ends it: the quote, what comes after a word, the bracket.
    var last: Int { sort == .container ? start &+ count &- 1 : start &+ count }
  }

  /// Up to where it was looked through.
  private(set) var bytes: [UInt8] = []
  /// In order.
  private var values: [Value] = []
  /// Those of them that vary, or that a field has.
  private(set) var stops: [Value] = []
  private(set) var isValid = false

  /// Longer ones are not kept.
  static let byteCountMax = 16_384

  mutating func begin() {
    values.removeAll(keepingCapacity: true)
    isValid = false
  }

  mutating func append(_ value: Value) { values.append(value) }

  /// - Parameters:
  ///   - end: where the reading ended.
  ///   - isWhole: whether everything was there that was looked for.
  mutating func end(_ payload: UnsafeRawBufferPointer, at end: Int, isWhole: Bool) {
    // The byte that ended it may have been looked at without being taken, as what comes after a word is.
    let end = min(end + 1, payload.count)
    isValid =
      isWhole && end <= min(payload.count, Self.byteCountMax)
      && values.allSatisfy { $0.sort != .word || $0.count > 0 }
    guard isValid else { return }
    bytes.removeAll(keepingCapacity: true)
    bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: payload[..<end]))
    findStops()
  }

  private mutating func findStops() {
    stops.removeAll(keepingCapacity: true)
    for value in values where value.varies || value.field >= 0 && value.isThere {
      stops.append(value)
    }
  }

  /// Another payload has another byte there: what varies is the value around it.
  ///
  /// - Returns: false where it is in no value, or in one that varies already.
  mutating func vary(at place: Int) -> Bool {
    guard let index = values.firstIndex(where: { $0.last >= place }),
      values[index].start <= place, !values[index].varies
    else { return false }
    values[index].varies = true
    findStops()
    return true
  }

  /// Whether a word has nothing in it that begins something else.
  static func isPlain(_ word: UnsafeRawBufferPointer) -> Bool {
    word.allSatisfy { $0 != UInt8(ascii: "\"") && $0 | 0x20 != UInt8(ascii: "{") }
  }

  /// Whether so many bytes of two texts are the same.
  @inline(__always)
  static func isSame(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
    func differ(at offset: Int) -> UInt64 {
      a.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        ^ b.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
    guard count >= 8 else { return same(a, b, count) == count }
    var all: UInt64 = 0
    var index = 0
    while index &+ 8 <= count {
      all |= differ(at: index)
      index &+= 8
    }
    // The last eight bytes, some of them for the second time.
    return all | differ(at: count &- 8) == 0
  }

  /// How many bytes of two texts are the same, of so many.
  @inline(__always)
  static func same(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Int {
    var index = 0
    while index &+ 8 <= count {
      let x = UInt64(littleEndian: a.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      let y = UInt64(littleEndian: b.loadUnaligned(fromByteOffset: index, as: UInt64.self))
      if x != y { return index &+ (x ^ y).trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    while index < count {
      if a.load(fromByteOffset: index, as: UInt8.self)
        != b.load(fromByteOffset: index, as: UInt8.self)
      {
        return index
      }
      index &+= 1
    }
    return count
  }
}

/// The layouts of the latest payloads of one kind, and whether it is worth to keep them.
struct PayloadLayouts {
  private(set) var latest = PayloadLayout()
  private(set) var other = PayloadLayout()
  private var misses = 0
  private var rest = 0

  private static let missesMax = 8
  private static let restLength = 256

  /// Whether to look for a layout now: not for a while where payloads have been unlike each other.
  mutating func isInUse() -> Bool {
    if rest == 0 { return true }
    rest &-= 1
    return false
  }

  enum Which {
    case latest, other
  }

  subscript(which: Which) -> PayloadLayout { which == .latest ? latest : other }

  /// See ``PayloadLayout/vary(at:)``.
  mutating func vary(at place: Int, _ which: Which) -> Bool {
    which == .latest ? latest.vary(at: place) : other.vary(at: place)
  }

  mutating func hit(_ which: Which) {
    misses = 0
    if which == .other { swap(&latest, &other) }
  }

  /// - Returns: what to keep the next layout in.
  mutating func miss() -> PayloadLayout {
    misses += 1
    if misses >= Self.missesMax {
      misses = 0
      rest = Self.restLength
    }
    swap(&latest, &other)
    let old = latest
    latest = PayloadLayout()
    return old
  }

  mutating func keep(_ layout: PayloadLayout) { latest = layout }
}
