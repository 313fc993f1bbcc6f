import Events
import Glibc

/// One file of a ``Spool``: frames that wait for the log, one behind the other. Numbers are little-endian.
///
///     offset size
///          0    8  magic "SCSPOOL1"
///     and each record:
///          0    4  its length in bytes, this head included
///          4    4  CRC-32C of bytes 0 to 3 and of all from byte 12 on
///          8    4  state: 1 is drained, anything else waits; changed in place
///         12    8  when it was written, microseconds since the epoch
///         20    2  length of the stream's name
///         22    2  length of the message id
///         24       stream, message id, frame
///
/// A crash leaves whole records and at most one that is torn, which was never acknowledged. The state is
/// not synced: after a power cut a drained frame may be sent once more, with its old message id. What a disk has
/// damaged is passed over; whole records behind it are kept.
final class SpoolSegment {
  static let magic = Array("SCSPOOL1".utf8)
  static let headByteCount = 24
  private static let drainedState = UInt32(1).littleEndian
  static let suffix = ".spool"

  /// Where a record is.
  struct Record {
    let offset: Int
    let byteCount: Int
    let writtenAt: Int64
  }

  /// What a record holds.
  struct Content {
    let stream: String
    let messageID: String
    let frame: [UInt8]
  }

  /// What was found in a file of an earlier process.
  struct Findings {
    /// Records that wait, with their streams.
    var waiting: [(stream: String, record: Record)] = []
    /// Stretches before the last whole record that hold none.
    var damagedCount = 0
    /// Bytes at the end that are no record.
    var tornByteCount = 0
  }

  let number: UInt64
  let path: String
  private let file: Int32
  private(set) var byteCount: Int
  /// Records that are not drained.
  var waitingCount = 0

  private init(number: UInt64, path: String, file: Int32, byteCount: Int) {
    self.number = number
    self.path = path
    self.file = file
    self.byteCount = byteCount
  }

  deinit { close(file) }

  static func path(_ folder: String, _ number: UInt64) -> String {
    let digits = String(number)
    return "\(folder)/\(String(repeating: "0", count: max(0, 12 - digits.count)))\(digits)\(suffix)"
  }

