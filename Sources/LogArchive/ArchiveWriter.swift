import Glibc
import Ports

/// Writes one archive file: whole and durable under its name, or not at all.
///
/// Confined to one thread.
final class ArchiveWriter {
  /// Names of files that are not complete begin with it.
  static let unfinished = ".unfinished-"

  private let folder: String
  private let path: String
  private let file: Int32
  private let stream: String
  private let first: UInt64
  private var last: UInt64
  private var count: UInt64 = 0
  private var checksum: UInt32 = 0
  private var buffer: [UInt8]
  private var isFinished = false
  /// Bytes of records so far.
  private(set) var byteCount = 0

  init(folder: String, stream: String, first: UInt64) throws(ArchiveError) {
    self.folder = folder
    self.stream = stream
    self.first = first
    last = first - 1
    path = folder + "/" + Self.unfinished + stream
    buffer = ArchiveFormat.header(stream: stream, first: first)
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw ArchiveFiles.failure("create", path) }
  }

  deinit {
    close(file)
    if !isFinished { unlink(path) }
  }

  func append(_ frame: any StoredFrame) throws(ArchiveError) {
    precondition(frame.sequence == last + 1, "frames are archived in order, without gaps")
    let head = ArchiveFormat.recordHead(
      sequence: frame.sequence, storedAt: frame.storedAt, frame: frame.bytes)
    checksum = ArchiveFormat.add(head.checksum, to: checksum)
    buffer.append(contentsOf: head.bytes)
    buffer.append(contentsOf: frame.bytes)
    byteCount += head.bytes.count + frame.bytes.count
    last = frame.sequence
    count += 1
    if buffer.count >= 1 << 20 { try flush() }
  }

  /// Syncs the file, gives it its name, and syncs the folder.
  func finish() throws(ArchiveError) -> Archive.File {
    precondition(count > 0, "an archive file has frames")
    buffer.append(contentsOf: ArchiveFormat.end(count: count, checksum: checksum))
    try flush()
    if fsync(file) != 0 { throw ArchiveFiles.failure("sync", path) }
    // What is verified next is to come from the disk.
    _ = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
    let made = Archive.File(stream: stream, first: first, last: last)
    guard rename(path, folder + "/" + made.name) == 0 else {
      throw ArchiveFiles.failure("rename", path)
    }
    isFinished = true
    try ArchiveFiles.syncFolder(folder)
    return made
  }

  private func flush() throws(ArchiveError) {
    var failure: ArchiveError?
    buffer.withUnsafeBytes { bytes in
      do throws(ArchiveError) {
        try ArchiveFiles.write(file, bytes, path)
      } catch {
        failure = error
      }
    }
    buffer.removeAll(keepingCapacity: true)
    if let failure { throw failure }
  }
}
