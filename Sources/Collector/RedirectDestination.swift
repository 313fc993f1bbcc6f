/// Where a link leads on to: an absolute `http` or `https` address whose host can be told without doubt.
///
/// Browsers read addresses more generously than RFC 3986: they take `\` for `/`, skip over control characters,
/// and find a host behind a user name. What is read here is therefore narrow, and what is answered is
/// written anew from it: in ``location`` nothing stands that a browser reads otherwise.
public struct RedirectDestination: Hashable, Sendable {
  /// As it came, decoded; what a signature binds.
  public let address: String
  /// In the letters in which it came.
  public let host: String
  /// The value of a `Location` field: ASCII, anything else percent-encoded.
  public let location: String

  /// - Returns: nil where the address is not absolute, of another scheme, has a user name, a control
  ///   character, or a host that is neither a name nor an IPv4 address.
  public init?(_ address: String) {
    let bytes = Array(address.utf8)
    guard let start = Self.authorityStart(bytes), bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
    else { return nil }
    let ends = [UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#")]
    let end = bytes[start...].firstIndex { ends.contains($0) } ?? bytes.endIndex
    let parts = bytes[start..<end].split(
      separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
    guard parts.count <= 2, let name = parts.first, Self.isHost(name),
      parts.count == 1 || Self.isPort(parts[1])
    else { return nil }
    self.address = address
    host = String(decoding: name, as: UTF8.self)
    location = Self.encoded(bytes)
  }

  /// Behind `http://` or `https://` in any case of letters.
  private static func authorityStart(_ bytes: [UInt8]) -> Int? {
    for scheme in ["https://", "http://"] where bytes.count > scheme.utf8.count {
      let isEqual = zip(bytes, scheme.utf8).allSatisfy { byte, letter in
        byte == letter
          || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) && byte | 0x20 == letter
      }
      if isEqual { return scheme.utf8.count }
    }
    return nil
  }

  /// RFC 1123 section 2.1, and underscores, which exist.
  private static func isHost(_ name: some Collection<UInt8>) -> Bool {
    let labels = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return name.count <= 253
      && labels.allSatisfy { !$0.isEmpty && $0.allSatisfy(Self.isLabelCharacter) }
  }

  private static func isLabelCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private static func isPort(_ digits: some Collection<UInt8>) -> Bool {
    (1...5).contains(digits.count) && digits.allSatisfy { $0 &- 0x30 <= 9 }
  }

  private static func encoded(_ bytes: [UInt8]) -> String {
    let others = Array("\"<>\\^`{|}".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var output: [UInt8] = []
    output.reserveCapacity(bytes.count)
    for byte in bytes {
      if byte > 0x20 && byte < 0x7f && !others.contains(byte) {
        output.append(byte)
      } else {
        output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xf)]]
      }
    }
    return String(decoding: output, as: UTF8.self)
  }
}
