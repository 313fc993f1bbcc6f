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
struct FrameDirectory {
  private var places: [UInt16: (offset: Int, length: Int)] = [:]

  init(_ bytes: UnsafeRawBufferPointer, columns: Int) throws(FrameError) {
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
  ) throws(FrameError) -> FrameTexts {
    guard let place = places[column.rawValue] else {
      if required { throw .missingColumn(column) }
      return FrameTexts()
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
    return FrameTexts(count: stated, ends: place.offset + 4, bytes: texts)
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
