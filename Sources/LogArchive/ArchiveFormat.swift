import Events

/// An archive file, byte by byte. All numbers are little-endian.
///
///     offset size
///          0    4  magic "SCA1"
///          4    2  format version, 1
///          6    2  length of the stream's name
///          8    n  the stream's name
///               8  sequence of the first record
///               4  CRC-32C of everything before it
///     then per frame, in order of sequence and without gaps:
///               4  length of the frame in bytes
///               4  CRC-32C of the rest of the record
///               8  sequence in the stream
///               8  stored time, microseconds since the epoch
///               n  the frame as the stream held it
///     at the end:
///               4  0xFFFFFFFF where a length would stand
///               4  CRC-32C of the next 16 bytes
///               8  number of records
///               4  CRC-32C of the records' CRCs in order, each as four bytes
///               4  0
///
/// The name says which frames it holds: `events-00.00000000000000000001-00000000000000004096.sca`.
/// A file is complete or it is not there: it is written under a name that begins with a dot,
/// synced, and renamed. Files of a stream follow one another without a gap.
enum ArchiveFormat {
  static let magic: UInt32 = 0x3141_4353
  static let version: UInt16 = 1
  static let recordHeadByteCount = 24
  static let endMark = UInt32.max
  static let suffix = ".sca"
  private static let digits = 20

  static func name(stream: String, first: UInt64, last: UInt64) -> String {
    "\(stream).\(padded(first))-\(padded(last))\(suffix)"
  }

  /// The stream and the sequences that a file's name states; nil for other files.
  static func parse(name: String) -> (stream: String, first: UInt64, last: UInt64)? {
    guard name.hasSuffix(suffix) else { return nil }
    let stem = name.dropLast(suffix.count)
    guard let dot = stem.lastIndex(of: "."), dot != stem.startIndex else { return nil }
    let ends = stem[stem.index(after: dot)...].split(separator: "-")
    guard ends.count == 2, ends.allSatisfy({ $0.count == digits }), let first = UInt64(ends[0]),
      let last = UInt64(ends[1]), 0 < first, first <= last
    else { return nil }
    return (String(stem[..<dot]), first, last)
  }

  private static func padded(_ sequence: UInt64) -> String {
    let text = String(sequence)
    return String(repeating: "0", count: digits - text.count) + text
  }

  static func header(stream: String, first: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    put(magic, to: &bytes)
    put(version, to: &bytes)
    put(UInt16(stream.utf8.count), to: &bytes)
    bytes.append(contentsOf: stream.utf8)
    put(first, to: &bytes)
    put(bytes.withUnsafeBytes { CRC32C.checksum($0) }, to: &bytes)
    return bytes
  }

  /// - Returns: the head of a record, and its checksum.
  static func recordHead(
    sequence: UInt64, storedAt: Int64, frame: UnsafeRawBufferPointer
  ) -> (bytes: [UInt8], checksum: UInt32) {
    var place: [UInt8] = []
    put(sequence, to: &place)
    put(storedAt, to: &place)
    let checksum = CRC32C.checksum(frame, seed: place.withUnsafeBytes { CRC32C.checksum($0) })
    var bytes: [UInt8] = []
    put(UInt32(frame.count), to: &bytes)
    put(checksum, to: &bytes)
    return (bytes + place, checksum)
  }

  static func end(count: UInt64, checksum: UInt32) -> [UInt8] {
    var totals: [UInt8] = []
    put(count, to: &totals)
    put(checksum, to: &totals)
    put(UInt32(0), to: &totals)
    var bytes: [UInt8] = []
    put(endMark, to: &bytes)
    put(totals.withUnsafeBytes { CRC32C.checksum($0) }, to: &bytes)
    return bytes + totals
  }

  /// The running checksum of the file's records.
  static func add(_ checksum: UInt32, to total: UInt32) -> UInt32 {
    withUnsafeBytes(of: checksum.littleEndian) { CRC32C.checksum($0, seed: total) }
  }

  static func put<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  static func load<T: FixedWidthInteger>(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int, as type: T.Type = T.self
  ) -> T {
    T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
  }
}
