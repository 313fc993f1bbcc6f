import Events

/// What a snapshot holds; part of its header.
public enum SnapshotKind: UInt16, Sendable {
  /// State of a whole partition.
  case head = 1
  /// State of one key group.
  case group = 2
}

/// The frame of a snapshot: 32 bytes of header, then sections. Numbers are little-endian.
///
///     offset size
///          0    4  magic "SCS1"
///          4    2  format version, 1
///          6    2  kind
///          8    8  hash of the pipeline's declaration
///         16    8  length of everything in bytes
///         24    4  reserved, 0
///         28    4  CRC-32C of the 28 bytes before
///
/// Each section: id (2), version (2), CRC-32C of id, version, length and body (4), length of the
/// body (8), body. Sections have a fixed order.
enum SnapshotFormat {
  static let magic: UInt32 = 0x3153_4353
  static let version: UInt16 = 1
  static let headerByteCount = 32
  static let sectionHeaderByteCount = 16
}

/// Writes a snapshot section by section.
public struct SnapshotWriter: ~Copyable {
  private var bytes: [UInt8] = []
  /// Where the open section's header starts; 0 while none is open.
  private var section = 0

  public init(kind: SnapshotKind, pipelineHash: UInt64) {
    put(SnapshotFormat.magic)
    put(SnapshotFormat.version)
    put(kind.rawValue)
    put(pipelineHash)
    put(UInt64(0))
    put(UInt32(0))
    put(UInt32(0))
  }

  /// Opens a section.
  ///
  /// - Precondition: none is open.
  public mutating func begin(section id: UInt16, version: UInt16) {
    precondition(section == 0, "a snapshot's sections are not nested")
    section = bytes.count
    put(id)
    put(version)
    put(UInt32(0))
    put(UInt64(0))
  }

  public mutating func reserve(_ byteCount: Int) {
    bytes.reserveCapacity(bytes.count + byteCount)
  }

  public mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func put(_ raw: UnsafeRawBufferPointer) { bytes.append(contentsOf: raw) }

  /// A text of at most 65,535 bytes with its length before it.
  public mutating func put(text: String) {
    let utf8 = Array(text.utf8.prefix(Int(UInt16.max)))
    put(UInt16(utf8.count))
    bytes.append(contentsOf: utf8)
  }

  /// Closes the open section.
  public mutating func end() {
    precondition(section != 0, "a section is open")
    let start = section
    let length = UInt64(bytes.count - start - SnapshotFormat.sectionHeaderByteCount)
    bytes.withUnsafeMutableBytes { raw in
      raw.storeBytes(of: length.littleEndian, toByteOffset: start + 8, as: UInt64.self)
      let checksum = Self.checksum(UnsafeRawBufferPointer(raw), section: start, end: raw.count)
      raw.storeBytes(of: checksum.littleEndian, toByteOffset: start + 4, as: UInt32.self)
    }
    section = 0
  }

  public consuming func finish() -> [UInt8] {
    precondition(section == 0, "every section is closed")
    let length = UInt64(bytes.count)
    bytes.withUnsafeMutableBytes { raw in
      raw.storeBytes(of: length.littleEndian, toByteOffset: 16, as: UInt64.self)
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[0..<28]))
      raw.storeBytes(of: checksum.littleEndian, toByteOffset: 28, as: UInt32.self)
    }
    return bytes
  }

  static func checksum(_ raw: UnsafeRawBufferPointer, section: Int, end: Int) -> UInt32 {
    let names = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[section..<section + 4]))
    return CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: raw[section + 8..<end]), seed: names)
  }
}
