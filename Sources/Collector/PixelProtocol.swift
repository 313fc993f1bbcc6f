import Events
import HTTPServer

/// Our own pixel: `GET /p.gif?k=…&t=impression&cid=…`, answered with a transparent GIF.
///
/// | field | meaning |
/// |---|---|
/// | `k` | write key |
/// | `t` | kind: impression (default), view, click, engagement, conversion, identify, custom, alias |
/// | `cid` `cnt` `var` `ch` | campaign, content, variant, channel |
/// | `uid` `aid` | the person: user id, anonymous id |
/// | `pid` | of an alias: the earlier id that `uid` takes over; else `aid` is that |
/// | `eid` | event id; without it every request is an event of its own |
/// | `ts` | the client's time in milliseconds since the epoch; else the time of receipt |
/// | `v` `cur` | money of a conversion and its currency (else the mapping's default) |
///
/// All fields but the key are kept as the event's payload. A field that comes twice counts as it
/// came last.
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

  /// The fields as they came, decoded.
  private struct Fields {
    var key = ""
    var kind = ""
    var campaign = ""
    var content = ""
    var variant = ""
    var channel = ""
    var user = ""
    var anonymous = ""
    var previous = ""
    var id = ""
    var time = ""
    var value = ""
    var currency = ""
    var payload = JSONWriter(reserving: 256)
    var isMalformed = false
  }

  static func read(_ input: IngestInput) -> IngestReading {
    let fields = fields(of: input.query)
    guard let key = input.keys.find(fields.key) else { return .unknownKey }
    do {
      return .events([try event(fields, key, input)], rejected: [], key)
    } catch {
      return .refused(Rejection(error, place: place, body: input.query), key)
    }
  }

  private static func fields(of query: UnsafeRawBufferPointer) -> Fields {
    var fields = Fields()
    fields.payload.beginObject()
    let span = query.bytes
    var scanner = QueryScanner()
    while let field = scanner.next(in: span) {
      guard let name = text(field.name, field.nameIsEncoded, query),
        let value = text(field.value, field.valueIsEncoded, query)
      else {
        fields.isMalformed = true
        continue
      }
      switch name {
      case "k":
        fields.key = value
        continue
      case "t": fields.kind = value
      case "cid": fields.campaign = value
      case "cnt": fields.content = value
      case "var": fields.variant = value
      case "ch": fields.channel = value
      case "uid": fields.user = value
      case "aid": fields.anonymous = value
      case "pid": fields.previous = value
      case "eid": fields.id = value
      case "ts": fields.time = value
      case "v": fields.value = value
      case "cur": fields.currency = value
      default: break
      }
      fields.payload.key(name)
      fields.payload.string(value)
    }
    fields.payload.endObject()
    return fields
  }

  private static func text(
    _ range: Range<Int>, _ isEncoded: Bool, _ query: UnsafeRawBufferPointer
  ) -> String? {
    if !isEncoded {
      let bytes = UnsafeRawBufferPointer(rebasing: query[range])
      return isASCII(bytes)
        ? String(decoding: bytes, as: UTF8.self) : String(validating: bytes, as: UTF8.self)
    }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(range.count)
    guard PercentEncoding.decode(range, in: query.bytes, to: &decoded) else { return nil }
    return String(validating: decoded, as: UTF8.self)
  }

  /// Nearly every field is; checking that is much cheaper than validating UTF-8.
  private static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var all: UInt8 = 0
    for byte in bytes { all |= byte }
    return all < 0x80
  }

  private static func event(
    _ fields: Fields, _ key: WriteKey, _ input: IngestInput
  ) throws(Refusal) -> IncomingEvent {
    if fields.isMalformed {
      throw Refusal(.malformedQuery, "fields are UTF-8, percent-encoded as %41")
    }
    guard let kind = fields.kind.isEmpty ? .impression : EventKind(name: fields.kind) else {
      let kinds = EventKind.allCases.map(\.name).joined(separator: ", ")
      throw Refusal(.unknownKind, "t is one of \(kinds)")
    }
    let id = fields.id.isEmpty ? input.uniqueID() : try FieldText.check(fields.id, "eid")
    let user = try FieldText.check(fields.user, "uid")
    let anonymous = try FieldText.check(fields.anonymous, "aid")
    var revenue: Int64 = 0
    var currency = ""
    if kind == .conversion && !fields.value.isEmpty {
      revenue = try Conversion.revenue(fields.value, "v")
      currency =
        fields.currency.isEmpty
        ? key.mapping.mapping.defaultCurrency : try Conversion.currency(fields.currency, "cur")
    }
    let tuple = DimensionTuple(
      site: key.site, campaign: try FieldText.check(fields.campaign, "cid"),
      content: try FieldText.check(fields.content, "cnt"),
      variant: try FieldText.check(fields.variant, "var"),
      channel: try FieldText.check(fields.channel, "ch"), currency: currency)
    var person = !anonymous.isEmpty ? anonymous : !user.isEmpty ? user : id
    if kind == .alias {
      let previous = try FieldText.check(fields.previous, "pid")
      guard !user.isEmpty, !previous.isEmpty || !anonymous.isEmpty else {
        throw Refusal(.noIdentity, "an alias has uid, and pid or aid")
      }
      if !previous.isEmpty { person = previous }
    }
    return IncomingEvent(
      kind: kind,
      key: EventIdentity.dedupeKey(site: key.site, source: key.source, eventID: id),
      person: EventIdentity.personKey(site: key.site, id: person),
      user: user.isEmpty ? .zero : EventIdentity.personKey(site: key.site, id: user),
      eventTime: try time(fields.time) ?? input.receivedAt, receivedAt: input.receivedAt,
      dimensions: tuple.encoded, revenueMicros: revenue, id: id, name: kind.name,
      source: "pixel/\(key.source)", payload: fields.payload.bytes)
  }

  /// - Returns: microseconds since the epoch; nil where the text is empty.
  private static func time(_ text: String) throws(Refusal) -> Int64? {
    if text.isEmpty { return nil }
    guard let milliseconds = Int64(text), (0...Timestamp.max / 1000).contains(milliseconds) else {
      throw Refusal(.badTimestamp, "ts is milliseconds since 1970, such as 1767225600000")
    }
    return milliseconds * 1000
  }
}
