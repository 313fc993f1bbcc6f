import Glibc

/// The few file operations that are needed here, on whole small files, with errors that say what
/// failed. Paths are absolute.
enum FileSystem {
  static func message(_ code: Int32) -> String { String(cString: strerror(code)) }

  static func failure(_ operation: String, _ path: String) -> LocalServersError {
    .folder(path: path, operation: operation, reason: message(errno))
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func isExecutable(_ path: String) -> Bool {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
    return access(path, X_OK) == 0
  }

  /// Makes the folder and its parents; an existing one keeps its mode.
  static func makeFolder(_ path: String, mode: mode_t) throws(LocalServersError) {
    var status = stat()
    if stat(path, &status) == 0 {
      if status.st_mode & S_IFMT == S_IFDIR { return }
      throw .folder(path: path, operation: "use", reason: "it is not a folder")
    }
    if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
      try makeFolder(String(path[..<slash]), mode: 0o755)
    }
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw failure("make", path) }
    // The umask must not take the traversal bit that another user of the folder needs.
    guard chmod(path, mode) == 0 else { throw failure("set the mode of", path) }
  }

  /// The whole file, or nil where there is none.
  static func read(_ path: String, limit: Int = 1 << 20) throws(LocalServersError) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw failure("read", path)
    }
    defer { close(file) }
    guard let bytes = readAll(file, limit: limit) else { throw failure("read", path) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Up to `limit` bytes until the end; nil when reading fails.
  static func readAll(_ file: Int32, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16 << 10)
    while bytes.count < limit {
      let count = Glibc.read(file, &block, min(block.count, limit - bytes.count))
      if count == 0 { break }
      if count < 0 {
        if errno == EINTR { continue }
        return nil
      }
      bytes.append(contentsOf: block[..<count])
    }
    return bytes
  }

  /// Replaces the file in one step: a reader sees the old text or the new one, never half of it.
  static func write(_ text: String, to path: String, mode: mode_t) throws(LocalServersError) {
    let draft = path + ".new"
    unlink(draft)
    let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
    guard file >= 0 else { throw failure("write", draft) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        let error = failure("write", draft)
        close(file)
        throw error
      }
      rest = rest.dropFirst(count)
    }
    guard fsync(file) == 0, close(file) == 0 else { throw failure("write", draft) }
    guard rename(draft, path) == 0 else { throw failure("write", path) }
  }

  /// The last `lines` lines of a text file, "" where there is none.
  static func tail(_ path: String, lines: Int, bytes: Int = 8 << 10) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    let size = lseek(file, 0, SEEK_END)
    lseek(file, max(0, size - bytes), SEEK_SET)
    guard let content = readAll(file, limit: bytes) else { return "" }
    return String(decoding: content, as: UTF8.self)
      .split(separator: "\n").suffix(lines).joined(separator: "\n")
  }

  static func names(in folder: String) -> [String] {
    guard let handle = opendir(folder) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  static func linkTarget(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes {
      readlink(path, $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
    }
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count], as: UTF8.self)
  }

  /// The real path of something that exists, `path` as it is of something that does not.
  static func withoutLinks(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  /// Removes a file, a link, or a folder with all that is in it; never follows links.
  static func remove(_ path: String) throws(LocalServersError) {
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw failure("remove", path)
    }
    if status.st_mode & S_IFMT == S_IFDIR {
      for name in names(in: path) { try remove(path + "/" + name) }
      guard rmdir(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    } else {
      guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }
  }

  /// The path from the root, without links; `path` itself need not exist yet.
  static func absolute(_ path: String) -> String {
    var whole = path
    if !whole.hasPrefix("/") {
      guard let here = getcwd(nil, 0) else { return path }
      defer { free(here) }
      whole = String(cString: here) + "/" + path
    }
    var parts: [Substring] = []
    for part in whole.split(separator: "/") where part != "." {
      if part == ".." {
        if !parts.isEmpty { parts.removeLast() }
      } else {
        parts.append(part)
      }
    }
    return "/" + parts.joined(separator: "/")
  }

  /// Bytes that this user may still write on the file system of `path`.
  static func freeBytes(_ path: String) -> Int64? {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { return nil }
    return Int64(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize))
  }
}
