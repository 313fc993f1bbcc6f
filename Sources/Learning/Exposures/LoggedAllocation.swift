import Events

/// With which chances somebody was assigned to a variant, as the event says that shows it: member `allocation` of its
/// properties, an object of chances by variant.
///
///     {"properties":{"variant_id":"b","allocation":{"a":0.3,"b":0.7}}}
struct LoggedAllocation {
  static let variantsMax = 32
  /// Chances are whole numbers of this part: small ones stay above 0.
  static let one = 1_073_741_824.0
  private static let mark = Array("\"allocation\"".utf8)

  /// By name, rising.
  let chances: [(variant: String, part: UInt32)]

  /// - Returns: nil where the event says none, or something else by that name.
  init?(payload: UnsafeRawBufferPointer) {
    guard EventProperties.mentions(payload, Self.mark),
      case .object(let members)? = EventProperties(payload)?["allocation"],
      (2...Self.variantsMax).contains(members.count)
    else { return nil }
    var chances: [(variant: String, part: UInt32)] = []
    var sum = 0.0
    for member in members {
      guard case .number(let chance, _) = member.value, chance >= 0, chance <= 1,
        member.name.utf8.count <= Dimension.bytesMax
      else { return nil }
      sum += chance
      chances.append((member.name, chance > 0 ? UInt32(max(1, chance * Self.one)) : 0))
    }
    guard sum > 0, sum < 1.001 else { return nil }
    self.init(chances)
  }

  init(_ chances: [(variant: String, part: UInt32)]) {
    self.chances = chances.sorted { $0.variant < $1.variant }
  }
}
