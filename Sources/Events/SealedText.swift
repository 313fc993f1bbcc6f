/// Personal data of an event that is encrypted with its person's own key, as a text in the place where it
/// was. Part of the log, for ever.
///
///     [mail:v1.kZ3…32 characters….Xb0…]
///      |    |  |                   what ``PersonKey`` has sealed, in base64url
///      |    |  the person (16 bytes) and the number of the key (8), in base64url
///      |    the version of this form
///      what it is, as ``Removed`` has it
///
/// It has no character that JSON, an address or a form would escape, so it stands in a text within a text
/// as it stands in any other, and whoever moves texts about moves it along.
public struct SealedText: Hashable, Sendable {
  /// Bytes of a person and of a key's number.
  private static let nameByteCount = 24
  /// Their characters.
  private static let nameLength = 32

  public var kind: Removed
  /// Whose key it is, see ``EventIdentity/personKey(site:id:)``.
  public var person: Key128
  /// Tells the keys apart that a person has had: each erasure ends one.
  public var keyNumber: UInt64
  /// Nonce, cipher text and tag.
  public var box: [UInt8]

  public init(kind: Removed, person: Key128, keyNumber: UInt64, box: [UInt8]) {
    self.kind = kind
    self.person = person
    self.keyNumber = keyNumber
    self.box = box
  }

  public var text: [UInt8] {
    var name: [UInt8] = []
    name.reserveCapacity(Self.nameByteCount)
    for word in [person.high, person.low, keyNumber] {
      withUnsafeBytes(of: word.bigEndian) { name.append(contentsOf: $0) }
    }
    var text = Self.prefix(of: kind)
    text.append(contentsOf: Base64URL.encode(name))
    text.append(UInt8(ascii: "."))
    text.append(contentsOf: Base64URL.encode(box))
    text.append(UInt8(ascii: "]"))
    return text
  }

  // MARK: Reading

  /// - Returns: nil where the text is something else, or has more than this.
  public init?(_ text: String) {
    var text = text
    let found = text.withUTF8 { bytes -> SealedText? in
      guard let (sealed, end) = Self.read(UnsafeRawBufferPointer(bytes), at: 0),
        end == bytes.count
      else { return nil }
      return sealed
    }
    guard let found else { return nil }
    self = found
  }

  /// The one that begins at `start`, and where it ends.
  static func read(
    _ text: UnsafeRawBufferPointer, at start: Int
  ) -> (sealed: SealedText, end: Int)? {
    for kind in Removed.allCases {
      let prefix = prefix(of: kind)
      let nameStart = start + prefix.count
      let nameEnd = nameStart + nameLength
      guard nameEnd < text.count, text[start..<nameStart].elementsEqual(prefix) else { continue }
      guard text[nameEnd] == UInt8(ascii: "."),
        let name = Base64URL.decode(text[nameStart..<nameEnd]), name.count == nameByteCount
      else { return nil }
      var end = nameEnd + 1
      while end < text.count, Base64URL.isLetter(text[end]) { end += 1 }
      guard end < text.count, text[end] == UInt8(ascii: "]"),
        let box = Base64URL.decode(text[nameEnd + 1..<end]), !box.isEmpty
      else { return nil }
      func word(_ index: Int) -> UInt64 {
        name[8 * index..<8 * index + 8].reduce(0) { $0 << 8 | UInt64($1) }
      }
      return (
        SealedText(
          kind: kind, person: Key128(low: word(1), high: word(0)), keyNumber: word(2), box: box),
        end + 1
      )
    }
    return nil
  }

  /// Such as `[mail:v1.`.
  private static func prefix(of kind: Removed) -> [UInt8] {
    switch kind {
    case .mail: mailPrefix
    case .phone: phonePrefix
    case .card: cardPrefix
    case .other: otherPrefix
    }
  }

  private static func makePrefix(_ kind: Removed) -> [UInt8] {
    Array(kind.rawValue.utf8.dropLast()) + Array(":v1.".utf8)
  }

  private static let mailPrefix = makePrefix(.mail)
  private static let phonePrefix = makePrefix(.phone)
  private static let cardPrefix = makePrefix(.card)
  private static let otherPrefix = makePrefix(.other)
}
