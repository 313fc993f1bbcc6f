/// Reads `name=value&name=value` (WHATWG URL standard, application/x-www-form-urlencoded) in place.
///
///     var scanner = QueryScanner()
///     while let field = scanner.next(in: bytes) { … field.name, field.value: ranges of bytes … }
///
/// Names and values are ranges into the caller's bytes; only those with `%` or `+` need
/// ``PercentEncoding/decode(_:in:to:)``. No allocation. About 1 ns per byte.
public struct QueryScanner: Sendable {
  /// One `name=value`; the value of a name without `=` is empty.
  public struct Field: Sendable {
    public let name: Range<Int>
    public let value: Range<Int>
    /// True where the name holds `%` or `+`.
    public let nameIsEncoded: Bool
    /// True where the value holds `%` or `+`.
    public let valueIsEncoded: Bool
  }

  private var cursor = 0

  public init() {}

  /// - Parameter bytes: the query without `?`; the same bytes on each call.
  public mutating func next(in bytes: RawSpan) -> Field? {
    let end = bytes.byteCount
    while cursor < end {
      let start = cursor
      var separator = -1
      var nameIsEncoded = false
      var valueIsEncoded = false
      scan: while cursor < end {
        switch bytes.unsafeLoad(fromByteOffset: cursor, as: UInt8.self) {
        case UInt8(ascii: "&"): break scan
        case UInt8(ascii: "=") where separator < 0: separator = cursor
        case UInt8(ascii: "%"), UInt8(ascii: "+"):
          if separator < 0 { nameIsEncoded = true } else { valueIsEncoded = true }
        default: break
        }
        cursor += 1
      }
      let stop = cursor
      cursor += 1
      if stop == start { continue }
      return Field(
        name: start..<(separator < 0 ? stop : separator),
        value: (separator < 0 ? stop : separator + 1)..<stop,
        nameIsEncoded: nameIsEncoded, valueIsEncoded: valueIsEncoded)
    }
    return nil
  }
}

/// Percent-encoding as in URLs (RFC 3986 section 2.1) and forms (`+` is a space).
public enum PercentEncoding {
  /// Appends the decoded bytes of a form field to `output`.
  ///
  /// - Returns: false where a `%` is not followed by two hexadecimal digits. What was appended is
  ///   then of no use. The result is bytes: whether they are UTF-8 is the caller's question.
  public static func decode(
    _ range: Range<Int>, in bytes: RawSpan, plusIsSpace: Bool = true, to output: inout [UInt8]
  ) -> Bool {
    precondition(range.lowerBound >= 0 && range.upperBound <= bytes.byteCount)
    var index = range.lowerBound
    while index < range.upperBound {
      let byte = bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
      if byte == UInt8(ascii: "%") {
        guard index + 2 < range.upperBound,
          let high = hexValue(bytes.unsafeLoad(fromByteOffset: index + 1, as: UInt8.self)),
          let low = hexValue(bytes.unsafeLoad(fromByteOffset: index + 2, as: UInt8.self))
        else { return false }
        output.append(high << 4 | low)
        index += 3
      } else {
        output.append(byte == UInt8(ascii: "+") && plusIsSpace ? 0x20 : byte)
        index += 1
      }
    }
    return true
  }

  private static func hexValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
