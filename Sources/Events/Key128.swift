/// A 128-bit value: the identity of an event for deduplication, of a person, or of a producer.
///
/// Keys are hashes or random numbers, so their bits are already spread evenly: tables use `low`
/// as the hash without mixing it again. `Key128.zero` marks an empty table slot and is never a
/// key that ``SipHash128`` hands out.
public struct Key128: Hashable, Comparable, Sendable, BitwiseCopyable {
  public var low: UInt64
  public var high: UInt64

  @inlinable public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  @inlinable public static var zero: Key128 { Key128(low: 0, high: 0) }

  @inlinable public static func < (a: Key128, b: Key128) -> Bool {
    a.high != b.high ? a.high < b.high : a.low < b.low
  }
}

extension Key128: CustomStringConvertible {
  /// 32 lower-case hexadecimal digits, most significant first.
  public var description: String {
    func hex(_ value: UInt64) -> String {
      let digits = String(value, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return hex(high) + hex(low)
  }
}

extension Key128 {
  /// - Parameter text: 32 hexadecimal digits, most significant first.
  public init?(_ text: String) {
    let digits = text.utf8
    guard digits.count == 32, let high = UInt64(text.prefix(16), radix: 16),
      let low = UInt64(text.suffix(16), radix: 16), digits.first != UInt8(ascii: "+"),
      digits.dropFirst(16).first != UInt8(ascii: "+")
    else { return nil }
    self.init(low: low, high: high)
  }
}