  static func create(folder: String, number: UInt64) throws(SpoolError) -> SpoolSegment {
    let path = path(folder, number)
    let file = Glibc.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("make", path) }
    let segment = SpoolSegment(number: number, path: path, file: file, byteCount: 0)
    try segment.write(magic)
    return segment
  }

  /// Opens a file that an earlier process left, and cuts a torn end off.
  static func open(
    path: String, number: UInt64
  ) throws(SpoolError) -> (segment: SpoolSegment, findings: Findings) {
    let file = Glibc.open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else { throw failure("open", path) }
    var status = stat()
    guard fstat(file, &status) == 0 else {
      let error = failure("look at", path)
      close(file)
      throw error
    }
    let segment = SpoolSegment(
      number: number, path: path, file: file, byteCount: Int(status.st_size))
    let bytes = try segment.read(0, segment.byteCount)
    let (findings, end) = bytes.withUnsafeBytes { scan($0) }
    if end < segment.byteCount {
      guard ftruncate(file, end) == 0 else { throw failure("cut", path) }
      segment.byteCount = end
    }
    segment.waitingCount = findings.waiting.count
    return (segment, findings)
  }

  /// Damage is passed over up to the next whole record: behind a wrong length, too, one is found by its form
  /// and its checksum.
  ///
  /// - Returns: what was found, and where the last whole record ends.
  static func scan(_ bytes: UnsafeRawBufferPointer) -> (findings: Findings, end: Int) {
    var findings = Findings()
    var end = 0
    var offset = magic.count
    if bytes.prefix(magic.count).elementsEqual(magic) {
      end = magic.count
    } else if let first = nextRecord(in: bytes, from: 0) {
      findings.damagedCount = 1
      offset = first
    }
    while offset < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      guard let length = wholeLength(of: rest) else {
        guard let next = nextRecord(in: bytes, from: offset + 1) else { break }
        findings.damagedCount += 1
        offset = next
        continue
      }
      let record = UnsafeRawBufferPointer(rebasing: rest[..<length])
      if record.loadUnaligned(fromByteOffset: 8, as: UInt32.self) != drainedState {
        findings.waiting.append(
          (
            parts(record).stream,
            Record(
              offset: offset, byteCount: length,
              writtenAt: Int64(
                littleEndian: record.loadUnaligned(fromByteOffset: 12, as: Int64.self)))
          ))
      }
      offset += length
      end = offset
    }
    findings.tornByteCount = bytes.count - end
    return (findings, end)
  }

  /// Where the first whole record at or behind `start` begins. Costs one pass, and a checksum where bytes
  /// happen to look like the head of a record.
  private static func nextRecord(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard bytes.count >= headByteCount else { return nil }
    for offset in start...max(start, bytes.count - headByteCount) {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
      guard rest.count >= headByteCount else { return nil }
      let state = UInt32(littleEndian: rest.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
      if state <= 1, wholeLength(of: rest) != nil { return offset }
    }
    return nil
  }

  private static func wholeLength(of rest: UnsafeRawBufferPointer) -> Int? {
    guard let length = length(of: rest) else { return nil }
    return isWhole(UnsafeRawBufferPointer(rebasing: rest[..<length])) ? length : nil
  }

  private static func length(of rest: UnsafeRawBufferPointer) -> Int? {
    guard rest.count >= headByteCount else { return nil }
    let length = Int(UInt32(littleEndian: rest.loadUnaligned(as: UInt32.self)))
    guard (headByteCount...rest.count).contains(length) else { return nil }
    let names =
      Int(UInt16(littleEndian: rest.loadUnaligned(fromByteOffset: 20, as: UInt16.self)))
      + Int(UInt16(littleEndian: rest.loadUnaligned(fromByteOffset: 22, as: UInt16.self)))
    return headByteCount + names <= length ? length : nil
  }

  private static func isWhole(_ record: UnsafeRawBufferPointer) -> Bool {
    UInt32(littleEndian: record.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
      == checksum(record)
  }

  static func checksum(_ record: UnsafeRawBufferPointer) -> UInt32 {
    CRC32C.checksum(
      UnsafeRawBufferPointer(rebasing: record[12...]),
      seed: CRC32C.checksum(UnsafeRawBufferPointer(rebasing: record[..<4])))
  }

  /// - Returns: nil where the bytes are not one whole record.
  static func content(_ bytes: UnsafeRawBufferPointer) -> Content? {
    length(of: bytes) == bytes.count && isWhole(bytes) ? parts(bytes) : nil
  }

  private static func parts(_ record: UnsafeRawBufferPointer) -> Content {
    let stream = Int(
      UInt16(littleEndian: record.loadUnaligned(fromByteOffset: 20, as: UInt16.self)))
    let id = Int(UInt16(littleEndian: record.loadUnaligned(fromByteOffset: 22, as: UInt16.self)))
    let frame = headByteCount + stream + id
    return Content(
      stream: String(decoding: record[headByteCount..<headByteCount + stream], as: UTF8.self),
      messageID: String(decoding: record[headByteCount + stream..<frame], as: UTF8.self),
      frame: Array(record[frame...]))
  }

  /// The bytes of a record.
  static func encode(_ content: Content, writtenAt: Int64) -> [UInt8] {
    let stream = Array(content.stream.utf8)
    let id = Array(content.messageID.utf8)
    var bytes = [UInt8](repeating: 0, count: headByteCount)
    bytes.reserveCapacity(headByteCount + stream.count + id.count + content.frame.count)
    bytes += stream
    bytes += id
    bytes += content.frame
    let length = UInt32(bytes.count)
    bytes.withUnsafeMutableBytes { bytes in
      bytes.storeBytes(of: length.littleEndian, as: UInt32.self)
      bytes.storeBytes(of: writtenAt.littleEndian, toByteOffset: 12, as: Int64.self)
      bytes.storeBytes(of: UInt16(stream.count).littleEndian, toByteOffset: 20, as: UInt16.self)
      bytes.storeBytes(of: UInt16(id.count).littleEndian, toByteOffset: 22, as: UInt16.self)
      let checksum = checksum(UnsafeRawBufferPointer(bytes))
      bytes.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    }
    return bytes
  }

  // MARK: Records

  /// Writes a record at the end; it is durable after ``sync()``.
  func append(_ bytes: [UInt8], writtenAt: Int64) throws(SpoolError) -> Record {
    let record = Record(offset: byteCount, byteCount: bytes.count, writtenAt: writtenAt)
    try write(bytes)
    waitingCount += 1
    return record
  }

  func sync() throws(SpoolError) {
    if fdatasync(file) != 0 { throw Self.failure("sync", path) }
  }

  /// Takes back what was appended behind `end`: `count` records.
  func takeBack(to end: Int, records count: Int) {
    byteCount = end
    waitingCount -= count
    // Where even this fails, the records are whole or torn, and nobody was told that they are stored.
    _ = ftruncate(file, end)
  }

  /// - Returns: nil where the bytes are not those that were written.
  func content(of record: Record) throws(SpoolError) -> Content? {
    let bytes = try read(record.offset, record.byteCount)
    return bytes.withUnsafeBytes { Self.content($0) }
  }

  /// The record is not sent again after a restart.
  func markDrained(_ record: Record) throws(SpoolError) {
    waitingCount -= 1
    var state = Self.drainedState
    guard pwrite(file, &state, 4, record.offset + 8) == 4 else {
      throw Self.failure("write", path)
    }
  }

  func remove() throws(SpoolError) {
    if unlink(path) != 0 && errno != ENOENT { throw Self.failure("remove", path) }
  }

  // MARK: Bytes

  private func write(_ bytes: [UInt8]) throws(SpoolError) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        pwrite(
          file, buffer.baseAddress.map { $0 + written }, bytes.count - written,
          byteCount + written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let error = Self.failure("write", path)
        _ = ftruncate(file, byteCount)
        throw error
      }
      written += count
    }
    byteCount += bytes.count
  }

  private func read(_ offset: Int, _ count: Int) throws(SpoolError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes { buffer in
        pread(file, buffer.baseAddress.map { $0 + done }, count - done, offset + done)
      }
      if got < 0 && errno == EINTR { continue }
      guard got > 0 else {
        if got == 0 {
          throw .file(operation: "read", path: path, reason: "it is shorter than it was")
        }
        throw Self.failure("read", path)
      }
      done += got
    }
    return bytes
  }

  static func failure(_ operation: String, _ path: String) -> SpoolError {
    .file(operation: operation, path: path, reason: String(cString: strerror(errno)))
  }
}
