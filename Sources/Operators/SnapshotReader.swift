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
    case .wrongKind(let kind): "kind \(kind) is not the one that is due here"
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

/// Reads a snapshot section by section; see ``SnapshotFormat``. Every read is checked against the
/// section's end.
public struct SnapshotReader: ~Copyable {
  @usableFromInline let bytes: [UInt8]
  @usableFromInline var offset = SnapshotFormat.headerByteCount
  @usableFromInline var end = SnapshotFormat.headerByteCount
  public let kind: SnapshotKind
  /// The section that is open, for errors; 0 for the header.
  public private(set) var section: UInt16 = 0

  /// Checks all checksums.
  ///
  /// - Parameter pipelineHash: of the declaration that the snapshot must have been made by.
  public init(_ bytes: [UInt8], pipelineHash: UInt64) throws(SnapshotFormatError) {
    let header = try SnapshotFormat.check(bytes[...])
    guard header.byteCount == bytes.count else {
      throw .wrongLength(stated: UInt64(header.byteCount), actual: bytes.count)
    }
    guard header.pipelineHash == pipelineHash else {
      throw .otherPipeline(stored: header.pipelineHash, declared: pipelineHash)
    }
    kind = header.kind
    self.bytes = bytes
  }

  /// Opens the next section, which must be this one, of this version.
  public mutating func open(section id: UInt16, version: UInt16) throws(SnapshotFormatError) {
    guard try openAny() == id else { throw .wrongSection(expected: id, found: section) }
    section = id
    let found = try get(UInt16.self)
    offset += 12
    guard found == version else { throw .unknownVersion(section: id, version: found) }
  }

  /// Passes over the next section, which must be this one.
  public mutating func skip(section id: UInt16) throws(SnapshotFormatError) {
    guard try openAny() == id else { throw .wrongSection(expected: id, found: section) }
    offset = end
  }

  /// - Returns: the next section's id; what follows in its header is next.
  private mutating func openAny() throws(SnapshotFormatError) -> UInt16 {
    end = bytes.count
    let start = offset
    let header = SnapshotFormat.sectionHeaderByteCount
    guard end - start >= header else { throw .tooShort(needed: header, available: end - start) }
    section = try get(UInt16.self)
    let length = bytes.withUnsafeBytes {
      UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: start + 8, as: UInt64.self))
    }
    end = start + header + Int(length)
    return section
  }

  @inlinable
  public mutating func get<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(SnapshotFormatError) -> T {
    let size = MemoryLayout<T>.size
    guard end - offset >= size else { throw .tooShort(needed: size, available: end - offset) }
    let value = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    offset += size
    return T(littleEndian: value)
  }

  /// What ``SnapshotWriter/put(varint:)`` wrote, in its shortest form.
  @inlinable
  public mutating func getVarint() throws(SnapshotFormatError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      guard offset < end else { throw .tooShort(needed: 1, available: 0) }
      let byte = bytes[offset]
      offset &+= 1
      guard shift < 63 || byte <= 1, byte != 0 || shift == 0 else {
        throw malformed("a number is not in its shortest form, or too large")
      }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
      shift &+= 7
    }
  }

  /// What ``SnapshotWriter/put(zigzag:)`` wrote.
  @inlinable
  public mutating func getZigzag() throws(SnapshotFormatError) -> Int64 {
    let value = try getVarint()
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
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

  /// Passes over the rest of the open section.
  public mutating func leave() { offset = end }

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
