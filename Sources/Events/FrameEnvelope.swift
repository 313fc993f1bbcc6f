/// What all frames have in common, checked: length, checksum, header and the bounds of the columns.
struct FrameEnvelope {
  let header: FrameHeader
  let checksum: UInt32
  let base: UnsafeRawPointer
  let directory: FrameDirectory

  init(_ bytes: UnsafeRawBufferPointer) throws(FrameError) {
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
    header = FrameHeader(
      kind: kind, generation: load(16, UInt32.self), partition: load(20, UInt32.self),
      producer: Key128(low: load(24, UInt64.self), high: load(32, UInt64.self)),
      epoch: load(40, UInt32.self), producerSequence: load(48, UInt64.self),
      count: Int(load(44, UInt32.self)), receivedBase: load(56, Int64.self),
      originalLogTime: load(64, Int64.self))
    self.base = base
    directory = try FrameDirectory(bytes, columns: Int(load(14, UInt16.self)))
  }
}

/// Where the columns of a frame are, and that they lie within it.
///
/// Kept in place, without allocating: a frame is decoded for every few hundred events.
struct FrameDirectory {
  private struct Place: BitwiseCopyable {
    var offset: UInt32 = 0
    var length: UInt32 = 0
  }

  /// Ids below this are known here, or may be one day; a column of another id is passed over.
  private static let idCount = 40
  /// By id; an absent column has no offset.
  private var places = InlineArray<40, Place>(repeating: Place())

  init(_ bytes: UnsafeRawBufferPointer, columns: Int) throws(FrameError) {
    let end = FrameHeader.byteCount + columns * FrameHeader.directoryEntryByteCount
    guard end <= bytes.count else { throw .tooShort(byteCount: bytes.count) }
    for column in 0..<columns {
      let entry = FrameHeader.byteCount + column * FrameHeader.directoryEntryByteCount
      let id = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: entry, as: UInt16.self))
      let place = Place(
        offset: UInt32(
          littleEndian: bytes.loadUnaligned(fromByteOffset: entry + 4, as: UInt32.self)),
        length: UInt32(
          littleEndian: bytes.loadUnaligned(fromByteOffset: entry + 8, as: UInt32.self)))
      guard Int(place.offset) >= end, Int(place.offset) + Int(place.length) <= bytes.count else {
        throw .malformedColumn(id)
      }
      guard id < Self.idCount else { continue }
      guard places[Int(id)].offset == 0 else { throw .malformedColumn(id) }
      places[Int(id)] = place
    }
  }

  private func place(_ column: FrameColumn) -> (offset: Int, length: Int)? {
    let place = places[Int(column.rawValue)]
    return place.offset == 0 ? nil : (Int(place.offset), Int(place.length))
  }

  /// Where a column of so wide records is, and how many it has.
  func records(_ column: FrameColumn, width: Int) throws(FrameError) -> (offset: Int, count: Int) {
    guard let place = place(column) else { return (0, 0) }
    guard place.length % width == 0 else { throw .malformedColumn(column.rawValue) }
    return (place.offset, place.length / width)
  }

  /// - Returns: the column's offset, or 0 where it is absent and need not be there.
  func fixed(
    _ column: FrameColumn, width: Int, count: Int, required: Bool
  ) throws(FrameError) -> Int {
    guard let place = place(column) else {
      if required && count > 0 { throw .missingColumn(column) }
      return 0
    }
    guard place.length >= width * count else { throw .malformedColumn(column.rawValue) }
    return place.offset
  }

  /// - Parameter count: the number of texts, or nil where the column's offsets tell.
  func texts(
    _ column: FrameColumn, _ bytes: UnsafeRawBufferPointer, count: Int?, required: Bool
  ) throws(FrameError) -> FrameTexts {
    guard let place = place(column), let base = bytes.baseAddress else {
      if required { throw .missingColumn(column) }
      return FrameTexts()
    }
    guard place.length >= 8 else { throw .malformedColumn(column.rawValue) }
    func load(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    let stated = Int(load(place.offset))
    let ends = place.offset + 4
    let texts = ends + (stated + 1) * 4
    guard count == nil || count == stated, texts <= place.offset + place.length else {
      throw .malformedColumn(column.rawValue)
    }
    // Offsets that rise to one within the column are all within it.
    var falls: UInt32 = 0
    for index in 0..<stated {
      falls |= load(ends &+ index &* 4 &+ 4) < load(ends &+ index &* 4) ? 1 : 0
    }
    guard falls == 0, texts + Int(load(ends + stated * 4)) <= place.offset + place.length else {
      throw .malformedColumn(column.rawValue)
    }
    return FrameTexts(count: stated, ends: ends, bytes: texts)
  }

  /// Whether all of a column's indices are below `limit`: in one pass without a branch, because in a
  /// frame that is read nearly always they are.
  ///
  /// - Returns: the first event whose index is not, or nil.
  static func firstIndex(
    atLeast limit: Int, _ base: UnsafeRawPointer, _ column: Int, count: Int
  ) -> Int? {
    func load(_ index: Int) -> UInt32 {
      UInt32(
        littleEndian: base.loadUnaligned(
          fromByteOffset: column &+ index &* 4, as: UInt32.self))
    }
    var largest: UInt32 = 0
    for index in 0..<count { largest = max(largest, load(index)) }
    if count == 0 || Int(largest) < limit { return nil }
    return (0..<count).first { Int(load($0)) >= limit }
  }
}

/// Where the texts of a column are: offsets from the start of the frame.
@usableFromInline
struct FrameTexts {
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

extension Key128 {
  /// The 16 bytes of a key in a column, low half first.
  @inlinable
  init(at place: UnsafeRawPointer) {
    self.init(
      low: UInt64(littleEndian: place.loadUnaligned(as: UInt64.self)),
      high: UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
  }
}
