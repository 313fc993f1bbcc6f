/// Which addresses belong to the public internet, and to nobody's private network.
///
/// What a request of somebody's choice may be sent to: an address of one's own network would let them use
/// services that trust whoever reaches them (server-side request forgery). Source: the IANA registries of
/// special-purpose addresses (RFC 6890), blocks that are not globally reachable. An IPv6 address that carries
/// an IPv4 one (mapped, RFC 4291 section 2.5.5.2; translated, RFC 6052) is judged by that.
enum PublicAddress {
  /// - Parameter bytes: 4 or 16 bytes in network order; others are no address.
  static func isPublic(_ bytes: [UInt8]) -> Bool {
    switch bytes.count {
    case 4: isPublic(v4: bytes)
    case 16: isPublic(v6: bytes)
    default: false
    }
  }

  private static func isPublic(v4 bytes: [UInt8]) -> Bool {
    let address = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    return !special4.contains { address >> (32 - $0.bits) == $0.prefix >> (32 - $0.bits) }
  }

  private static func isPublic(v6 bytes: [UInt8]) -> Bool {
    for prefix in carriers where bytes.starts(with: prefix) {
      return isPublic(v4: Array(bytes[12...]))
    }
    // Global unicast is 2000::/3 so far.
    guard bytes[0] >> 5 == 1 else { return false }
    let first = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
    let second = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    // 2001::/23 for protocols, 2001:db8::/32 and 3fff::/20 for documents, 2002::/16 for tunnels.
    if first == 0x2001 { return second >= 0x200 && second != 0x0db8 }
    if first == 0x3fff { return second >> 12 != 0 }
    return first != 0x2002
  }

  private static let special4: [(prefix: UInt32, bits: UInt32)] = [
    (0x0000_0000, 8), (0x0a00_0000, 8), (0x6440_0000, 10), (0x7f00_0000, 8), (0xa9fe_0000, 16),
    (0xac10_0000, 12), (0xc000_0000, 24), (0xc000_0200, 24), (0xc058_6300, 24),
    (0xc0a8_0000, 16), (0xc612_0000, 15), (0xc633_6400, 24), (0xcb00_7100, 24),
    (0xe000_0000, 4), (0xf000_0000, 4),
  ]

  /// `::ffff:0:0/96` and `64:ff9b::/96`.
  private static let carriers: [[UInt8]] = [
    [UInt8](repeating: 0, count: 10) + [0xff, 0xff],
    [0x00, 0x64, 0xff, 0x9b] + [UInt8](repeating: 0, count: 8),
  ]
}
