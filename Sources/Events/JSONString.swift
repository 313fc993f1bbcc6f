/// A JSON string where it stands in the text: scanned and valid, not yet unescaped.
///
/// Borrows the scanner's buffer. Most strings have no escapes; those are compared and copied
/// as they are. A lone surrogate (`\ud83d` without its second half, which is what JavaScript
/// writes for a cut emoji) is legal JSON and becomes U+FFFD.
public struct JSONString {
  /// The bytes between the quotes, valid UTF-8 with valid escapes.
  public let bytes: UnsafeRawBufferPointer
  public let isEscaped: Bool

  @inlinable
  init(bytes: UnsafeRawBufferPointer, isEscaped: Bool) {
    self.bytes = bytes
    self.isEscaped = isEscaped
  }

  @inlinable public var isEmpty: Bool { bytes.isEmpty }

  /// The text without escapes.
  public var string: String {
    if !isEscaped { return String(decoding: bytes, as: UTF8.self) }
    return String(unsafeUninitializedCapacity: bytes.count) { unescape(into: $0) }
  }

  /// Appends the text without escapes.
  public func append(to output: inout [UInt8]) {
    if isEscaped {
      output.append(
        contentsOf: [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, count in
          count = unescape(into: buffer)
        })
    } else {
      output.append(contentsOf: bytes)
    }
  }

  /// True where the unescaped text has exactly these bytes.
  @inlinable
  public func equals(_ literal: StaticString) -> Bool {
    let count = literal.utf8CodeUnitCount
    if isEscaped {
      return equalsUnescaped(UnsafeRawBufferPointer(start: literal.utf8Start, count: count))
    }
    guard bytes.count == count, let base = bytes.baseAddress else { return bytes.count == count }
    let other = UnsafeRawPointer(literal.utf8Start)
    var index = 0
    while index &+ 8 <= count {
      if base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        != other.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      {
        return false
      }
      index &+= 8
    }
    while index < count {
      if base.load(fromByteOffset: index, as: UInt8.self)
        != other.load(fromByteOffset: index, as: UInt8.self)
      {
        return false
      }
      index &+= 1
    }
    return true
  }

  @inlinable
  public static func == (text: JSONString, literal: StaticString) -> Bool { text.equals(literal) }

  /// So that keys can be cases of a `switch`.
  @inlinable
  public static func ~= (literal: StaticString, text: JSONString) -> Bool { text.equals(literal) }

  @usableFromInline
  func equalsUnescaped(_ other: UnsafeRawBufferPointer) -> Bool {
    guard other.count < bytes.count else { return false }
    var unescaped: [UInt8] = []
    append(to: &unescaped)
    return unescaped.elementsEqual(other)
  }

  /// Unescaping never lengthens: the shortest escape of n bytes of UTF-8 has more than n.
  ///
  /// - Returns: the number of bytes written.
  private func unescape(into output: UnsafeMutableBufferPointer<UInt8>) -> Int {
    var read = 0
    var written = 0
    while read < bytes.count {
      let byte = bytes[read]
      read += 1
      guard byte == UInt8(ascii: "\\") else {
        output[written] = byte
        written += 1
        continue
      }
      let escape = bytes[read]
      read += 1
      if escape == UInt8(ascii: "u") {
        var scalar = hexadecimal(read)
        read += 4
        if scalar & 0xfc00 == 0xd800 {
          let second =
            read + 6 <= bytes.count && bytes[read] == UInt8(ascii: "\\")
              && bytes[read + 1] == UInt8(ascii: "u") ? hexadecimal(read + 2) : 0
          if second & 0xfc00 == 0xdc00 {
            scalar = 0x10000 + (scalar & 0x3ff) << 10 + (second & 0x3ff)
            read += 6
          } else {
            scalar = 0xfffd
          }
        } else if scalar & 0xfc00 == 0xdc00 {
          scalar = 0xfffd
        }
        written = Self.encode(scalar, into: output, at: written)
      } else {
        output[written] = Self.unescaped(escape)
        written += 1
      }
    }
    return written
  }

  private static func unescaped(_ escape: UInt8) -> UInt8 {
    switch escape {
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0c
    case UInt8(ascii: "n"): 0x0a
    case UInt8(ascii: "r"): 0x0d
    case UInt8(ascii: "t"): 0x09
    default: escape
    }
  }

  private func hexadecimal(_ offset: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in offset..<offset + 4 { value = value << 4 | UInt32(Self.digit(bytes[index])) }
    return value
  }

  private static func digit(_ byte: UInt8) -> UInt8 {
    byte <= UInt8(ascii: "9") ? byte & 0xf : (byte & 0x7) + 9
  }

  private static func encode(
    _ scalar: UInt32, into output: UnsafeMutableBufferPointer<UInt8>, at start: Int
  ) -> Int {
    func continuation(_ shift: UInt32) -> UInt8 { UInt8(0x80 | (scalar >> shift) & 0x3f) }
    switch scalar {
    case ..<0x80:
      output[start] = UInt8(scalar)
      return start + 1
    case ..<0x800:
      output[start] = UInt8(0xc0 | scalar >> 6)
      output[start + 1] = continuation(0)
      return start + 2
    case ..<0x10000:
      output[start] = UInt8(0xe0 | scalar >> 12)
      output[start + 1] = continuation(6)
      output[start + 2] = continuation(0)
      return start + 3
    default:
      output[start] = UInt8(0xf0 | scalar >> 18)
      output[start + 1] = continuation(12)
      output[start + 2] = continuation(6)
      output[start + 3] = continuation(0)
      return start + 4
    }
  }
}
