import Events
import HTTPServer

/// An event of the binary mode in its structured form: attributes from header fields, data from the body.
///
/// Source: CloudEvents 1.0.2, HTTP protocol binding, section 3.1.3, and JSON event format, section
/// 3.1. A value in double quotes is unquoted, then percent-decoded once. Attributes stand in the order
/// in which they came, all as texts; one that comes twice counts as it came first. Data is a JSON value
/// where its type says that it is one, else base 64.
struct CloudEventsBinary {
  /// The event, a JSON object; also where it is refused, with what could not be decoded as it came.
  let json: [UInt8]
  /// What is wrong with it already.
  private(set) var refusal: Refusal?

  init(_ input: IngestInput) {
    var json = JSONWriter(reserving: input.body.count + 512)
    var seen: Set<String> = []
    json.beginObject()
    for (field, value) in input.headerFields() {
      let name = field.lowercased()
      guard name.hasPrefix("ce-"), seen.insert(name).inserted else { continue }
      let attribute = String(name.dropFirst(3))
      guard !Self.reserved.contains(attribute) else {
        refusal = Refusal(
          .badAttribute, "the header has no ce-\(attribute): that is Content-Type or the body")
        continue
      }
      let decoded = Self.decoded(value)
      if decoded == nil {
        refusal = Refusal(
          .badAttribute, "header fields of attributes are UTF-8, percent-encoded as %C3%A9")
      }
      json.key(attribute)
      json.string(decoded ?? value)
    }
    let contentType = input.header("content-type") ?? ""
    if !contentType.isEmpty {
      json.key("datacontenttype")
      json.string(contentType)
    }
    if !input.body.isEmpty { Self.append(input.body, contentType, to: &json) }
    json.endObject()
    self.json = json.bytes
  }

  /// Members of the JSON form that are no attributes of the header.
  private static let reserved: Set<String> = ["data", "data_base64", "datacontenttype"]

  /// What is no JSON though its type says so goes as base 64, and is refused when it is read.
  private static func append(
    _ body: UnsafeRawBufferPointer, _ contentType: String, to json: inout JSONWriter
  ) {
    if contentType.isEmpty || MediaType(contentType).isJSON, isJSON(body) {
      json.key("data")
      json.raw(body)
    } else {
      json.key("data_base64")
      json.string(Base64.encode(body))
    }
  }

  private static func isJSON(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var scanner = JSONScanner(bytes)
    do throws(JSONError) {
      try scanner.skipValue()
      try scanner.end()
      return true
    } catch {
      return false
    }
  }

  /// - Returns: nil where the bytes are not UTF-8. A `%` that begins no escape stands for itself:
  ///   clients that do not encode send such, and clients that do never.
  private static func decoded(_ value: String) -> String? {
    // What came in the place of other bytes: of two that differ in them alone one would be taken for a copy.
    guard !value.unicodeScalars.contains("\u{fffd}") else { return nil }
    let bytes = unquoted(Array(value.utf8))
    guard bytes.contains(UInt8(ascii: "%")) else { return String(validating: bytes, as: UTF8.self) }
    var decoded: [UInt8] = []
    let isEncoded = PercentEncoding.decode(
      0..<bytes.count, in: bytes.span.bytes, plusIsSpace: false, to: &decoded)
    return String(validating: isEncoded ? decoded : bytes, as: UTF8.self)
  }

  /// RFC 7230 section 3.2.6.
  private static func unquoted(_ bytes: [UInt8]) -> [UInt8] {
    let quote = UInt8(ascii: "\"")
    guard bytes.count >= 2, bytes.first == quote, bytes.last == quote else { return bytes }
    var output: [UInt8] = []
    var isEscaped = false
    for byte in bytes.dropFirst().dropLast() {
      if byte == UInt8(ascii: "\\"), !isEscaped {
        isEscaped = true
      } else {
        output.append(byte)
        isEscaped = false
      }
    }
    return output
  }
}
