import Events

/// Base 64 as clients write it: of either alphabet (RFC 4648 sections 4 and 5), with padding or without. A space
/// is a `+` that a form has decoded.
enum LooseBase64 {
  /// - Returns: nil where it is none.
  static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
    var letters: [UInt8] = []
    letters.reserveCapacity(text.count + 3)
    for byte in text {
      switch byte {
      case UInt8(ascii: " "), UInt8(ascii: "-"): letters.append(UInt8(ascii: "+"))
      case UInt8(ascii: "_"): letters.append(UInt8(ascii: "/"))
      default: letters.append(byte)
      }
    }
    while letters.last == UInt8(ascii: "=") { letters.removeLast() }
    while letters.count % 4 != 0 { letters.append(UInt8(ascii: "=")) }
    return Base64.decode(letters)
  }

  private static let tokenBytesMin = 32

  /// Whether a text is a JSON Web Token (RFC 7519), by which somebody is let in: three parts in base 64 for addresses, of
  /// which the first is an object.
  static func isWebToken(_ text: UnsafeRawBufferPointer) -> Bool {
    guard text.count >= tokenBytesMin, text.starts(with: "eyJ".utf8) else { return false }
    var points = 0
    for byte in text {
      switch byte {
      case UInt8(ascii: "."): points += 1
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        break
      default: return false
      }
    }
    return points == 2
  }
}
