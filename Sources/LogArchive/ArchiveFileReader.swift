import Events
import Glibc

/// Reads one archive file from its beginning, checking every record and, at its end, the file.
///
/// Confined to one thread; holds one frame at a time.
final class ArchiveFileReader {
  private let file: Int32
  private let path: String
  private let stated: Archive.File
  private var next: UInt64
  private var count: UInt64 = 0
  private var checksum: UInt32 = 0
  private var hasEnded = false

  /// Opens the file and checks its header.
  init(_ stated: Archive.File, folder: String) throws(ArchiveError) {
    self.stated = stated
    path = folder + "/" + stated.name
    next = stated.first
    file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw ArchiveFiles.failure("open", path) }
    let expected = ArchiveFormat.header(stream: stated.stream, first: stated.first)
    guard try read(expected.count) == expected else {
      throw damaged("its header is not that of \(stated.stream) from frame \(stated.first)")
    }
  }

  deinit { close(file) }

  /// The next frame, or nil at the file's end, which is then checked too.
  func frame() throws(ArchiveError) -> ArchivedFrame? {
    guard !hasEnded else { return nil }
    let head = try read(8)
    guard head.count == 8 else { throw damaged("it ends before frame \(next)") }
    let (length, crc) = head.withUnsafeBytes {
      (ArchiveFormat.load($0, 0, as: UInt32.self), ArchiveFormat.load($0, 4, as: UInt32.self))
    }
    if length == ArchiveFormat.endMark {
      try checkEnd(crc)
      return nil
    }
    let place = try read(16)
    guard place.count == 16 else { throw damaged("it ends within frame \(next)") }
    let (sequence, storedAt) = place.withUnsafeBytes {
      (ArchiveFormat.load($0, 0, as: UInt64.self), ArchiveFormat.load($0, 8, as: Int64.self))
    }
    guard sequence == next, sequence <= stated.last, length <= Self.frameBytesMax else {
      throw damaged("where frame \(next) should stand is no such record")
    }
    let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(length), alignment: 8)
    let frame = ArchivedFrame(sequence: sequence, storedAt: storedAt, storage: storage)
    guard try ArchiveFiles.read(file, into: storage, path) == storage.count else {
      throw damaged("it ends within frame \(next)")
    }
    let actual = CRC32C.checksum(
      frame.bytes, seed: place.withUnsafeBytes { CRC32C.checksum($0) })
    guard actual == crc else { throw damaged("frame \(next) has another checksum") }
    checksum = ArchiveFormat.add(crc, to: checksum)
    count += 1
    next += 1
    return frame
  }

  /// No message of a log is larger than this; a longer one is a damaged length.
  private static let frameBytesMax: UInt32 = 64 << 20

  private func checkEnd(_ crc: UInt32) throws(ArchiveError) {
    let totals = try read(16)
    guard totals.count == 16, totals.withUnsafeBytes({ CRC32C.checksum($0) }) == crc,
      totals.withUnsafeBytes({ ArchiveFormat.load($0, 0, as: UInt64.self) }) == count,
      totals.withUnsafeBytes({ ArchiveFormat.load($0, 8, as: UInt32.self) }) == checksum,
      next == stated.last + 1, try read(1).isEmpty
    else { throw damaged("its end does not fit its records") }
    hasEnded = true
  }

  private func read(_ count: Int) throws(ArchiveError) -> [UInt8] {
    var failure: ArchiveError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(ArchiveError) {
        initialized = try ArchiveFiles.read(file, into: UnsafeMutableRawBufferPointer(buffer), path)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  private func damaged(_ reason: String) -> ArchiveError {
    .damaged(file: stated.name, reason: reason)
  }
}
