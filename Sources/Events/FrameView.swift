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
  @usableFromInline let revenues: Int
  @usableFromInline let received: Int
  @usableFromInline let sent: Int
  @usableFromInline let names: Int
  @usableFromInline let sources: Int
  @usableFromInline let tuples: Texts
  @usableFromInline let ids: Texts
  @usableFromInline let labels: Texts
  @usableFromInline let payloads: Texts

  /// Where the texts of a column are: offsets from the start of the frame.
  @usableFromInline
  struct Texts {
    @usableFromInline var count = 0
    @usableFromInline var ends = 0
    @usableFromInline var bytes = 0

    @inlinable
    func text(_ index: Int, _ base: UnsafeRawPointer) -> UnsafeRawBufferPointer {
      let from = base.loadUnaligned(fromByteOffset: ends &+ index &* 4, as: UInt32.self)
      let to = base.loadUnaligned(fromByteOffset: ends &+ index &* 4 &+ 4, as: UInt32.self)
      return UnsafeRawBufferPointer(
        start: base + (bytes &+ Int(UInt32(littleEndian: from))),
        count: Int(UInt32(littleEndian: to)) &- Int(UInt32(littleEndian: from)))
    }
  }

  /// The number of events.
  @inlinable public var count: Int { header.count }

  public init(_ bytes: UnsafeRawBufferPointer) throws(FrameError) {
    guard bytes.count >= FrameHeader.byteCount, let base = bytes.baseAddress else {
      throw .tooShort(byteCount: bytes.count)
    }
    func load<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type) -> T {
      T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    guard load(0, UInt32.self) == FrameHeader.magic else {
      throw .wrongMagic(load(0, UInt32.self))
    }
    let length = Int(load(72, UInt32.self))
    guard length == bytes.count else { throw .wrongLength(stated: length, actual: bytes.count) }
    let actual = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[8...]))
    checksum = load(4, UInt32.self)
    guard checksum == actual else { throw .wrongChecksum(stated: checksum, actual: actual) }
    guard load(8, UInt16.self) == FrameHeader.version else {
      throw .unknownVersion(load(8, UInt16.self))
    }
    guard let kind = FrameHeader.Kind(rawValue: load(10, UInt8.self)) else {
      throw .unknownKind(load(10, UInt8.self))
    }
    let count = Int(load(44, UInt32.self))
    header = FrameHeader(
      kind: kind, generation: load(16, UInt32.self), partition: load(20, UInt32.self),
      producer: Key128(low: load(24, UInt64.self), high: load(32, UInt64.self)),
      epoch: load(40, UInt32.self), producerSequence: load(48, UInt64.self), count: count,
      receivedBase: load(56, Int64.self), originalLogTime: load(64, Int64.self))
    self.base = base

    var directory = FrameDirectory()
    try directory.read(bytes, columns: Int(load(14, UInt16.self)))
    kinds = try directory.fixed(.kind, width: 1, count: count, required: true)
    tupleIndices = try directory.fixed(.tuple, width: 4, count: count, required: true)
    eventTimes = try directory.fixed(.eventTime, width: 8, count: count, required: true)
    keys = try directory.fixed(.key, width: 16, count: count, required: true)
    persons = try directory.fixed(.person, width: 16, count: count, required: true)
    revenues = try directory.fixed(.revenue, width: 8, count: count, required: false)
    received = try directory.fixed(.received, width: 4, count: count, required: true)
    sent = try directory.fixed(.sent, width: 8, count: count, required: false)
    names = try directory.fixed(.name, width: 4, count: count, required: true)
    sources = try directory.fixed(.source, width: 4, count: count, required: true)
    ids = try directory.texts(.ids, bytes, count: count, required: count > 0)
    payloads = try directory.texts(.payloads, bytes, count: count, required: count > 0)
    tuples = try directory.texts(.tuples, bytes, count: nil, required: count > 0)
    labels = try directory.texts(.labels, bytes, count: nil, required: count > 0)
    for index in 0..<count {
      guard (1...7).contains(load(kinds &+ index, UInt8.self)) else {
        throw .indexOutOfRange(.kind, event: index)
      }
      guard Int(load(tupleIndices &+ index &* 4, UInt32.self)) < tuples.count else {
        throw .indexOutOfRange(.tuple, event: index)
      }
      guard Int(load(names &+ index &* 4, UInt32.self)) < labels.count else {
        throw .indexOutOfRange(.name, event: index)
      }
      guard Int(load(sources &+ index &* 4, UInt32.self)) < labels.count else {
        throw .indexOutOfRange(.source, event: index)
      }
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

  @inlinable func key128(_ offset: Int) -> Key128 {
    Key128(
      low: UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)),
      high: UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self)))
  }

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

  /// The event's JSON as it came.
  public func payload(_ index: Int) -> UnsafeRawBufferPointer { payloads.text(index, base) }

  private func label(_ column: Int, _ index: Int) -> String {
    let label = UInt32(
      littleEndian: base.loadUnaligned(fromByteOffset: column &+ index &* 4, as: UInt32.self))
    return String(decoding: labels.text(Int(label), base), as: UTF8.self)
  }
}

/// Where the columns of a frame are, and that they lie within it.
private struct FrameDirectory {
  private var places: [UInt16: (offset: Int, length: Int)] = [:]

  mutating func read(_ bytes: UnsafeRawBufferPointer, columns: Int) throws(FrameError) {
    let end = FrameHeader.byteCount + columns * FrameHeader.directoryEntryByteCount
    guard end <= bytes.count else { throw .tooShort(byteCount: bytes.count) }
    for column in 0..<columns {
      let entry = FrameHeader.byteCount + column * FrameHeader.directoryEntryByteCount
      let id = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: entry, as: UInt16.self))
      let offset = Int(
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: entry + 4, as: UInt32.self)))
      let length = Int(
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: entry + 8, as: UInt32.self)))
      guard offset >= end, offset + length <= bytes.count, places[id] == nil else {
        throw .malformedColumn(id)
      }
      places[id] = (offset, length)
    }
  }

  /// - Returns: the column's offset, or 0 where it is absent and need not be there.
  func fixed(
    _ column: FrameColumn, width: Int, count: Int, required: Bool
  ) throws(FrameError) -> Int {
    guard let place = places[column.rawValue] else {
      if required && count > 0 { throw .missingColumn(column) }
      return 0
    }
    guard place.length >= width * count else { throw .malformedColumn(column.rawValue) }
    return place.offset
  }

  /// - Parameter count: the number of texts, or nil where the column's offsets tell.
  func texts(
    _ column: FrameColumn, _ bytes: UnsafeRawBufferPointer, count: Int?, required: Bool
  ) throws(FrameError) -> FrameView.Texts {
    guard let place = places[column.rawValue] else {
      if required { throw .missingColumn(column) }
      return FrameView.Texts()
    }
    func load(_ offset: Int) -> Int {
      Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    }
    guard place.length >= 8 else { throw .malformedColumn(column.rawValue) }
    let stated = load(place.offset)
    let texts = place.offset + 4 + (stated + 1) * 4
    guard count == nil || count == stated, texts <= place.offset + place.length else {
      throw .malformedColumn(column.rawValue)
    }
    var previous = 0
    for index in 0...stated {
      let end = load(place.offset + 4 + index * 4)
      guard end >= previous, texts + end <= place.offset + place.length else {
        throw .malformedColumn(column.rawValue)
      }
      previous = end
    }
    return FrameView.Texts(count: stated, ends: place.offset + 4, bytes: texts)
  }
}
