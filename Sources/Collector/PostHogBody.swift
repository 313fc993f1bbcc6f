import Events
import HTTPServer

/// Takes the JSON of a PostHog request out of what it is wrapped in.
///
///     ?data=… or the body  ->  form field data=…  ->  base64  ->  gzip  ->  JSON
///
/// Any of the layers may be missing. What each is, is told by its bytes: SDKs also say it in
/// `compression=gzip-js|base64` and in `Content-Type`, but not all of them and not always truly. Layers
/// of gzip that the header names, or that begin the body, are gone before.
///
/// Source: PostHog's capture service and posthog-js. Its LZ-string compression, which only very old SDKs
/// use, is not known here.
enum PostHogBody {
  /// A batch, on the wire and inflated: PostHog's own limit.
  static let bytesMax = 20 * 1024 * 1024
  /// A form, base64, gzip, and base64 around all of it.
  private static let layersMax = 4

  /// - Returns: nil where the body is JSON as it came.
  /// - Throws: ``Refusal``.
  static func unwrapped(_ input: IngestInput) throws -> [UInt8]? {
    var bytes: [UInt8]
    if let data = QueryField.bytes("data", in: input.query) {
      bytes = data
    } else {
      guard let inner = try peel(input.body) else { return nil }
      bytes = inner
    }
    for _ in 0..<layersMax {
      guard let inner = try bytes.withUnsafeBytes({ try peel($0) }) else { return bytes }
      bytes = inner
    }
    throw Self.unknownForm
  }

  private static let unknownForm = Refusal(
    .malformedJSON,
    "the events are a JSON object or array: as the body or the field data, plain, in gzip, or in "
      + "base64")

  /// Takes one layer off; nil where what is there begins like JSON.
  private static func peel(_ bytes: UnsafeRawBufferPointer) throws(Refusal) -> [UInt8]? {
    switch bytes.first(where: { !isSpace($0) }) {
    case nil: throw unknownForm
    case UInt8(ascii: "{"), UInt8(ascii: "["): return nil
    default: break
    }
    if bytes.count > 2, bytes[0] == 0x1f, bytes[1] == 0x8b {
      do {
        return try inflate(bytes, maxBytes: bytesMax)
      } catch {
        throw Refusal(.badCompression, error.description)
      }
    }
    if let data = QueryField.bytes("data", in: bytes) { return data }
    let last = bytes.lastIndex { !isSpace($0) } ?? 0
    guard let decoded = LooseBase64.decode(bytes[...last]) else { throw unknownForm }
    return decoded
  }

  /// White space of JSON.
  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09
  }
}
