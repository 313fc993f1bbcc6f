import Glibc
public import Ports

/// Snapshots as files of one folder, one file per blob.
///
/// A blob is written to a temporary file, synced, and renamed over the old one, and the folder is
/// synced after it: a crash at any point leaves the old blob or the new one, whole. Names are used
/// as file names, so they hold only letters, digits, `-`, `_` and `.`.
public final class FileSnapshotStore: SnapshotStore {
  /// How the names of files end that are not yet whole blobs.
  private static let unfinished = ".tmp"

  private let folder: String
  /// The open file whose lock says that the folder is taken; nil where nobody else would take it.
  private let lock: Int32?

  /// Makes the folder and its parents where they are missing, and removes what a crash left of blobs
  /// that were being written: one folder has one store at a time.
  public convenience init(folder: String) throws(SnapshotError) {
    try Self.make(folder)
    try self.init(made: folder, lock: nil)
  }

  private init(made folder: String, lock: Int32?) throws(SnapshotError) {
    self.folder = folder
    self.lock = lock
    for name in try files() where name.hasSuffix(Self.unfinished) { try remove(name) }
  }

  deinit { if let lock { close(lock) } }

  private static let partsMax = 64

  /// The first of a folder's parts that no other process has, for processes that share the folder: a part is given back when
  /// its store goes or its process ends, and whoever comes next takes it over with what is in it.
  public static func part(of folder: String) throws(SnapshotError) -> FileSnapshotStore {
    try make(folder)
    for number in 0..<partsMax {
      let path = "\(folder)/part-\(number)"
      let file = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      guard file >= 0 else { throw failure("open", path + ".lock") }
      guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
        close(file)
        continue
      }
      try make(path)
      return try FileSnapshotStore(made: path, lock: file)
    }
    throw .io("\(partsMax) processes keep snapshots in \(folder): give this one another folder")
  }

  private static func make(_ folder: String) throws(SnapshotError) {
    var path = ""
    for part in folder.split(separator: "/", omittingEmptySubsequences: false) {
      path +=
        part.isEmpty && path.isEmpty ? "/" : (path.hasSuffix("/") || path.isEmpty ? "" : "/") + part
      guard !path.isEmpty, path != "/" else { continue }
      if mkdir(path, 0o700) != 0 && errno != EEXIST { throw failure("make folder", path) }
    }
  }

  public func write(_ name: String, _ bytes: [UInt8]) throws(SnapshotError) {
    let final = path(name)
    let temporary = final + Self.unfinished
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Self.failure("create", temporary) }
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(file, buffer.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0 {
        if errno == EINTR { continue }
        let failure = Self.failure("write", temporary)
        close(file)
        unlink(temporary)
        throw failure
      }
      written += count
    }
    let synced = fsync(file)
    let failure = Self.failure("sync", temporary)
    close(file)
    guard synced == 0 else {
      unlink(temporary)
      throw failure
    }
    guard rename(temporary, final) == 0 else { throw Self.failure("rename", temporary) }
    try syncFolder()
  }

  public func read(_ name: String) throws(SnapshotError) -> [UInt8]? {
    let path = path(name)
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      if errno == ENOENT { return nil }
      throw Self.failure("open", path)
    }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0 else { throw Self.failure("stat", path) }
    let size = Int(status.st_size)
    var failed: SnapshotError?
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let got = Glibc.read(file, buffer.baseAddress.map { $0 + count }, size - count)
        if got < 0 && errno == EINTR { continue }
        guard got > 0 else {
          if got < 0 { failed = Self.failure("read", path) }
          return
        }
        count += got
      }
    }
    if let failed { throw failed }
    return bytes
  }

  public func remove(_ name: String) throws(SnapshotError) {
    if unlink(path(name)) != 0 && errno != ENOENT { throw Self.failure("remove", path(name)) }
  }

  public func names() throws(SnapshotError) -> [String] {
    try files().filter { !$0.hasSuffix(Self.unfinished) }.sorted()
  }

  private func files() throws(SnapshotError) -> [String] {
    guard let directory = opendir(folder) else { throw Self.failure("list", folder) }
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

  private func path(_ name: String) -> String { folder + "/" + name }

  private func syncFolder() throws(SnapshotError) {
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw Self.failure("open", folder) }
    defer { close(directory) }
    if fsync(directory) != 0 { throw Self.failure("sync", folder) }
  }

  private static func failure(_ action: String, _ path: String) -> SnapshotError {
    let number = errno
    let reason = "\(action) \(path): \(String(cString: strerror(number)))"
    return number == ENOSPC || number == EDQUOT ? .full(reason) : .io(reason)
  }
}
