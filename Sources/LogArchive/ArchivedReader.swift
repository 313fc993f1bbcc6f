import Ports

/// Reads a stream from its archive on, then from the stream itself, as one.
///
/// Between two batches it may find that a trim has moved what it was about to read from the stream
/// into the archive; then it goes on there. Confined to one thread.
final class ArchivedReader: FrameReader {
  /// One batch has at most so many frames and, but for its last frame, bytes.
  private static let framesMax = 1_024
  private static let bytesMax = 4 << 20

  private enum Source {
    /// Not looked at yet.
    case unknown
    case file(ArchiveFileReader, Archive.File)
    case stream(any FrameReader)
  }

  private let log: any EventLog
  private let archive: Archive
  private let stream: String
  private var source = Source.unknown
  /// The last frame handed out.
  private var position: UInt64
  private(set) var lastKnownSequence: UInt64

  init(_ log: any EventLog, archive: Archive, stream: String, after: UInt64) {
    self.log = log
    self.archive = archive
    self.stream = stream
    position = after
    lastKnownSequence = after
  }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    while true {
      switch source {
      case .unknown: try open()
      case .file(let reader, let file):
        let frames = try batch(reader)
        if position >= file.last { source = .unknown }
        if !frames.isEmpty { return frames }
      case .stream(let reader):
        do throws(LogError) {
          let frames = try reader.next(timeoutMs: timeoutMs)
          if let last = frames.last { position = last.sequence }
          lastKnownSequence = max(lastKnownSequence, reader.lastKnownSequence)
          return frames
        } catch .missing(let stream, let from, let to) {
          let files = try archive.read { () throws(ArchiveError) in
            try archive.files(of: stream)
          }
          guard files.contains(where: { ($0.first...$0.last).contains(position + 1) }) else {
            throw .missing(stream: stream, from: from, to: to)
          }
          source = .unknown
        } catch {
          throw error
        }
      }
    }
  }

  private func open() throws(LogError) {
    let seam = try ArchiveSeam(archive, log, stream: stream)
    lastKnownSequence = max(lastKnownSequence, seam.streamLast)
    let wanted = position + 1
    if wanted >= seam.streamFirst || position >= seam.streamLast {
      source = .stream(try log.reader(stream: stream, after: position))
      return
    }
    guard let file = seam.file(holding: wanted) else {
      // Before the archive, or between it and the stream.
      let next = seam.files.first { $0.first > wanted }?.first ?? seam.streamFirst
      throw .missing(stream: stream, from: wanted, to: next - 1)
    }
    source = .file(
      try archive.read { () throws(ArchiveError) in
        try ArchiveFileReader(file, folder: archive.folder)
      }, file)
  }

  private func batch(_ reader: ArchiveFileReader) throws(LogError) -> [any StoredFrame] {
    var frames: [any StoredFrame] = []
    var bytes = 0
    while frames.count < Self.framesMax, bytes < Self.bytesMax {
      let frame = try archive.read { () throws(ArchiveError) in try reader.frame() }
      guard let frame else { break }
      if frame.sequence <= position { continue }
      position = frame.sequence
      bytes += frame.bytes.count
      frames.append(frame)
    }
    return frames
  }
}
