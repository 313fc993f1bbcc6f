import Glibc

/// A file system of its own in memory, that can be filled to the last byte and emptied again.
///
/// `mount` is not permitted everywhere (containers without CAP_SYS_ADMIN): then there is none, and
/// the faults that need it are left out.
struct SmallDisk: Sendable {
  let path: String
  private var ballastPath: String { path + "/ballast" }

  /// - Returns: nil where the system does not permit it.
  static func mount(at path: String, mebibytes: Int) -> SmallDisk? {
    guard Glibc.mount("tmpfs", path, "tmpfs", 0, "size=\(mebibytes)m,mode=0711") == 0 else {
      return nil
    }
    return SmallDisk(path: path)
  }

  /// Takes all the space that is left.
  func fill() throws {
    let file = open(ballastPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw ChaosError.system("can't make \(ballastPath)") }
    defer { close(file) }
    lseek(file, 0, SEEK_END)
    // Large pieces first; the last ones are a page.
    var piece = 4 << 20
    while piece >= 4096 {
      let block = [UInt8](repeating: 0xff, count: piece)
      while true {
        let count = write(file, block, piece)
        if count < 0 && errno == EINTR { continue }
        guard count == piece else { break }
      }
      piece /= 4
    }
  }

  func empty() { unlink(ballastPath) }

  func unmount() { umount2(path, Int32(MNT_DETACH)) }
}
