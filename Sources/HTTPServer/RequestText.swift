import Glibc

/// Why bytes are no request.
enum RequestSyntaxError: Error, Hashable, Sendable {
  /// Not HTTP/1.1 as RFC 9112 defines it.
  case malformed
  /// HTTP, but neither 1.1 nor 1.0.
  case otherVersion
  /// More bytes or fields than the server takes.
  case tooLarge
}

/// The characters of requests (RFC 9110 section 5.5 and 5.6).
enum RequestText {
  /// Whether it may stand in a method or in the name of a field: the visible characters of ASCII without
  /// `"(),/:;<=>?@[\]{}`, as a bit for each.
  @inline(__always)
  static func isToken(_ byte: UInt8) -> Bool {
    let bits: UInt64 = byte < 64 ? 0x03ff_6cfa_0000_0000 : 0x57ff_ffff_c7ff_fffe
    return byte < 0x80 && bits &>> UInt64(byte & 63) & 1 != 0
  }

  @inline(__always)
  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// Whether a value has none of the characters that may end a field or a text.
  static func isFieldValue(_ value: UnsafeRawBufferPointer) -> Bool {
    for byte in value where byte < 0x20 && byte != 0x09 || byte == 0x7f { return false }
    return true
  }

  static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var (start, end) = (0, text.count)
    while start < end, isSpace(text[start]) { start += 1 }
    while end > start, isSpace(text[end - 1]) { end -= 1 }
    return UnsafeRawBufferPointer(rebasing: text[start..<end])
  }

  /// Where a line ends that is known to: at its CR.
  @inline(__always)
  static func lineEnd(_ view: UnsafeRawBufferPointer, from start: Int) -> Int {
    guard let base = view.baseAddress, let feed = memchr(base + start, 0x0a, view.count - start)
    else { return view.count }
    return UnsafeRawPointer(feed) - base - 1
  }

  /// In any case of letters.
  static func isSame(_ text: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Bool {
    guard text.count == other.count else { return false }
    for index in text.indices where lower(text[index]) != lower(other[index]) { return false }
    return true
  }

  static func isSame(_ text: UnsafeRawBufferPointer, _ other: StaticString) -> Bool {
    isSame(text, UnsafeRawBufferPointer(start: other.utf8Start, count: other.utf8CodeUnitCount))
  }

  @inline(__always)
  private static func lower(_ byte: UInt8) -> UInt8 {
    byte &- UInt8(ascii: "A") <= 25 ? byte | 0x20 : byte
  }

  /// A number of bytes; nil where it is none or absurd.
  static func decimal(_ text: UnsafeRawBufferPointer) -> Int? {
    guard (1...18).contains(text.count) else { return nil }
    var number = 0
    for byte in text {
      guard byte &- UInt8(ascii: "0") <= 9 else { return nil }
      number = number * 10 + Int(byte &- UInt8(ascii: "0"))
    }
    return number
  }

  /// Whether the last encoding of a list is `chunked`: without, nobody can tell where a request ends.
  static func endsInChunked(_ list: UnsafeRawBufferPointer) -> Bool {
    guard let last = list.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).last
    else { return false }
    return isSame(trimmed(UnsafeRawBufferPointer(rebasing: last)), "chunked")
  }
}
