public import Cryptography
import Events
public import Ports

/// Makes keys of persons, and reads them as they are stored: encrypted with the installation's secret, so that
/// who has the store's files alone has no key.
///
///     "SCP1" | mark of the secret (4) | number (8) | nonce, the 32 bytes encrypted, tag (60)
///
/// All numbers are little-endian. The person and the number are authenticated: a key that was moved to another
/// person opens nothing.
public final class PersonKeyWrapping: Sendable {
  private static let magic = Array("SCP1".utf8)
  private static let markByteCount = 4
  private static let headByteCount = 16
  private static let byteCount =
    headByteCount + AES256GCM.keyByteCount + AES256GCM.overheadByteCount

  private let cipher: AES256GCM
  private let mark: [UInt8]

  /// - Parameter secret: at least ``SharedSecret/byteCount`` bytes, the same for all collectors.
  public init(secret: [UInt8]) throws(CryptographyError) {
    guard secret.count >= SharedSecret.byteCount else {
      throw .wrongKeyLength(bytes: secret.count, expected: SharedSecret.byteCount)
    }
    let mac = try HMACSHA256(key: secret)
    cipher = try AES256GCM(key: mac.code(of: Array("smartcontent person keys 1".utf8)))
    mark = Array(mac.code(of: Array("smartcontent mark 1".utf8))[..<Self.markByteCount])
  }

  /// A new key, which nobody has yet. About 5 µs.
  func make(for person: Key128) throws(CryptographyError) -> PersonKey {
    let secret = try SecureRandom.bytes(AES256GCM.keyByteCount)
    let number = try SecureRandom.bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    var stored = Self.magic + mark
    withUnsafeBytes(of: number.littleEndian) { stored.append(contentsOf: $0) }
    stored += try cipher.seal(secret, authenticating: Self.authenticated(person, number))
    return try PersonKey(person: person, number: number, secret: secret, stored: stored)
  }

  /// - Throws: ``PersonKeyDamage``.
  public func open(_ stored: StoredPersonKey) throws(PersonKeyDamage) -> PersonKey {
    let bytes = stored.bytes
    guard bytes.count == Self.byteCount, bytes.starts(with: Self.magic) else { throw .malformed }
    guard Array(bytes[4..<8]) == mark else { throw .otherSecret }
    let number = bytes[8..<Self.headByteCount].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    do throws(CryptographyError) {
      let secret = try cipher.open(
        Array(bytes[Self.headByteCount...]),
        authenticating: Self.authenticated(stored.person, number))
      return try PersonKey(
        person: stored.person, number: number, secret: secret, stored: bytes)
    } catch {
      throw .cryptography(error)
    }
  }

  private static func authenticated(_ person: Key128, _ number: UInt64) -> [UInt8] {
    var bytes = Array("smartcontent person key 1".utf8)
    for word in [person.high, person.low, number] {
      withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }
    return bytes
  }
}

/// Why a stored key cannot be used.
public enum PersonKeyDamage: Error, Hashable, Sendable, CustomStringConvertible {
  case malformed
  case otherSecret
  case cryptography(CryptographyError)

  public var description: String {
    switch self {
    case .malformed:
      "the stored key of a person has another form: a newer version wrote it, or it is damaged"
    case .otherSecret:
      "the stored key of a person was made with another secret; set SMARTCONTENT_PERSON_KEY_SECRET or"
        + " SMARTCONTENT_PERSON_KEY_SECRET_FILE to the one that all collectors have"
    case .cryptography(let error): "the stored key of a person cannot be read: \(error)"
    }
  }
}
