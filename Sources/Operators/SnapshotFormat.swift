import Events

/// What a snapshot holds; part of its header.
public enum SnapshotKind: UInt16, Sendable {
  /// Everything, at one frame.
  case base = 1
  /// What frames after a base or another increment have changed.
  case increment = 2
}

/// The frame of a snapshot: 32 bytes of header, then sections. Numbers are little-endian.
///
///     offset size
///          0    4  magic "SCS1"
///          4    2  format version, 2
///          6    2  kind
///          8    8  hash of the pipeline's declaration
///         16    8  length of everything in bytes
///         24    4  reserved, 0
///         28    4  CRC-32C of the 28 bytes before
///
/// Each section: id (2), version (2), CRC-32C of id, version, length and body (4), length of the
/// body (8), body. Sections have a fixed order.
public enum SnapshotFormat {
  static let magic: UInt32 = 0x3153_4353
  static let version: UInt16 = 2
  static let headerByteCount = 32
  static let sectionHeaderByteCount = 16

  /// What a snapshot's header says.
  public struct Header: Hashable, Sendable {
    public var kind: SnapshotKind
    public var pipelineHash: UInt64
    /// Of the whole snapshot, its header included.
    public var byteCount: Int
  }

  /// Checks the snapshot that `bytes` start with: header, length and the checksum of every section,
  /// not what they hold. Other snapshots may follow it.
  public static func check(_ bytes: ArraySlice<UInt8>) throws(SnapshotFormatError) -> Header {
    var result: Result<Header, SnapshotFormatError> = .failure(.wrongMagic(0))
    bytes.withUnsafeBytes { raw in
      do throws(SnapshotFormatError) {
        result = .success(try check(raw))
      } catch {
        result = .failure(error)
      }
    }
    return try result.get()
  }

  private static func check(
    _ bytes: UnsafeRawBufferPointer
  ) throws(SnapshotFormatError) -> Header {
    let header = try header(bytes)
    let length = header.byteCount
    var offset = headerByteCount
    while offset < length {
      guard length - offset >= sectionHeaderByteCount else {
        throw .tooShort(needed: sectionHeaderByteCount, available: length - offset)
      }
      let id = load(bytes, offset, UInt16.self)
      let checksum = load(bytes, offset + 4, UInt32.self)
      let bodyCount = load(bytes, offset + 8, UInt64.self)
      let available = length - offset - sectionHeaderByteCount
      guard bodyCount <= UInt64(available) else {
        throw .tooShort(needed: Int(clamping: bodyCount), available: available)
      }
      let end = offset + sectionHeaderByteCount + Int(bodyCount)
      guard checksum == Self.checksum(bytes, section: offset, end: end) else {
        throw .wrongChecksum(section: id)
      }
      offset = end
    }
    return header
  }

  private static func header(
    _ bytes: UnsafeRawBufferPointer
  ) throws(SnapshotFormatError) -> Header {
    guard bytes.count >= headerByteCount else {
      throw .tooShort(needed: headerByteCount, available: bytes.count)
    }
    let magic = load(bytes, 0, UInt32.self)
    guard magic == Self.magic else { throw .wrongMagic(magic) }
    let version = load(bytes, 4, UInt16.self)
    guard version == Self.version else { throw .unknownVersion(section: 0, version: version) }
    guard load(bytes, 28, UInt32.self) == checksumOfHeader(bytes) else {
      throw .wrongChecksum(section: 0)
    }
    let kind = load(bytes, 6, UInt16.self)
    guard let known = SnapshotKind(rawValue: kind) else { throw .wrongKind(kind) }
    let length = load(bytes, 16, UInt64.self)
    guard length >= UInt64(headerByteCount), length <= UInt64(bytes.count) else {
      throw .wrongLength(stated: length, actual: bytes.count)
    }
    return Header(
      kind: known, pipelineHash: load(bytes, 8, UInt64.self), byteCount: Int(length))
  }

  static func checksumOfHeader(_ raw: UnsafeRawBufferPointer) -> UInt32 {
    CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[0..<28]))
  }

  static func checksum(_ raw: UnsafeRawBufferPointer, section: Int, end: Int) -> UInt32 {
    let names = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[section..<section + 4]))
    return CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: raw[section + 8..<end]), seed: names)
  }

  private static func load<T: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ type: T.Type
  ) -> T {
    T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
  }
}
