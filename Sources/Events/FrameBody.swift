/// The columns of a frame one after the other, each at a multiple of eight bytes.
struct FrameBody: ~Copyable {
  private(set) var bytes: [UInt8] = []
  private var columns: [(id: FrameColumn, offset: Int)] = []

  init(reserving capacity: Int) { bytes.reserveCapacity(capacity) }

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
    let directory = columns.count * FrameHeader.directoryEntryByteCount
    let start = (FrameHeader.byteCount + directory + 7) & ~7
    let total = start + bytes.count
    var frame: [UInt8] = []
    frame.reserveCapacity(total)
    func put<T: FixedWidthInteger>(_ value: T) {
      withUnsafeBytes(of: value.littleEndian) { frame.append(contentsOf: $0) }
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
      let end = index + 1 < columns.count ? columns[index + 1].offset : bytes.count
      put(column.id.rawValue)
      put(UInt16(0))
      put(UInt32(start + column.offset))
      put(UInt32(end - column.offset))
    }
    while frame.count < start { frame.append(0) }
    frame.append(contentsOf: bytes)
    frame.withUnsafeMutableBytes { buffer in
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: buffer[8...]))
      buffer.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    }
    return frame
  }
}

/// Texts one after the other: their count, `count + 1` rising offsets (four bytes each), the bytes.
struct TextColumn {
  private var ends: [UInt32] = [0]
  private(set) var bytes: [UInt8] = []

  var count: Int { ends.count - 1 }

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
