/// How one payload was laid out, as far as it was looked through: its bytes, and where its values are.
///
///     before   {"type":"track","properties":{"position":4},"context":{"campaign":{"source":"news
///     now      {"type":"track","properties":{"position":17},"context":{"campaign":{"source":"mail
///              ═══════════ the same ═══════════════════╗═════════════ the same ══════════════╗
///                                            other value: to its end                   other value
///
/// Payloads of a kind have the same members in the same order. Where all that differs are values, and each of them is
/// of the sort that was there before (a text, a word, an object or array that nothing is looked for in), reading the
/// payload finds the same members in the same places: so it is compared, eight bytes at a time, instead of read.
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

    /// The byte that ends it: the quote, what comes after a word, the bracket.
    var last: Int { sort == .container ? start &+ count &- 1 : start &+ count }
  }

  /// Up to where it was looked through.
  private(set) var bytes: [UInt8] = []
  /// In order.
  private(set) var values: [Value] = []
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
    // What ends a word is part of it.
    let end = max(end, values.last.map { $0.sort == .word ? $0.last + 1 : 0 } ?? 0)
    isValid =
      isWhole && end <= min(payload.count, Self.byteCountMax)
      && values.allSatisfy { $0.sort != .word || $0.count > 0 }
    guard isValid else { return }
    bytes.removeAll(keepingCapacity: true)
    bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: payload[..<end]))
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

  mutating func hit(other isOther: Bool) {
    misses = 0
    if isOther { swap(&latest, &other) }
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
