/// The columns of a frame one after the other, each at a multiple of eight bytes, behind room for what stands in
/// front of them: a frame is laid out where it stays, and nothing of it is copied twice.
struct FrameBody: ~Copyable {
  private var bytes: [UInt8]
  /// Bytes in front of the columns.
  private let room: Int
  private var columns: [(id: FrameColumn, offset: Int)] = []

  /// - Parameters:
  ///   - columns: how many there will be; where there are others, they are moved in the end.
  ///   - capacity: bytes of all columns, about.
  init(columns: Int, reserving capacity: Int) {
    room = Self.room(columns)
    bytes = []
    bytes.reserveCapacity(room + capacity)
    bytes.append(contentsOf: repeatElement(0, count: room))
    self.columns.reserveCapacity(columns)
  }

  private static func room(_ columns: Int) -> Int {
    (FrameHeader.byteCount + columns * FrameHeader.directoryEntryByteCount + 7) & ~7
  }

  /// What is appended from here on is the column `id`.
  mutating func begin(_ id: FrameColumn) { columns.append((id, bytes.count)) }

  mutating func append(column: UnsafeRawBufferPointer) {
    bytes.append(contentsOf: column)
    pad()
  }

  mutating func append(raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

  mutating func pad() {
    while bytes.count & 7 != 0 { bytes.append(0) }
  }

  /// Header, directory and columns, with length and checksum.
  consuming func frame(_ header: FrameHeader) -> [UInt8] {
    let start = Self.room(columns.count)
    if start < room {
      bytes.removeFirst(room - start)
    } else if start > room {
      bytes.insert(contentsOf: repeatElement(0, count: start - room), at: 0)
    }
    let total = bytes.count
    var front: [UInt8] = []
    front.reserveCapacity(start)
    func put<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { front.append(contentsOf: $0) }
    }
    put(FrameHeader.magic)
    put(UInt32(0))
    put(FrameHeader.version)
    put(header.kind.rawValue)
    put(UInt8(0))
    put(FrameHeader.schema)
    put(UInt16(columns.count))
    put(header.generation)
    put(header.partition)
    put(header.producer.low)
    put(header.producer.high)
    put(header.epoch)
    put(UInt32(header.count))
    put(header.producerSequence)
    put(header.receivedBase)
    put(header.originalLogTime)
    put(UInt32(total))
    put(UInt32(0))
    for (index, column) in columns.enumerated() {
      let end = index + 1 < columns.count ? columns[index + 1].offset : room - start + total
      put(column.id.rawValue)
      put(UInt16(0))
      put(UInt32(start - room + column.offset))
      put(UInt32(end - column.offset))
    }
    bytes.withUnsafeMutableBytes { buffer in
      front.withUnsafeBytes { buffer.copyMemory(from: $0) }
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: buffer[8...]))
      buffer.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    }
    return bytes
  }
}

/// Texts one after the other: their count, `count + 1` rising offsets (four bytes each), the bytes.
struct TextColumn {
  private var ends: [UInt32] = [0]
  private(set) var bytes: [UInt8] = []

  var count: Int { ends.count - 1 }

  func holds(_ text: UnsafeRawBufferPointer, at index: Int) -> Bool {
    let range = Int(ends[index])..<Int(ends[index + 1])
    guard range.count == text.count else { return false }
    return bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset &+ 8 <= text.count {
        let one = bytes.loadUnaligned(fromByteOffset: range.lowerBound &+ offset, as: UInt64.self)
        if one != text.loadUnaligned(fromByteOffset: offset, as: UInt64.self) { return false }
        offset &+= 8
      }
      while offset < text.count {
        if bytes[range.lowerBound &+ offset] != text[offset] { return false }
        offset &+= 1
      }
      return true
    }
  }

  func withText(_ index: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
    bytes.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[Int(ends[index])..<Int(ends[index + 1])]))
    }
  }

  /// The numbers of the texts in the order of their bytes.
  func sorted() -> [Int] {
    bytes.withUnsafeBytes { bytes in
      (0..<count).sorted { a, b in
        Self.precedes(
          bytes, Int(ends[a])..<Int(ends[a + 1]), Int(ends[b])..<Int(ends[b + 1]))
      }
    }
  }

  /// Eight bytes at a time, because tuples begin alike.
  private static func precedes(
    _ bytes: UnsafeRawBufferPointer, _ a: Range<Int>, _ b: Range<Int>
  ) -> Bool {
    let common = min(a.count, b.count)
    var offset = 0
    while offset + 8 <= common {
      let x = bytes.loadUnaligned(fromByteOffset: a.lowerBound + offset, as: UInt64.self)
      let y = bytes.loadUnaligned(fromByteOffset: b.lowerBound + offset, as: UInt64.self)
      if x != y { return UInt64(bigEndian: x) < UInt64(bigEndian: y) }
      offset += 8
    }
    while offset < common {
      let (x, y) = (bytes[a.lowerBound + offset], bytes[b.lowerBound + offset])
      if x != y { return x < y }
      offset += 1
    }
    return a.count < b.count
  }

  mutating func append(_ text: UnsafeRawBufferPointer) {
    bytes.append(contentsOf: text)
    ends.append(UInt32(bytes.count))
  }

  mutating func append(_ text: String) {
    bytes.append(contentsOf: text.utf8)
    ends.append(UInt32(bytes.count))
  }

  mutating func removeAll() {
    ends.removeAll(keepingCapacity: true)
    ends.append(0)
    bytes.removeAll(keepingCapacity: true)
  }

  func write(to body: inout FrameBody) {
    withUnsafeBytes(of: UInt32(count).littleEndian) { body.append(raw: $0) }
    ends.withUnsafeBytes { body.append(raw: $0) }
    bytes.withUnsafeBytes { body.append(raw: $0) }
    body.pad()
  }
}
