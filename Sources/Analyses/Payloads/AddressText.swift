/// What the addresses of pages say of where a visitor came from.
enum AddressText {
  /// The host of an `http` or `https` address without a leading `www.`; nil where the text is no such address.
  /// A name such as `news.example.org` alone is one too.
  static func host(_ address: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    var start = 0
    if let slashes = find("://", in: address) {
      // Of an app: `android-app://com.example`; of a file nothing.
      start = slashes + 3
    } else if !address.allSatisfy(isHostByte) {
      return nil
    }
    var end = start
    while end < address.count, isHostByte(address[end]) || address[end] == UInt8(ascii: "@") {
      if address[end] == UInt8(ascii: "@") { start = end + 1 }
      end += 1
    }
    let www = "www.".utf8
    if address[start..<end].starts(with: www) { start += www.count }
    guard start < end, end - start <= 253, address[start..<end].contains(UInt8(ascii: ".")) else {
      return nil
    }
    return UnsafeRawBufferPointer(rebasing: address[start..<end])
  }

  /// The value of a field of an address's query, still percent-encoded; nil where it has none or it is empty.
  static func field(
    _ name: StaticString, of address: UnsafeRawBufferPointer
  ) -> UnsafeRawBufferPointer? {
    guard var place = address.firstIndex(of: UInt8(ascii: "?")) else { return nil }
    let count = name.utf8CodeUnitCount
    let wanted = UnsafeRawBufferPointer(start: name.utf8Start, count: count)
    while place < address.count, address[place] != UInt8(ascii: "#") {
      let start = place + 1
      var end = start
      while end < address.count, address[end] != UInt8(ascii: "&"),
        address[end] != UInt8(ascii: "#")
      {
        end += 1
      }
      if end - start > count + 1, address[start + count] == UInt8(ascii: "="),
        address[start..<start + count].elementsEqual(wanted)
      {
        return UnsafeRawBufferPointer(rebasing: address[start + count + 1..<end])
      }
      place = end
    }
    return nil
  }

  /// Appends a field's value without its encoding; what is not encoded rightly stays as it is.
  static func appendDecoded(_ text: UnsafeRawBufferPointer, to output: inout [UInt8]) {
    var index = 0
    while index < text.count {
      let byte = text[index]
      if byte == UInt8(ascii: "%"), index + 2 < text.count,
        let high = digit(text[index + 1]), let low = digit(text[index + 2])
      {
        output.append(high << 4 | low)
        index += 3
        continue
      }
      output.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
      index += 1
    }
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte & 0xf
    case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"):
      byte & 0x7 + 9
    default: nil
    }
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
      UInt8(ascii: "_"), 0x80...0xff:
      true
    default: false
    }
  }

  private static func find(_ part: StaticString, in text: UnsafeRawBufferPointer) -> Int? {
    let count = part.utf8CodeUnitCount
    guard text.count >= count else { return nil }
    let wanted = UnsafeRawBufferPointer(start: part.utf8Start, count: count)
    // A scheme is short.
    return (0...min(32, text.count - count)).first {
      text[$0..<$0 + count].elementsEqual(wanted)
    }
  }
}
