public import Cryptography
import Glibc

/// A secret that all collectors of an installation share: random bytes, in text as hexadecimal digits.
public enum SharedSecret: String, CaseIterable, Sendable {
  /// Click links are signed with it. Another one makes every link that is out there worthless.
  case links
  /// Pseudonyms of persons are made with it. Whoever loses it knows no person again; whoever destroys it on
  /// purpose makes all pseudonyms in the log anonymous.
  case pseudonyms
  /// Keys of persons are wrapped with it. Whoever loses it can read nothing that is encrypted with them.
  case personKeys = "person-keys"
  /// Tokens of decisions are signed with it. Whoever loses it can learn nothing of what was decided before.
  case decisions

  /// Of the secret, at least.
  public static let byteCount = 32

  /// Such as `secrets/links` in a home folder.
  public func path(inHome home: String) -> String { "\(home)/secrets/\(rawValue)" }

  /// The secret of a home folder; made at its first use, readable by its owner alone. Of several that
  /// ask at once for the first time, all get the same.
  public func make(inHome home: String) throws(SharedSecretError) -> [UInt8] {
    let path = path(inHome: home)
    if access(path, F_OK) != 0 {
      for (folder, mode) in [(home, mode_t(0o711)), ("\(home)/secrets", mode_t(0o700))] {
        guard mkdir(folder, mode) == 0 || errno == EEXIST else { throw .file(folder, "make") }
      }
      let secret: [UInt8]
      do throws(CryptographyError) {
        secret = try SecureRandom.bytes(Self.byteCount)
      } catch {
        throw .random(error)
      }
      try Self.write(Self.hexadecimal(secret) + "\n", to: path)
    }
    return try read(path)
  }

  /// - Throws: where the file is not there, or holds something else.
  public func read(_ path: String) throws(SharedSecretError) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw .file(path, "read") }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1024)
    let count = Glibc.read(file, &bytes, bytes.count)
    guard count >= 0 else { throw .file(path, "read") }
    return try parse(String(decoding: bytes[..<count], as: UTF8.self), from: path)
  }

  /// - Parameter origin: what is named where the text is none: a file or a variable.
  public func parse(
    _ text: String, from origin: String
  ) throws(SharedSecretError) -> [UInt8] {
    let digits = text.utf8.filter { $0 > 0x20 }
    var secret: [UInt8] = []
    for pair in stride(from: 0, to: digits.count - digits.count % 2, by: 2) {
      guard let high = Character(Unicode.Scalar(digits[pair])).hexDigitValue,
        let low = Character(Unicode.Scalar(digits[pair + 1])).hexDigitValue
      else { throw .malformed(self, origin: origin) }
      secret.append(UInt8(high << 4 | low))
    }
    guard digits.count % 2 == 0, secret.count >= Self.byteCount else {
      throw .malformed(self, origin: origin)
    }
    return secret
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Leaves a file that is there already as it is.
  private static func write(_ text: String, to path: String) throws(SharedSecretError) {
    let draft = "\(path).\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw .file(draft, "write") }
    defer { unlink(draft) }
    let count = text.utf8.count
    let isWritten = text.withCString { Glibc.write(file, $0, count) } == count && fsync(file) == 0
    let failure = isWritten ? nil : SharedSecretError.file(draft, "write")
    close(file)
    if let failure { throw failure }
    // Unlike a renamed file, a link never takes the place of another process's.
    guard link(draft, path) == 0 || errno == EEXIST else { throw .file(path, "write") }
  }
}

/// Why there is no secret.
public enum SharedSecretError: Error, Hashable, Sendable, CustomStringConvertible {
  case folder(path: String, operation: String, reason: String)
  case malformed(SharedSecret, origin: String)
  case random(CryptographyError)

  /// Of the call before.
  static func file(_ path: String, _ operation: String) -> SharedSecretError {
    .folder(path: path, operation: operation, reason: String(cString: strerror(errno)))
  }

  public var description: String {
    switch self {
    case .folder(let path, let operation, let reason): "can't \(operation) \(path): \(reason)"
    case .malformed(let secret, let origin):
      "\(origin) is not the secret of \(secret.rawValue): at least \(2 * SharedSecret.byteCount)"
        + " hexadecimal digits, such as `openssl rand -hex 32` makes"
    case .random(let error): "\(error)"
    }
  }
}
