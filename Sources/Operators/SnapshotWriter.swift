/// Writes a snapshot section by section; see ``SnapshotFormat``.
public struct SnapshotWriter: ~Copyable {
  @usableFromInline var bytes: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var count = 0
  /// Where the open section's header starts; 0 while none is open.
  private var section = 0

  public init(kind: SnapshotKind, pipelineHash: UInt64) {
    capacity = 4096
    bytes = .allocate(byteCount: capacity, alignment: 16)
    put(SnapshotFormat.magic)
    put(SnapshotFormat.version)
    put(kind.rawValue)
    put(pipelineHash)
    put(UInt64(0))
    put(UInt32(0))
    put(UInt32(0))
  }

  deinit { bytes.deallocate() }

  /// Opens a section.
  ///
  /// - Precondition: none is open.
  public mutating func begin(section id: UInt16, version: UInt16) {
    precondition(section == 0, "a snapshot's sections are not nested")
    section = count
    put(id)
    put(version)
    put(UInt32(0))
    put(UInt64(0))
  }

  /// Makes room for `byteCount` further bytes.
  @inlinable
  public mutating func reserve(_ byteCount: Int) {
    if count + byteCount > capacity { grow(byteCount) }
  }

  @usableFromInline @inline(never)
  mutating func grow(_ byteCount: Int) {
    let old = bytes
    capacity = max(capacity * 2, count + byteCount)
    bytes = .allocate(byteCount: capacity, alignment: 16)
    bytes.copyMemory(from: old, byteCount: count)
    old.deallocate()
  }

  @inlinable
  public mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    reserve(MemoryLayout<T>.size)
    bytes.storeBytes(of: value.littleEndian, toByteOffset: count, as: T.self)
    count &+= MemoryLayout<T>.size
  }

  /// A number of one to ten bytes, seven bits in each, the lowest first (LEB128).
  @inlinable
  public mutating func put(varint value: UInt64) {
    reserve(10)
    var rest = value
    while rest > 0x7f {
      let low = UInt8(truncatingIfNeeded: rest) | 0x80
      bytes.storeBytes(of: low, toByteOffset: count, as: UInt8.self)
      count &+= 1
      rest >>= 7
    }
    bytes.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
    count &+= 1
  }

  /// A number near zero of either sign: 0, -1, 1, -2, … as 0, 1, 2, 3, … (zigzag).
  @inlinable
  public mutating func put(zigzag value: Int64) {
    put(varint: UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63))
  }

  public mutating func put(_ raw: UnsafeRawBufferPointer) {
    reserve(raw.count)
    if let base = raw.baseAddress { (bytes + count).copyMemory(from: base, byteCount: raw.count) }
    count += raw.count
  }

  /// A text of at most 65,535 bytes with its length before it.
  public mutating func put(text: String) {
    let utf8 = Array(text.utf8.prefix(Int(UInt16.max)))
    put(UInt16(utf8.count))
    utf8.withUnsafeBytes { put($0) }
  }

  /// Closes the open section.
  public mutating func end() {
    precondition(section != 0, "a section is open")
    let length = UInt64(count - section - SnapshotFormat.sectionHeaderByteCount)
    bytes.storeBytes(of: length.littleEndian, toByteOffset: section + 8, as: UInt64.self)
    let checksum = SnapshotFormat.checksum(
      UnsafeRawBufferPointer(start: bytes, count: count), section: section, end: count)
    bytes.storeBytes(of: checksum.littleEndian, toByteOffset: section + 4, as: UInt32.self)
    section = 0
  }

  public consuming func finish() -> [UInt8] {
    precondition(section == 0, "every section is closed")
    bytes.storeBytes(of: UInt64(count).littleEndian, toByteOffset: 16, as: UInt64.self)
    let raw = UnsafeRawBufferPointer(start: bytes, count: count)
    let checksum = SnapshotFormat.checksumOfHeader(raw)
    bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 28, as: UInt32.self)
    return Array(raw)
  }
}
