/// Finds and replaces ``SealedText``s in any bytes: in JSON, in texts of JSON within it, and in base 64, at any
/// depth down to ``depthMax``.
///
/// Nothing is parsed but the sealed texts themselves and base 64 that is long enough to hold one: they have the
/// same bytes wherever they stand. About 1 ns per byte, and as much again for each level of base 64.
public enum SealedTexts {
  /// As deep as the edge looks for personal data.
  static let depthMax = 8
  /// The shortest sealed text has more characters in base 64.
  private static let encodedLengthMin = 96

  /// - Parameter change: what is to stand in its place; nil: it stays.
  /// - Returns: nil where nothing was changed.
  public static func rewrite(
    _ bytes: UnsafeRawBufferPointer, _ change: (SealedText) -> [UInt8]?
  ) -> [UInt8]? {
    rewrite(bytes, depth: 0, change)
  }

  public static func rewrite(_ bytes: [UInt8], _ change: (SealedText) -> [UInt8]?) -> [UInt8]? {
    bytes.withUnsafeBytes { rewrite($0, change) }
  }

  /// All of them in their order.
  public static func find(in bytes: UnsafeRawBufferPointer) -> [SealedText] {
    var found: [SealedText] = []
    _ = rewrite(bytes) { sealed in
      found.append(sealed)
      return nil
    }
    return found
  }

  public static func find(in bytes: [UInt8]) -> [SealedText] {
    bytes.withUnsafeBytes { find(in: $0) }
  }

  /// With what ``Removed`` has in the place of each; nil where there is none.
  public static func removed(from bytes: [UInt8]) -> [UInt8]? {
    rewrite(bytes) { Array($0.kind.rawValue.utf8) }
  }

  public static func removed(from text: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "[")) else { return text }
    return removed(from: Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) } ?? text
  }

  private static func rewrite(
    _ bytes: UnsafeRawBufferPointer, depth: Int, _ change: (SealedText) -> [UInt8]?
  ) -> [UInt8]? {
    var output: [UInt8]?
    var copied = 0
    func put(_ new: [UInt8], _ range: Range<Int>) {
      output = (output ?? []) + bytes[copied..<range.lowerBound] + new
      copied = range.upperBound
    }
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "["), let (sealed, end) = SealedText.read(bytes, at: index) {
        if let new = change(sealed) { put(new, index..<end) }
        index = end
      } else if Base64URL.isLetter(byte) {
        let start = index
        while index < bytes.count, Base64URL.isLetter(bytes[index]) { index += 1 }
        let letters = start..<index
        while index < bytes.count, bytes[index] == UInt8(ascii: "="), index - letters.upperBound < 2
        {
          index += 1
        }
        guard letters.count >= encodedLengthMin, depth < depthMax,
          let new = encoded(bytes, letters, padding: index - letters.upperBound, depth, change)
        else { continue }
        put(new, start..<index)
      } else {
        index += 1
      }
    }
    return output.map { $0 + bytes[copied...] }
  }

  /// What base 64 holds with its texts replaced, in base 64 of the same alphabet; nil where it is none, or
  /// holds none of them.
  private static func encoded(
    _ bytes: UnsafeRawBufferPointer, _ letters: Range<Int>, padding: Int, _ depth: Int,
    _ change: (SealedText) -> [UInt8]?
  ) -> [UInt8]? {
    var isOfURLs = false
    var text: [UInt8] = []
    text.reserveCapacity(letters.count)
    for byte in bytes[letters] {
      switch byte {
      case UInt8(ascii: "-"), UInt8(ascii: "_"):
        isOfURLs = true
        text.append(byte)
      case UInt8(ascii: "+"): text.append(UInt8(ascii: "-"))
      case UInt8(ascii: "/"): text.append(UInt8(ascii: "_"))
      default: text.append(byte)
      }
    }
    guard padding == 0 || (letters.count + padding) % 4 == 0, let decoded = Base64URL.decode(text),
      let new = decoded.withUnsafeBytes({ rewrite($0, depth: depth + 1, change) })
    else { return nil }
    var encoded = isOfURLs ? Base64URL.encode(new) : Array(Base64.encode(new).utf8)
    while encoded.last == UInt8(ascii: "=") { encoded.removeLast() }
    // A text that needed no padding tells nothing of whether it would have had some.
    if padding > 0 || letters.count % 4 == 0 && !isOfURLs {
      while encoded.count % 4 != 0 { encoded.append(UInt8(ascii: "=")) }
    }
    return encoded
  }
}
