import Glibc

/// File operations of the archive, with errors that say what failed and where.
enum ArchiveFiles {
  static func makeFolder(_ path: String) throws(ArchiveError) {
    if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
      throw failure("make folder", path)
    }
    try makeFolder(String(path[..<slash]))
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else { throw failure("make folder", path) }
  }

  /// Names in the folder; none where it does not exist.
  static func names(in folder: String) throws(ArchiveError) -> [String] {
    guard let directory = opendir(folder) else {
      if errno == ENOENT { return [] }
      throw failure("list", folder)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  static func syncFolder(_ folder: String) throws(ArchiveError) {
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("open", folder) }
    defer { close(directory) }
    if fsync(directory) != 0 { throw failure("sync", folder) }
  }

  static func remove(_ path: String) throws(ArchiveError) {
    if unlink(path) != 0 && errno != ENOENT { throw failure("remove", path) }
  }

  static func write(_ file: Int32, _ bytes: UnsafeRawBufferPointer, _ path: String)
    throws(ArchiveError)
  {
    var written = 0
    while written < bytes.count {
      let count = Glibc.write(file, bytes.baseAddress.map { $0 + written }, bytes.count - written)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw failure("write", path) }
      written += count
    }
  }

  /// Reads until `buffer` is full or the file ends.
  ///
  /// - Returns: the bytes read.
  static func read(
    _ file: Int32, into buffer: UnsafeMutableRawBufferPointer, _ path: String
  ) throws(ArchiveError) -> Int {
    var count = 0
    while count < buffer.count {
      let got = Glibc.read(file, buffer.baseAddress.map { $0 + count }, buffer.count - count)
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw failure("read", path) }
      if got == 0 { break }
      count += got
    }
    return count
  }

  static func failure(_ action: String, _ path: String) -> ArchiveError {
    .io("\(action) \(path): \(String(cString: strerror(errno)))")
  }
}
