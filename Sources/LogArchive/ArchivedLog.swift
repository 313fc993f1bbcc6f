import Glibc
public import Ports

/// A log whose streams begin in an archive: archive and stream read as one.
///
///     archive files            stream
///     1 ──────────── 4096 │ 4097 ──────────▶
///
/// Where both hold a frame, because a trim has archived it and not yet purged, it is read from the
/// stream, after one look whether the two are the same log. A gap between them is an error that
/// names it. Safe to use from any thread.
public final class ArchivedLog: EventLog {
  private let log: any EventLog
  private let archive: Archive

  public init(_ log: any EventLog, archive: Archive) {
    self.log = log
    self.archive = archive
  }

  public func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    ArchivedReader(log, archive: archive, stream: stream, after: after)
  }

  public func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    let seam = try ArchiveSeam(archive, log, stream: stream)
    guard sequence < seam.streamFirst, let file = seam.file(holding: sequence) else {
      return try log.frame(stream: stream, sequence: sequence)
    }
    return try archive.read { () throws(ArchiveError) in
      try archive.frame(sequence, in: file)
    }
  }

  /// From the first archived frame to the last one in the stream.
  public func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    let seam = try ArchiveSeam(archive, log, stream: stream)
    return (seam.files.first?.first ?? seam.streamFirst, seam.streamLast)
  }
}

/// Where a stream's archive ends and what the stream holds, looked at once.
struct ArchiveSeam {
  let files: [Archive.File]
  /// The first sequence in the stream; the next one to come where it is empty.
  let streamFirst: UInt64
  let streamLast: UInt64

  /// - Throws: where the archive has a gap, or is not this log's.
  init(_ archive: Archive, _ log: any EventLog, stream: String) throws(LogError) {
    let files = try archive.read { () throws(ArchiveError) in try archive.files(of: stream) }
    let bounds = try log.bounds(stream: stream)
    self.files = files
    streamFirst = max(bounds.first, 1)
    streamLast = bounds.last
    guard let last = files.last else { return }
    if last.last > bounds.last {
      throw .wentBack(stream: stream, wanted: last.last, last: bounds.last)
    }
    // A stream made anew counts from 1 again and grows past the archive's end one day.
    if last.last >= streamFirst {
      let archived = try archive.read { () throws(ArchiveError) in
        try archive.frame(last.last, in: last)
      }
      let stored = try log.frame(stream: stream, sequence: last.last)
      guard archived.isSame(as: stored) else {
        throw LogError(ArchiveError.otherLog(stream: stream, sequence: last.last))
      }
    }
  }

  func file(holding sequence: UInt64) -> Archive.File? {
    files.first { ($0.first...$0.last).contains(sequence) }
  }
}

extension Archive {
  /// One frame; reads its file from the beginning.
  func frame(_ sequence: UInt64, in file: File) throws(ArchiveError) -> ArchivedFrame {
    let reader = try ArchiveFileReader(file, folder: folder)
    while let frame = try reader.frame() {
      if frame.sequence == sequence { return frame }
    }
    throw .gap(stream: file.stream, from: sequence, to: sequence)
  }

  /// Runs `body` with the log's errors.
  func read<Value>(_ body: () throws(ArchiveError) -> Value) throws(LogError) -> Value {
    do throws(ArchiveError) {
      return try body()
    } catch {
      throw LogError(error)
    }
  }
}

extension LogError {
  init(_ error: ArchiveError) {
    switch error {
    case .gap(let stream, let from, let to):
      self = .missing(stream: stream, from: from, to: to)
    case .io, .damaged, .otherLog, .busy: self = .refused("\(error)")
    }
  }
}

extension StoredFrame {
  /// Whether sequence, stored time and every byte are those of `other`.
  func isSame(as other: any StoredFrame) -> Bool {
    sequence == other.sequence && storedAt == other.storedAt
      && bytes.count == other.bytes.count && isEqual(bytes, other.bytes)
  }

  private func isEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard let a = a.baseAddress, let other = b.baseAddress else { return true }
    return memcmp(a, other, b.count) == 0
  }
}
