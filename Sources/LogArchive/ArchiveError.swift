/// Why an archive can't be written, or must not be read.
public enum ArchiveError: Error, Hashable, Sendable {
  /// A file operation failed.
  case io(String)
  /// A file is not what was written: its name, and what is wrong.
  case damaged(file: String, reason: String)
  /// Neither archive nor stream holds the frames from `from` up to and including `to`.
  case gap(stream: String, from: UInt64, to: UInt64)
  /// Archive and stream hold different frames under the same sequence.
  case otherLog(stream: String, sequence: UInt64)
  /// Another process writes this archive.
  case busy(folder: String)
}

extension ArchiveError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .io(let reason): reason
    case .damaged(let file, let reason):
      "archive file \(file) is damaged: \(reason); put an undamaged copy in its place"
    case .gap(let stream, let from, let to):
      "frames \(from) to \(to) of \(stream) are neither in the archive nor in the stream;"
        + " put the archive files that hold them back"
    case .otherLog(let stream, let sequence):
      "frame \(sequence) of \(stream) in the archive is not the one in the stream: this archive"
        + " belongs to another log; give its folder, or an empty one"
    case .busy(let folder): "another process is writing the archive \(folder); wait until it ends"
    }
  }
}
