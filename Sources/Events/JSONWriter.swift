/// Appends JSON to bytes; commas come by themselves.
///
/// Writes exactly what it is told: the caller closes what it opens, and writes a key before each
/// member of an object. Escapes what RFC 8259 section 7 demands and nothing more.
///
///     var json = JSONWriter()
///     json.beginObject()
///     json.key("id")
///     json.string(event.id)
///     json.endObject()
public struct JSONWriter {
  public private(set) var bytes: [UInt8] = []
  private var needsComma = false

  public init(reserving capacity: Int = 256) { bytes.reserveCapacity(capacity) }

  public mutating func beginObject() { open(UInt8(ascii: "{")) }
  public mutating func endObject() { close(UInt8(ascii: "}")) }
  public mutating func beginArray() { open(UInt8(ascii: "[")) }
  public mutating func endArray() { close(UInt8(ascii: "]")) }

  public mutating func key(_ key: String) {
    string(key)
    endKey()
  }

  /// - Parameter utf8: text that is known to be valid UTF-8, not escaped.
  public mutating func key(utf8: UnsafeRawBufferPointer) {
    string(utf8: utf8)
    endKey()
  }

  private mutating func endKey() {
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  public mutating func string(_ text: String) {
    var text = text
    text.withUTF8 { string(utf8: UnsafeRawBufferPointer($0)) }
  }

  /// - Parameter utf8: text that is known to be valid UTF-8, not escaped.
  public mutating func string(utf8: UnsafeRawBufferPointer) {
    separate()
    bytes.append(UInt8(ascii: "\""))
    var start = 0
    var index = Self.plainCount(utf8)
    while index < utf8.count {
      let byte = utf8[index]
      if Self.needsEscape(byte) {
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: utf8[start..<index]))
        appendEscape(byte)
        start = index + 1
      }
      index += 1
    }
    bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: utf8[start...]))
    bytes.append(UInt8(ascii: "\""))
    needsComma = true
  }

  private static func needsEscape(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == 0x22 || byte == 0x5c
  }

  /// How many bytes at the beginning need no escape, eight at a time; most texts have no others.
  private static func plainCount(_ utf8: UnsafeRawBufferPointer) -> Int {
    var index = 0
    while index &+ 8 <= utf8.count {
      let word = ByteWord.load(utf8, at: index)
      let escaped =
        ByteWord.isBelow(word, 0x20) | ByteWord.isEqual(word, UInt8(ascii: "\""))
        | ByteWord.isEqual(word, UInt8(ascii: "\\"))
      if escaped != 0 { return index &+ escaped.trailingZeroBitCount &>> 3 }
      index &+= 8
    }
    return index
  }

  public mutating func integer(_ value: some FixedWidthInteger) { raw("\(value)") }

  /// The shortest text that reads back as the same double; `null` for infinity and NaN, which
  /// JSON does not have.
  public mutating func double(_ value: Double) { raw(value.isFinite ? "\(value)" : "null") }

  public mutating func bool(_ value: Bool) { raw(value ? "true" : "false") }

  public mutating func null() { raw("null") }

  /// - Parameter json: a whole JSON value.
  public mutating func raw(_ json: UnsafeRawBufferPointer) {
    separate()
    bytes.append(contentsOf: json)
    needsComma = true
  }

  /// - Parameter json: a whole JSON value.
  public mutating func raw(_ json: String) {
    separate()
    bytes.append(contentsOf: json.utf8)
    needsComma = true
  }

  /// Ends a line of JSON Lines; the next value starts anew.
  public mutating func newline() {
    bytes.append(0x0a)
    needsComma = false
  }

  /// Forgets what was written and keeps the memory.
  public mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    needsComma = false
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
  }

  private mutating func open(_ bracket: UInt8) {
    separate()
    bytes.append(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }

  private mutating func appendEscape(_ byte: UInt8) {
    bytes.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x22, 0x5c: bytes.append(byte)
    case 0x08: bytes.append(UInt8(ascii: "b"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    case 0x0a: bytes.append(UInt8(ascii: "n"))
    case 0x0c: bytes.append(UInt8(ascii: "f"))
    case 0x0d: bytes.append(UInt8(ascii: "r"))
    default:
      let digits = Array("0123456789abcdef".utf8)
      bytes.append(contentsOf: Array("u00".utf8))
      bytes.append(digits[Int(byte >> 4)])
      bytes.append(digits[Int(byte & 0xf)])
    }
  }
}
