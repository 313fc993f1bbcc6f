/// Ranges of network addresses, such as those of proxies or of data centres.
public struct AddressRanges: Sendable {
  /// The longest list.
  public static let countMax = 1_000_000

  /// In order, without overlaps. IPv4 is within IPv6 as `::ffff:0:0/96`.
  private var ranges: [ClosedRange<UInt128>] = []

  public init() {}

  /// - Parameter text: a range a line, such as `203.0.113.0/24` or `2001:db8::/32`; empty lines and what
  ///   follows a `#` do not count.
  /// - Throws: ``AddressRangeError`` naming the line.
  public init(_ text: String) throws(AddressRangeError) {
    var all: [ClosedRange<UInt128>] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      let content = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
      if content.isEmpty { continue }
      guard all.count < Self.countMax, let range = Self.range(content) else {
        throw AddressRangeError(line: index + 1)
      }
      all.append(range)
    }
    for range in all.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = ranges.last, range.lowerBound <= last.upperBound {
        ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        ranges.append(range)
      }
    }
  }

  public var isEmpty: Bool { ranges.isEmpty }

  /// False for what is no address.
  public func contains(_ address: String) -> Bool {
    guard let number = Self.number(address) else { return false }
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < number { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].contains(number)
  }

  static func isAddress(_ text: String) -> Bool { number(text) != nil }

  private static func range(_ text: String) -> ClosedRange<UInt128>? {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count <= 2, let address = number(parts[0]) else { return nil }
    let width = parts[0].contains(":") ? 128 : 32
    guard let bits = parts.count == 2 ? Int(parts[1]) : width, (0...width).contains(bits) else {
      return nil
    }
    let rest = width - bits
    let mask: UInt128 = rest == 128 ? .max : (1 << UInt128(rest)) - 1
    return address & ~mask...address | mask
  }

  private static func number(_ text: String) -> UInt128? {
    if !text.contains(":") { return four(text).map { 0xffff_0000_0000 | UInt128($0) } }
    let sides = text.split(separator: "::", maxSplits: 1, omittingEmptySubsequences: false)
    guard let head = groups(sides[0]) else { return nil }
    var all = head
    if sides.count == 2 {
      guard let tail = groups(sides[1]), head.count + tail.count < 8 else { return nil }
      all += Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }
    guard all.count == 8 else { return nil }
    return all.reduce(0) { $0 << 16 | UInt128($1) }
  }

  private static func groups(_ text: some StringProtocol) -> [UInt16]? {
    if text.isEmpty { return [] }
    var groups: [UInt16] = []
    for part in text.split(separator: ":", omittingEmptySubsequences: false) {
      if part.contains(".") {
        guard let four = four(String(part)) else { return nil }
        groups += [UInt16(four >> 16), UInt16(four & 0xffff)]
      } else {
        guard let group = UInt16(part, radix: 16) else { return nil }
        groups.append(group)
      }
    }
    return groups
  }

  private static func four(_ text: String) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var number: UInt32 = 0
    for part in parts {
      guard let byte = UInt8(part) else { return nil }
      number = number << 8 | UInt32(byte)
    }
    return number
  }
}

/// A line that is no range of addresses.
public struct AddressRangeError: Error, Hashable, Sendable, CustomStringConvertible {
  public let line: Int

  public var description: String {
    "line \(line) is no range of addresses; a range is such as 203.0.113.0/24 or 2001:db8::/32, one a"
      + " line, at most \(AddressRanges.countMax)"
  }
}
