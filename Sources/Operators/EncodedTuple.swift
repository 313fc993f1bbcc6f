import Events

/// Reads and makes encoded ``DimensionTuple``s without strings.
enum EncodedTuple {
  /// The value that stands in for further campaigns, contents, variants and channels of a site.
  static let other = "(other)"

  /// What an event counts for whose tuple is not one; no collector writes such a frame. No site has
  /// an empty name.
  static let malformed = DimensionTuple(site: "", campaign: "(malformed)").encoded

  static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    for _ in Dimension.always {
      guard offset + 2 <= bytes.count else { return false }
      offset += 2 + (Int(bytes[offset]) | Int(bytes[offset + 1]) << 8)
    }
    if offset == bytes.count { return true }
    // What was added later stands there only where it is not empty.
    guard offset + 2 < bytes.count else { return false }
    offset += 2 + (Int(bytes[offset]) | Int(bytes[offset + 1]) << 8)
    return offset == bytes.count
  }

  /// The tuple that counts for `bytes` when there are too many: its site, its currency
  /// and its traffic, because neither sites nor kinds of money nor people and bots are ever added up, and `(other)` for the rest.
  ///
  /// - Precondition: `bytes` is valid.
  static func other(of bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var tuple: [UInt8] = []
    var offset = 0
    for dimension in Dimension.allCases where offset < bytes.count {
      let end = offset + 2 + (Int(bytes[offset]) | Int(bytes[offset + 1]) << 8)
      switch dimension {
      case .site, .currency, .traffic: tuple.append(contentsOf: bytes[offset..<end])
      case .campaign, .content, .variant, .channel: DimensionTuple.append(other, to: &tuple)
      }
      offset = end
    }
    return tuple
  }

  /// Whether bytes are a tuple, and not one of bots.
  static func isOfPeople(_ bytes: UnsafeRawBufferPointer) -> Bool {
    isValid(bytes) && end(of: Dimension.always.count, in: bytes) == bytes.count
  }

  /// Where the values of the dimensions are, by their place; at least of those that are always there.
  ///
  /// - Precondition: `bytes` is valid.
  static func fields(_ bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
    var fields: [Range<Int>] = []
    fields.reserveCapacity(Dimension.allCases.count)
    var offset = 0
    while offset < bytes.count {
      let end = offset + 2 + (Int(bytes[offset]) | Int(bytes[offset + 1]) << 8)
      fields.append(offset + 2..<end)
      offset = end
    }
    return fields
  }

  /// Where the first `count` dimensions end.
  ///
  /// - Precondition: `bytes` is valid.
  static func end(of count: Int, in bytes: UnsafeRawBufferPointer) -> Int {
    var offset = 0
    for _ in 0..<count { offset += 2 + (Int(bytes[offset]) | Int(bytes[offset + 1]) << 8) }
    return offset
  }

  /// The same for tuples of the same site, campaign and content.
  ///
  /// - Precondition: `bytes` is valid.
  static func contentHash(of bytes: UnsafeRawBufferPointer) -> UInt64 {
    let end = end(of: Dimension.content.rawValue + 1, in: bytes)
    return SipHash128.hash(UnsafeRawBufferPointer(rebasing: bytes[..<end])).low
  }
}
