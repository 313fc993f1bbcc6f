import Events

/// Why bytes are not a snapshot that can be used here. A snapshot is a cache: the answer is to
/// replay the log instead.
public enum SnapshotFormatError: Error, Hashable, Sendable {
  case tooShort(needed: Int, available: Int)
  case wrongMagic(UInt32)
  case unknownVersion(section: UInt16, version: UInt16)
  case wrongKind(UInt16)
  case wrongLength(stated: UInt64, actual: Int)
  case wrongSection(expected: UInt16, found: UInt16)
  case wrongChecksum(section: UInt16)
  /// Made by another declaration of the pipeline.
  case otherPipeline(stored: UInt64, declared: UInt64)
  /// Bytes whose checksum holds but that no writer makes.
  case malformed(section: UInt16, String)
}

extension SnapshotFormatError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tooShort(let needed, let available):
      "\(needed) bytes are needed, \(available) are left"
    case .wrongMagic(let magic):
      "a snapshot starts with SCS1, this one with \(String(magic, radix: 16))"
    case .unknownVersion(let section, let version):
      "version \(version) of section \(section) is not known here; it is made anew from the log"
    case .wrongKind(let kind): "kind \(kind) is not the one that is read here"
    case .wrongLength(let stated, let actual):
      "the header states \(stated) bytes, there are \(actual)"
    case .wrongSection(let expected, let found):
      "section \(expected) is due, section \(found) is there"
    case .wrongChecksum(let section): "section \(section) does not have its checksum"
    case .otherPipeline(let stored, let declared):
      """
      the snapshot belongs to pipeline \(String(stored, radix: 16)), this one is \
      \(String(declared, radix: 16)); raise its `version` in Streams/pipelines.yaml
      """
    case .malformed(let section, let what): "section \(section): \(what)"
    }
  }
}

/// Reads a snapshot section by section. Every read is checked against the section's end.
public struct SnapshotReader: ~Copyable {
  private let bytes: [UInt8]
  private var offset = 0
  private var end = 0
  /// The section that is open, for errors; 0 for the header.
  public private(set) var section: UInt16 = 0

  public init(
    _ bytes: [UInt8], kind: SnapshotKind, pipelineHash: UInt64
  ) throws(SnapshotFormatError) {
    self.bytes = bytes
    end = min(bytes.count, SnapshotFormat.headerByteCount)
    let magic = try get(UInt32.self)
    guard magic == SnapshotFormat.magic else { throw .wrongMagic(magic) }
    let version = try get(UInt16.self)
    guard version == SnapshotFormat.version else {
      throw .unknownVersion(section: 0, version: version)
    }
    let storedKind = try get(UInt16.self)
    let stored = try get(UInt64.self)
    let length = try get(UInt64.self)
    _ = try get(UInt32.self)
    let checksum = try get(UInt32.self)
    let actual = bytes.withUnsafeBytes {
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[0..<28]))
    }
    guard checksum == actual else { throw .wrongChecksum(section: 0) }
    guard storedKind == kind.rawValue else { throw .wrongKind(storedKind) }
    guard length == UInt64(bytes.count) else {
      throw .wrongLength(stated: length, actual: bytes.count)
    }
    guard stored == pipelineHash else {
      throw .otherPipeline(stored: stored, declared: pipelineHash)
    }
  }

  /// Opens the next section, which must be this one, of this version.
  public mutating func open(section id: UInt16, version: UInt16) throws(SnapshotFormatError) {
    let start = offset
    section = id
    end = min(bytes.count, start + SnapshotFormat.sectionHeaderByteCount)
    let found = try get(UInt16.self)
    let foundVersion = try get(UInt16.self)
    let checksum = try get(UInt32.self)
    let length = try get(UInt64.self)
    guard length <= UInt64(bytes.count - offset) else {
      throw .tooShort(needed: Int(clamping: length), available: bytes.count - offset)
    }
    end = offset + Int(length)
    let last = end
    let actual = bytes.withUnsafeBytes {
      SnapshotWriter.checksum($0, section: start, end: last)
    }
    guard found == id else { throw .wrongSection(expected: id, found: found) }
    guard checksum == actual else { throw .wrongChecksum(section: id) }
    guard foundVersion == version else {
      throw .unknownVersion(section: id, version: foundVersion)
    }
  }

  public mutating func get<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(SnapshotFormatError) -> T {
    let size = MemoryLayout<T>.size
    guard end - offset >= size else { throw .tooShort(needed: size, available: end - offset) }
    let value = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    offset += size
    return T(littleEndian: value)
  }

  /// A number of elements that take at least `elementByteCount` bytes each, so that a wrong one
  /// cannot make anybody reserve memory for it.
  public mutating func getCount(elementByteCount: Int) throws(SnapshotFormatError) -> Int {
    let count = try get(UInt64.self)
    guard count <= UInt64(end - offset) / UInt64(elementByteCount) else {
      throw .tooShort(
        needed: Int(clamping: count.multipliedReportingOverflow(by: UInt64(elementByteCount)).0),
        available: end - offset)
    }
    return Int(count)
  }

  public mutating func get(byteCount: Int) throws(SnapshotFormatError) -> ArraySlice<UInt8> {
    guard byteCount >= 0, end - offset >= byteCount else {
      throw .tooShort(needed: byteCount, available: end - offset)
    }
    defer { offset += byteCount }
    return bytes[offset..<offset + byteCount]
  }

  public mutating func getText() throws(SnapshotFormatError) -> String {
    String(decoding: try get(byteCount: Int(try get(UInt16.self))), as: UTF8.self)
  }

  /// Closes the open section, which must have been read to its end.
  public mutating func close() throws(SnapshotFormatError) {
    guard offset == end else {
      throw malformed("\(end - offset) bytes are left over")
    }
  }

  /// Checks that nothing follows the last section.
  public consuming func finish() throws(SnapshotFormatError) {
    guard offset == bytes.count else {
      throw .wrongLength(stated: UInt64(offset), actual: bytes.count)
    }
  }

  public func malformed(_ what: String) -> SnapshotFormatError {
    .malformed(section: section, what)
  }
}
