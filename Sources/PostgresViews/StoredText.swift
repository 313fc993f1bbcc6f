/// Any bytes as text that Postgres can store, and back.
///
/// Postgres stores valid UTF-8 without U+0000; a dimension's value may be neither. Ordinary text is
/// stored as it is. In other text each byte that can't be stored becomes the escape U+10FFFD (the
/// last private-use character) followed by two hexadecimal digits, and so do the bytes of the
/// escape itself: two different values never become the same text.
enum StoredText {
  private static let escape: Unicode.Scalar = "\u{10FFFD}"

  static func encode(_ bytes: some Collection<UInt8>) -> String {
    if !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self),
      !text.unicodeScalars.contains(escape)
    {
      return text
    }
    return escaped(Array(bytes))
  }

  static func encode(_ text: String) -> String { encode(text.utf8) }

  /// The value that `encode` was given; bytes that are not UTF-8 become U+FFFD.
  static func decode(_ text: String) -> String {
    guard text.unicodeScalars.contains(escape) else { return text }
    var bytes: [UInt8] = []
    var scalars = text.unicodeScalars.makeIterator()
    while let scalar = scalars.next() {
      if scalar == escape, let high = scalars.next(), let low = scalars.next(),
        let byte = UInt8("\(high)\(low)", radix: 16)
      {
        bytes.append(byte)
      } else {
        bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func escaped(_ bytes: [UInt8]) -> String {
    var out = ""
    var rest = bytes[...]
    while let first = rest.first {
      let length = scalarLength(of: rest)
      let scalar = rest.prefix(length)
      if length > 0, first != 0, let text = String(validating: scalar, as: UTF8.self),
        text.unicodeScalars.first != escape
      {
        out += text
        rest = rest.dropFirst(length)
      } else {
        let digits = String(first, radix: 16)
        out.unicodeScalars.append(escape)
        out += digits.count == 1 ? "0" + digits : digits
        rest = rest.dropFirst()
      }
    }
    return out
  }

  /// Bytes of the scalar whose first byte is the first of `bytes`; 0 if none can start with it.
  private static func scalarLength(of bytes: ArraySlice<UInt8>) -> Int {
    switch bytes[bytes.startIndex] {
    case 0x00..<0x80: return 1
    case 0xC2..<0xE0: return 2
    case 0xE0..<0xF0: return 3
    case 0xF0..<0xF5: return 4
    default: return 0
    }
  }
}
