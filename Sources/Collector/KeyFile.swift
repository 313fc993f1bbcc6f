import Glibc

/// The file of write keys: read whole, replaced in one step, and changed by one process at a time.
struct KeyFile: Sendable {
  /// Tells whether a file is the same as at another look.
  struct Version: Hashable, Sendable {
    let inode: UInt64
    let size: Int64
    let seconds: Int
    let nanoseconds: Int

    fileprivate init(_ status: stat) {
      inode = UInt64(status.st_ino)
      size = Int64(status.st_size)
      seconds = status.st_mtim.tv_sec
      nanoseconds = status.st_mtim.tv_nsec
    }
  }

  /// 10,000 keys have some 4 MB unless they list many origins.
  private static let bytesMax = 64 << 20
  private static let lockPollMs: Int32 = 10

  let path: String
  /// How long a writer waits for its turn.
  var lockWaitMs: Int32 = 2000

  /// - Returns: nil where there is no file.
  func version() throws(KeyStoreError) -> Version? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT { return nil }
      throw failure("look at", path)
    }
    return Version(status)
  }

  /// - Returns: nil where there is no file.
  func read() throws(KeyStoreError) -> (bytes: [UInt8], version: Version)? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw failure("open", path)
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw failure("look at", path) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = Glibc.read(file, &block, block.count)
      if count == 0 { return (bytes, Version(status)) }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure("read", path)
      }
      bytes += block[..<count]
      guard bytes.count <= Self.bytesMax else {
        throw .file(
          operation: "read", path: path, reason: "it has more than \(Self.bytesMax) bytes")
      }
    }
  }

  /// Replaces the file: after a crash at any point the old text is there or the new one, whole.
  func write(_ bytes: [UInt8]) throws(KeyStoreError) {
    let draft = path + ".new"
    unlink(draft)
    let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("make", draft) }
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(file, buffer.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        let failure = failure("write", draft)
        close(file)
        unlink(draft)
        throw failure
      }
      written += count
    }
    let isSynced = fsync(file) == 0
    let unsynced = failure("sync", draft)
    close(file)
    guard isSynced else {
      unlink(draft)
      throw unsynced
    }
    guard rename(draft, path) == 0 else { throw failure("replace", path) }
    try syncFolder()
  }

  /// Runs `body` while no other process does the same for this file. Makes the folder where it is
  /// missing.
  func locked<Result>(
    _ body: () throws(KeyStoreError) -> Result
  ) throws(KeyStoreError) -> Result {
    try makeFolder(folder)
    // A file of its own, because the other one is replaced.
    let lock = path + ".lock"
    let file = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("open", lock) }
    // The lock ends with the descriptor.
    defer { close(file) }
    var waitedMs: Int32 = 0
    while flock(file, LOCK_EX | LOCK_NB) != 0 {
      guard errno == EWOULDBLOCK || errno == EINTR else { throw failure("lock", lock) }
      guard waitedMs < lockWaitMs else { throw .busy(path: path) }
      poll(nil, 0, Self.lockPollMs)
      waitedMs += Self.lockPollMs
    }
    return try body()
  }

  private var folder: String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The home folder of `dev` may not be there yet. Others may pass through it, but see nothing of it:
  /// its Postgres may run as another user.
  private func makeFolder(_ folder: String) throws(KeyStoreError) {
    guard access(folder, F_OK) != 0 else { return }
    if let slash = folder.lastIndex(of: "/"), slash != folder.startIndex {
      try makeFolder(String(folder[..<slash]))
    }
    if mkdir(folder, 0o711) == 0 {
      // Whatever the umask is.
      guard chmod(folder, 0o711) == 0 else { throw failure("set the mode of", folder) }
    } else if errno != EEXIST {
      throw failure("make the folder", folder)
    }
  }

  private func syncFolder() throws(KeyStoreError) {
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("open", folder) }
    defer { close(directory) }
    if fsync(directory) != 0 { throw failure("sync", folder) }
  }

  private func failure(_ operation: String, _ path: String) -> KeyStoreError {
    .file(operation: operation, path: path, reason: String(cString: strerror(errno)))
  }
}
