import Glibc
public import Ports

/// Moves the beginning of streams into an archive.
///
///     write a file -> sync, rename -> read it back beside the log -> purge up to its last frame
///
/// Every step may be the last one before a crash: an unfinished file is written anew, a finished one
/// that was not purged is compared with the stream again. A frame leaves the stream only after it was
/// read back from the archive and found equal, and the last frame of a stream never does.
public final class LogTrim {
  /// What a trim of one stream did.
  public struct Report: Hashable, Sendable {
    public var stream: String
    /// Frames that are in the archive and no longer in the stream because of this trim.
    public var frameCount: UInt64 = 0
    public var byteCount = 0
    /// The first frame that the stream holds now.
    public var first: UInt64 = 0
    public var last: UInt64 = 0
  }

  private let archive: Archive
  private let log: any EventLog
  private let purge: (_ stream: String, _ keepFrom: UInt64) throws(LogError) -> Void
  /// A file is closed when its records have so many bytes.
  private let fileBytesMax: Int
  private let lock: Int32

  /// Takes the archive for writing, making its folder if need be.
  ///
  /// - Parameter purge: removes the frames before `keepFrom` from the stream.
  /// - Throws: `busy` where another process has it.
  public init(
    archive: Archive, log: any EventLog, fileBytesMax: Int = 64 << 20,
    purge: @escaping (_ stream: String, _ keepFrom: UInt64) throws(LogError) -> Void
  ) throws(ArchiveError) {
    self.archive = archive
    self.log = log
    self.fileBytesMax = fileBytesMax
    self.purge = purge
    try ArchiveFiles.makeFolder(archive.folder)
    let path = archive.folder + "/.lock"
    let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw ArchiveFiles.failure("open", path) }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      close(file)
      throw .busy(folder: archive.folder)
    }
    lock = file
  }

  deinit { close(lock) }

  /// Archives and purges the frames of `stream` that were stored before `before`, microseconds
  /// since the epoch, and are at or before `notAfter`: the longest such run from its beginning.
  ///
  /// - Parameter progress: called after each file with what was done so far.
  public func run(
    stream: String, before: Int64, notAfter: UInt64, progress: (Report) -> Void = { _ in }
  ) throws(LogError) -> Report {
    let seam = try ArchiveSeam(archive, log, stream: stream)
    var report = Report(stream: stream, first: seam.streamFirst, last: seam.streamLast)
    if let archived = seam.files.last?.last, archived + 1 < seam.streamFirst {
      throw .missing(stream: stream, from: archived + 1, to: seam.streamFirst - 1)
    }
    let end = min(notAfter, seam.streamLast > 0 ? seam.streamLast - 1 : 0)
    // What an earlier trim left in both is compared before it is purged.
    for file in seam.files where file.last >= seam.streamFirst {
      let last = try compare(file, before: before, end: end, &report)
      try remove(upTo: last, &report)
      progress(report)
      if last < file.last { return report }
    }
    let reader = try log.reader(stream: stream, after: report.first - 1)
    var writer: ArchiveWriter?
    var position = report.first - 1
    reading: while position < end {
      for frame in try reader.next(timeoutMs: 1_000) {
        guard frame.sequence <= end, frame.storedAt < before else { break reading }
        try archive.read { () throws(ArchiveError) in
          if writer == nil {
            writer = try ArchiveWriter(
              folder: archive.folder, stream: stream, first: frame.sequence)
          }
          try writer?.append(frame)
        }
        position = frame.sequence
        if let full = writer, full.byteCount >= fileBytesMax {
          writer = nil
          try finish(full, before: before, end: end, &report)
          progress(report)
        }
      }
    }
    if let writer {
      try finish(writer, before: before, end: end, &report)
      progress(report)
    }
    return report
  }

  private func finish(
    _ writer: ArchiveWriter, before: Int64, end: UInt64, _ report: inout Report
  ) throws(LogError) {
    let file = try archive.read { () throws(ArchiveError) in try writer.finish() }
    try remove(upTo: try compare(file, before: before, end: end, &report), &report)
  }

  /// Reads a file back beside the stream.
  ///
  /// - Returns: the last frame that may be purged; the one before the stream's first where none may.
  private func compare(
    _ file: Archive.File, before: Int64, end: UInt64, _ report: inout Report
  ) throws(LogError) -> UInt64 {
    let archived = try archive.read { () throws(ArchiveError) in
      try ArchiveFileReader(file, folder: archive.folder)
    }
    let reader = try log.reader(stream: file.stream, after: report.first - 1)
    var stored: [any StoredFrame] = []
    var next = 0
    var last = report.first - 1
    var isPurged = true
    while let frame = try archive.read({ () throws(ArchiveError) in try archived.frame() }) {
      if frame.sequence < report.first { continue }
      while next == stored.count {
        stored = try reader.next(timeoutMs: 1_000)
        next = 0
      }
      guard frame.isSame(as: stored[next]) else {
        throw LogError(.otherLog(stream: file.stream, sequence: frame.sequence))
      }
      next += 1
      // The whole file is compared, even where not all of it is purged.
      isPurged = isPurged && frame.sequence <= end && frame.storedAt < before
      if isPurged {
        last = frame.sequence
        report.byteCount += frame.bytes.count
      }
    }
    return last
  }

  private func remove(upTo last: UInt64, _ report: inout Report) throws(LogError) {
    guard last >= report.first else { return }
    try purge(report.stream, last + 1)
    let bounds = try log.bounds(stream: report.stream)
    guard bounds.first == last + 1 else {
      throw .refused(
        "\(report.stream) begins with frame \(bounds.first) after it was purged up to \(last)")
    }
    report.frameCount += last + 1 - report.first
    report.first = last + 1
  }
}
