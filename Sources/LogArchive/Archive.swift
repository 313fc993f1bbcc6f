/// A folder of archive files: frames that were in the log's streams before what the streams hold
/// now. See ``ArchiveFormat`` for the files.
///
/// The folder's listing is all there is to know: no catalog that could disagree with it. A folder
/// that does not exist is an empty archive.
public struct Archive: Sendable {
  /// One complete file, as its name states it.
  public struct File: Hashable, Sendable {
    public var stream: String
    public var first: UInt64
    public var last: UInt64

    public var name: String { ArchiveFormat.name(stream: stream, first: first, last: last) }
  }

  public let folder: String

  public init(folder: String) { self.folder = folder }

  /// The files of a stream, in order.
  ///
  /// - Throws: `gap` where one does not follow the one before.
  public func files(of stream: String) throws(ArchiveError) -> [File] {
    var files: [File] = []
    for name in try ArchiveFiles.names(in: folder) {
      guard let parsed = ArchiveFormat.parse(name: name), parsed.stream == stream else { continue }
      files.append(File(stream: stream, first: parsed.first, last: parsed.last))
    }
    files.sort { ($0.first, $0.last) < ($1.first, $1.last) }
    for (before, file) in zip(files, files.dropFirst()) {
      if file.first > before.last + 1 {
        throw .gap(stream: stream, from: before.last + 1, to: file.first - 1)
      }
      guard file.first == before.last + 1 else {
        throw .damaged(file: file.name, reason: "frames of it are in \(before.name) too")
      }
    }
    return files
  }
}
