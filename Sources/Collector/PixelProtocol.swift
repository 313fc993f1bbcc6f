import Events
import HTTPServer

/// Our own pixel: `GET /p.gif?k=…&t=impression&cid=…`, answered with a transparent GIF. Its fields
/// are ``PixelFields``.
enum PixelProtocol {
  static let declaration = IngestProtocol(
    name: "pixel", bodyBytesMax: 0,
    endpoints: [IngestEndpoint(method: .get, path: "/p.gif", read: read)],
    answer: { FastResponse(image, extraHeaders: $0.positionHeader) })

  /// 43 bytes: GIF89a, one transparent pixel.
  static let gif: [UInt8] = [
    0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 0x01, 0x00, 0x01, 0x00, 0xf0, 0x00, 0x00, 0xff, 0xff, 0xff,
    0x00, 0x00, 0x00, 0x21, 0xf9, 0x04, 0x05, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x01, 0x00, 0x00, 0x02, 0x02, 0x44, 0x01, 0x00, 0x3b,
  ]

  static let image = PreparedResponse(
    status: .ok,
    headers: [
      (name: "Content-Type", value: "image/gif"),
      (name: "Cache-Control", value: "no-cache, no-store, must-revalidate"),
    ], body: gif)

  private static let place = "/p.gif"

  static func read(_ input: IngestInput) -> IngestReading {
    let query = PixelQuery(input.query)
    guard let key = input.keys.find(query.fields.key) else { return .unknownKey }
    do {
      var reply = IngestReply()
      if query.saysNothing { reply.likeness = [.clean] }
      return .events(
        [try query.event(protocolName: "pixel", key: key, input)], rejected: [], key, reply: reply)
    } catch {
      return .refused(Rejection(error, place: place, body: input.query), key)
    }
  }
}
