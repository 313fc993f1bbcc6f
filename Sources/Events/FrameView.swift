/// A frame read in place: checked once when it is made, then read without further checks.
///
/// The view borrows the bytes: it must not outlive the buffer that it was made from, which is why
/// it is handed to a closure by whoever owns them. Every column's bounds and every dictionary
/// index are checked in `init`, so no accessor can read outside the frame.
public struct FrameView {
  public let header: FrameHeader
  /// The frame's checksum, part of the fingerprint in checkpoints.
  public let checksum: UInt32
  @usableFromInline let base: UnsafeRawPointer
  @usableFromInline let kinds: Int
  @usableFromInline let tupleIndices: Int
  @usableFromInline let eventTimes: Int
  @usableFromInline let keys: Int
  @usableFromInline let persons: Int
  @usableFromInline let users: Int
  @usableFromInline let fingerprints: Int
  @usableFromInline let revenues: Int
  @usableFromInline let received: Int
  @usableFromInline let sent: Int
  @usableFromInline let names: Int
  @usableFromInline let sources: Int
  @usableFromInline let agents: Int
  @usableFromInline let bots: Int
  @usableFromInline let tuples: FrameTexts
  @usableFromInline let ids: FrameTexts
  @usableFromInline let labels: FrameTexts
  @usableFromInline let payloads: FrameTexts

  /// Raw values of ``EventKind``.
  static let kindRange = EventKind.impression.rawValue...EventKind.erasure.rawValue

  /// The number of events.
  @inlinable public var count: Int { header.count }

  public init(_ bytes: UnsafeRawBufferPointer) throws(FrameError) {
    let envelope = try FrameEnvelope(bytes)
    guard envelope.header.kind != .partials else {
      throw .otherKind(envelope.header.kind.rawValue)
    }
    header = envelope.header
    checksum = envelope.checksum
    let base = envelope.base
    self.base = base
    let directory = envelope.directory
    let count = header.count
    func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
      T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    kinds = try directory.fixed(.kind, width: 1, count: count, required: true)
    tupleIndices = try directory.fixed(.tuple, width: 4, count: count, required: true)
    eventTimes = try directory.fixed(.eventTime, width: 8, count: count, required: true)
    keys = try directory.fixed(.key, width: 16, count: count, required: true)
    persons = try directory.fixed(.person, width: 16, count: count, required: true)
    users = try directory.fixed(.user, width: 16, count: count, required: false)
    fingerprints = try directory.fixed(
      .fingerprint, width: 4, count: count, required: false)
    revenues = try directory.fixed(.revenue, width: 8, count: count, required: false)
    received = try directory.fixed(.received, width: 4, count: count, required: true)
    sent = try directory.fixed(.sent, width: 8, count: count, required: false)
    names = try directory.fixed(.name, width: 4, count: count, required: true)
    sources = try directory.fixed(.source, width: 4, count: count, required: true)
    agents = try directory.fixed(.agent, width: 4, count: count, required: false)
    bots = try directory.fixed(.bot, width: 4, count: count, required: false)
    ids = try directory.texts(.ids, bytes, count: count, required: count > 0)
    payloads = try directory.texts(.payloads, bytes, count: count, required: count > 0)
    tuples = try directory.texts(.tuples, bytes, count: nil, required: count > 0)
    labels = try directory.texts(.labels, bytes, count: nil, required: count > 0)
    try Self.checkKinds(base + kinds, count)
    try Self.check(.tuple, tupleIndices, below: tuples.count, base, count)
    try Self.check(.name, names, below: labels.count, base, count)
    try Self.check(.source, sources, below: labels.count, base, count)
    if agents != 0 { try Self.check(.agent, agents, below: labels.count + 1, base, count) }
  }

  private static func checkKinds(
    _ kinds: UnsafeRawPointer, _ count: Int
  ) throws(FrameError) {
    let (first, last) = (kindRange.lowerBound, kindRange.upperBound)
    var others: UInt8 = 0
    for index in 0..<count {
      let kind = kinds.load(fromByteOffset: index, as: UInt8.self)
      others |= kind &- first > last &- first ? 1 : 0
    }
    if others == 0 { return }
    let event = (0..<count).first {
      !kindRange.contains(kinds.load(fromByteOffset: $0, as: UInt8.self))
    }
    throw .indexOutOfRange(.kind, event: event ?? 0)
  }

  private static func check(
    _ column: FrameColumn, _ place: Int, below limit: Int, _ base: UnsafeRawPointer, _ count: Int
  ) throws(FrameError) {
    if let event = FrameDirectory.firstIndex(atLeast: limit, base, place, count: count) {
      throw .indexOutOfRange(column, event: event)
    }
  }

  // MARK: Hot columns

  /// ``EventKind/rawValue`` of event `index`.
  @inlinable public func kind(_ index: Int) -> UInt8 {
    base.load(fromByteOffset: kinds &+ index, as: UInt8.self)
  }

