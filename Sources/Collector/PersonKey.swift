public import Cryptography
public import Events

/// The data key of one person: what is encrypted with it can be read as long as the key is kept, and by nobody
/// once it is erased.
///
/// From its 256 random bits two keys follow, one that encrypts (AES-256-GCM) and one for fingerprints. In
/// memory it is about 200 bytes. See ``SealedText`` for where its texts go.
public final class PersonKey: Sendable {
  public let person: Key128
  /// Random; tells the keys apart that the person has had.
  public let number: UInt64
  /// As it is stored.
  let stored: [UInt8]
  private let cipher: AES256GCM
  private let fingerprintKey: [UInt8]

  /// - Parameter secret: 32 random bytes.
  init(
    person: Key128, number: UInt64, secret: [UInt8], stored: [UInt8]
  ) throws(CryptographyError) {
    guard secret.count == AES256GCM.keyByteCount else {
      throw .wrongKeyLength(bytes: secret.count, expected: AES256GCM.keyByteCount)
    }
    self.person = person
    self.number = number
    self.stored = stored
    cipher = try AES256GCM(key: SHA256.hash(Array("smartcontent seal 1".utf8) + secret))
    fingerprintKey = SHA256.hash(Array("smartcontent fingerprint 1".utf8) + secret)
  }

  // MARK: Texts

  /// What a sealed text belongs to; it opens nowhere else.
  public struct Binding: Hashable, Sendable {
    public var site: String
    /// ``IncomingEvent/key``.
    public var event: Key128

    public init(site: String, event: Key128) {
      self.site = site
      self.event = event
    }
  }

  /// What a text holds.
  public struct Opened: Hashable, Sendable {
    /// Where it stood when it came: a JSON Pointer, which goes on into texts of JSON and base 64 within.
    public var place: String
    /// Whether ``value`` is a JSON value and not a text.
    public var isJSON: Bool
    public var value: [UInt8]
  }

  /// About 5 µs.
  func seal(
    _ kind: Removed, _ opened: Opened, _ binding: Binding
  ) throws(CryptographyError) -> SealedText {
    // What it was, where, and the value: the place is sealed along, so that nobody can move it unnoticed.
    let place = opened.place.utf8.prefix(Int(UInt16.max))
    var text: [UInt8] = [opened.isJSON ? 1 : 0]
    text.reserveCapacity(3 + place.count + opened.value.count)
    withUnsafeBytes(of: UInt16(place.count).littleEndian) { text.append(contentsOf: $0) }
    text.append(contentsOf: place)
    text.append(contentsOf: opened.value)
    return SealedText(
      kind: kind, person: person, keyNumber: number,
      box: try cipher.seal(text, authenticating: authenticated(kind, binding)))
  }

  /// - Throws: where it was sealed with another key, for another event, or changed since.
  public func open(
    _ sealed: SealedText, _ binding: Binding
  ) throws(CryptographyError) -> Opened {
    let text = try cipher.open(sealed.box, authenticating: authenticated(sealed.kind, binding))
    guard text.count >= 3, text[0] <= 1 else { throw .notAuthentic }
    let end = 3 + Int(text[1]) + Int(text[2]) << 8
    guard end <= text.count else { throw .notAuthentic }
    return Opened(
      place: String(decoding: text[3..<end], as: UTF8.self), isJSON: text[0] == 1,
      value: Array(text[end...]))
  }

  private func authenticated(_ kind: Removed, _ binding: Binding) -> [UInt8] {
    var bytes = Array("smartcontent sealed 1".utf8)
    for word in [person.high, person.low, number, binding.event.high, binding.event.low] {
      withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }
    bytes.append(contentsOf: kind.rawValue.utf8)
    bytes.append(contentsOf: binding.site.utf8)
    return bytes
  }

  // MARK: Fingerprints

  /// In the place of a fingerprint of what was sent: the same for copies, and no way to find out whether a
  /// guess at what was sent is right. That ends with the key, too.
  func fingerprint(_ fingerprint: UInt32) -> UInt32 {
    guard fingerprint != 0 else { return 0 }
    var bytes = fingerprintKey
    withUnsafeBytes(of: fingerprint.littleEndian) { bytes.append(contentsOf: $0) }
    let hash = SHA256.hash(bytes)
    let keyed = hash[..<4].reduce(0) { $0 << 8 | UInt32($1) }
    // 0 is an event whose fingerprint is not known.
    return keyed == 0 ? 1 : keyed
  }
}
