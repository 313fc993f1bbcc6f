import Glibc

/// Small text files, whole.
enum TextFile {
  static func read(_ path: String) throws -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw failure("read", path) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = Glibc.read(file, &block, block.count)
      guard count >= 0 else { throw failure("read", path) }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes.append(contentsOf: block[..<count])
    }
  }

  static func write(_ text: String, to path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure("write", path) }
    defer { close(file) }
    let count = text.utf8.count
    guard text.withCString({ Glibc.write(file, $0, count) }) == count else {
      throw failure("write", path)
    }
  }

  private static func failure(_ verb: String, _ path: String) -> HarnessError {
    HarnessError("can't \(verb) \(path): \(String(cString: strerror(errno)))")
  }
}