  /// The index of the event's dimensions in this frame's dictionary, below ``tupleCount``.
  @inlinable public func tuple(_ index: Int) -> Int {
    Int(
      UInt32(
        littleEndian: base.loadUnaligned(
          fromByteOffset: tupleIndices &+ index &* 4, as: UInt32.self)))
  }

  /// The client's time, microseconds since the epoch.
  @inlinable public func eventTime(_ index: Int) -> Int64 {
    Int64(
      littleEndian: base.loadUnaligned(fromByteOffset: eventTimes &+ index &* 8, as: Int64.self))
  }

  @inlinable public func key(_ index: Int) -> Key128 { key128(keys &+ index &* 16) }

  @inlinable public func person(_ index: Int) -> Key128 { key128(persons &+ index &* 16) }

  /// The person key of the event's user id; zero where it has none.
  @inlinable public func user(_ index: Int) -> Key128 {
    users == 0 ? .zero : key128(users &+ index &* 16)
  }

  /// Millionths of the currency.
  @inlinable public func revenueMicros(_ index: Int) -> Int64 {
    revenues == 0
      ? 0
      : Int64(
        littleEndian: base.loadUnaligned(fromByteOffset: revenues &+ index &* 8, as: Int64.self))
  }

  /// The collector's clock at receipt, microseconds since the epoch.
  @inlinable public func receivedAt(_ index: Int) -> Int64 {
    header.receivedBase
      &+ Int64(
        UInt32(
          littleEndian: base.loadUnaligned(
            fromByteOffset: received &+ index &* 4, as: UInt32.self)))
  }

  /// The client's clock at sending, microseconds since the epoch; 0 if unknown.
  @inlinable public func sentAt(_ index: Int) -> Int64 {
    sent == 0
      ? 0
      : Int64(littleEndian: base.loadUnaligned(fromByteOffset: sent &+ index &* 8, as: Int64.self))
  }

  /// See ``IncomingEvent/fingerprint``; 0 if unknown.
  @inlinable public func fingerprint(_ index: Int) -> UInt32 {
    fingerprints == 0
      ? 0
      : UInt32(
        littleEndian: base.loadUnaligned(
          fromByteOffset: fingerprints &+ index &* 4, as: UInt32.self))
  }

  /// The ``BotVerdict`` of event `index`, encoded; 0 where nobody judged it.
  @inlinable public func bot(_ index: Int) -> UInt32 {
    bots == 0
      ? 0
      : UInt32(
        littleEndian: base.loadUnaligned(fromByteOffset: bots &+ index &* 4, as: UInt32.self))
  }

  @inlinable func key128(_ offset: Int) -> Key128 { Key128(at: base + offset) }

  // MARK: Dictionaries and texts

  /// The number of distinct dimension tuples in the frame.
  @inlinable public var tupleCount: Int { tuples.count }

  /// An encoded ``DimensionTuple`` of the frame's dictionary.
  @inlinable public func tupleBytes(_ tuple: Int) -> UnsafeRawBufferPointer {
    tuples.text(tuple, base)
  }

  public func id(_ index: Int) -> String { String(decoding: ids.text(index, base), as: UTF8.self) }

  public func name(_ index: Int) -> String { label(names, index) }

  public func source(_ index: Int) -> String { label(sources, index) }

  /// The label of the event's ``Agent``; empty where it has none.
  public func agent(_ index: Int) -> String {
    guard agents != 0 else { return "" }
    let label = UInt32(
      littleEndian: base.loadUnaligned(fromByteOffset: agents &+ index &* 4, as: UInt32.self))
    return label == 0 ? "" : String(decoding: labels.text(Int(label) - 1, base), as: UTF8.self)
  }

  /// The number of texts that names, sources and agents are among.
  @inlinable public var labelCount: Int { labels.count }

  @inlinable public func label(_ label: Int) -> UnsafeRawBufferPointer { labels.text(label, base) }

  /// The label that is the event's name.
  @inlinable public func nameLabel(_ index: Int) -> Int { labelNumber(names, index) }

  /// The label of the event's ``Agent``; −1 where it has none.
  @inlinable public func agentLabel(_ index: Int) -> Int {
    agents == 0 ? -1 : labelNumber(agents, index) &- 1
  }

  @inlinable func labelNumber(_ column: Int, _ index: Int) -> Int {
    Int(
      UInt32(
        littleEndian: base.loadUnaligned(
          fromByteOffset: column &+ index &* 4, as: UInt32.self)))
  }

  /// The event's JSON as it came.
  @inlinable public func payload(_ index: Int) -> UnsafeRawBufferPointer {
    payloads.text(index, base)
  }

  private func label(_ column: Int, _ index: Int) -> String {
    let label = UInt32(
      littleEndian: base.loadUnaligned(fromByteOffset: column &+ index &* 4, as: UInt32.self))
    return String(decoding: labels.text(Int(label), base), as: UTF8.self)
  }
}
