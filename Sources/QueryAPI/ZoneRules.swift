/// When a time zone's offset from UTC changed and will change: one compiled file of the IANA time
/// zone database (RFC 9636, "TZif"), version 2 or later.
///
/// The table lists past changes; times after its last entry follow the rule in the file's footer
/// (``RecurringRule``). Seconds since the epoch throughout. Looking an offset up is a binary
/// search.
struct ZoneRules: Hashable, Sendable {
  /// Rising; `offsets[i]` holds from `changes[i]` on.
  private var changes: [Int64]
  private var offsets: [Int]
  /// Before the first change.
  private var initialOffset: Int
  private var footer: RecurringRule?

  static let utc = ZoneRules(fixedOffset: 0)

  init(fixedOffset: Int) {
    changes = []
    offsets = []
    initialOffset = fixedOffset
    footer = nil
  }

  /// - Returns: nil where the bytes are not a TZif file of version 2 or later.
  init?(parsing file: [UInt8]) {
    var reader = TZifReader(bytes: file)
    guard let first = reader.header(), first.version >= 2,
      reader.skip(first.bodyByteCount(timeSize: 4)), let header = reader.header(),
      header.typeCount > 0
    else { return nil }
    var changes: [Int64] = []
    for _ in 0..<header.timeCount {
      guard let time = reader.integer(bytes: 8) else { return nil }
      changes.append(time)
    }
    var types: [Int] = []
    for _ in 0..<header.timeCount {
      guard let type = reader.byte(), Int(type) < header.typeCount else { return nil }
      types.append(Int(type))
    }
    var typeOffsets: [Int] = []
    for _ in 0..<header.typeCount {
      guard let offset = reader.integer(bytes: 4), reader.skip(2) else { return nil }
      typeOffsets.append(Int(Int32(truncatingIfNeeded: offset)))
    }
    guard reader.skip(header.tailByteCount) else { return nil }
    self.changes = changes
    offsets = types.map { typeOffsets[$0] }
    initialOffset = typeOffsets[0]
    if let text = reader.footer(), !text.isEmpty {
      guard let rule = RecurringRule(text) else { return nil }
      footer = rule
    }
  }

  /// Local time minus UTC at an instant, in seconds.
  func offset(at seconds: Int64) -> Int {
    guard let last = changes.last else { return footer?.offset(at: seconds) ?? initialOffset }
    if seconds >= last, let footer { return footer.offset(at: seconds) }
    var low = 0
    var high = changes.count
    while low < high {
      let middle = (low + high) / 2
      if changes[middle] <= seconds { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? initialOffset : offsets[low - 1]
  }

  /// The local day that contains an instant, as days since 1970-01-01.
  func localDay(at seconds: Int64) -> Int64 {
    CivilTime.floorDivide(seconds + Int64(offset(at: seconds)), CivilTime.secondsPerDay)
  }

  /// The first instant of a local day. Where the clock skips midnight it is the moment of the
  /// skip; where the day itself is skipped it equals the start of the next one.
  func start(ofLocalDay day: Int64) -> Int64 {
    let midnight = day * CivilTime.secondsPerDay
    // No zone is a whole day from UTC, so these lie before and after the local midnight.
    let before = midnight - Int64(offset(at: midnight - CivilTime.secondsPerDay))
    let after = midnight - Int64(offset(at: midnight + CivilTime.secondsPerDay))
    let candidates = [before, after].filter { $0 + Int64(offset(at: $0)) == midnight }
    if let first = candidates.min() { return first }
    var low = min(before, after) - 1
    var high = max(before, after)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if localDay(at: middle) >= day { high = middle } else { low = middle }
    }
    return high
  }

  /// The first instant in `(after, upTo]` with another offset than `after` has, or nil.
  ///
  /// At most one change is expected between them.
  func change(after: Int64, upTo: Int64) -> Int64? {
    let offset = offset(at: after)
    guard self.offset(at: upTo) != offset else { return nil }
    var low = after
    var high = upTo
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if self.offset(at: middle) == offset { low = middle } else { high = middle }
    }
    return high
  }
}

private struct TZifReader {
  let bytes: [UInt8]
  var index = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  struct Header {
    var version: Int
    var isUTCount: Int
    var isStandardCount: Int
    var leapCount: Int
    var timeCount: Int
    var typeCount: Int
    var characterCount: Int

    func bodyByteCount(timeSize: Int) -> Int {
      timeCount * (timeSize + 1) + typeCount * 6 + characterCount + leapCount * (timeSize + 4)
        + isStandardCount + isUTCount
    }

    /// What follows the types in the version 2 body.
    var tailByteCount: Int { characterCount + leapCount * 12 + isStandardCount + isUTCount }
  }

  mutating func header() -> Header? {
    guard index + 44 <= bytes.count, Array(bytes[index..<index + 4]) == Array("TZif".utf8) else {
      return nil
    }
    let version = bytes[index + 4] == 0 ? 1 : Int(bytes[index + 4]) - 0x30
    index += 20
    var counts: [Int] = []
    for _ in 0..<6 {
      guard let count = integer(bytes: 4), count >= 0, count <= 1 << 20 else { return nil }
      counts.append(Int(count))
    }
    return Header(
      version: version, isUTCount: counts[0], isStandardCount: counts[1], leapCount: counts[2],
      timeCount: counts[3], typeCount: counts[4], characterCount: counts[5])
  }

  mutating func byte() -> UInt8? {
    guard index < bytes.count else { return nil }
    index += 1
    return bytes[index - 1]
  }

  /// Big-endian; sign-extended for eight bytes only.
  mutating func integer(bytes count: Int) -> Int64? {
    guard index + count <= bytes.count else { return nil }
    var value: UInt64 = 0
    for _ in 0..<count {
      value = value << 8 | UInt64(bytes[index])
      index += 1
    }
    return Int64(bitPattern: value)
  }

  mutating func skip(_ count: Int) -> Bool {
    guard count >= 0, index + count <= bytes.count else { return false }
    index += count
    return true
  }

  /// The text between two line ends.
  mutating func footer() -> String? {
    guard byte() == 0x0a else { return nil }
    let rest = bytes[index...].prefix { $0 != 0x0a }
    return String(decoding: rest, as: UTF8.self)
  }
}
