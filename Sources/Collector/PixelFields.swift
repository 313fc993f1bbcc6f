import Events
import HTTPServer

/// The fields of our own protocols: pixel, beacon and click link.
///
/// | field | meaning |
/// |---|---|
/// | `k` | write key |
/// | `t` | kind: impression (default), view, click, engagement, conversion, identify, custom, alias, unlink, exposure |
/// | `n` | name, such as that of a custom event; else the kind's |
/// | `cid` `cnt` `var` `ch` | campaign, content, variant, channel |
/// | `uid` `aid` | the person: user id, anonymous id |
/// | `pid` | of an alias: the earlier id that `uid` takes over; else `aid` is that |
/// | `eid` | event id; without it every request is an event of its own |
/// | `ts` | the client's time in milliseconds since the epoch; else the time of receipt |
/// | `v` `cur` | money of a conversion and its currency (else the mapping's default) |
///
/// All fields but the key are kept as the event's payload. A field that comes twice counts as it
/// came last.
struct PixelFields {
  var key = ""
  var kind = ""
  var name = ""
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

  /// Reads the value of a field where its name means something here.
  ///
  /// - Returns: false where it does not; the value is then still to be read.
  mutating func take<E: Error>(
    _ field: String, _ value: () throws(E) -> String
  ) throws(E) -> Bool {
    switch field {
    case "k": key = try value()
    case "t": kind = try value()
    case "n": name = try value()
    case "cid": campaign = try value()
    case "cnt": content = try value()
    case "var": variant = try value()
    case "ch": channel = try value()
    case "uid": user = try value()
    case "aid": anonymous = try value()
    case "pid": previous = try value()
    case "eid": id = try value()
    case "ts": time = try value()
    case "v": self.value = try value()
    case "cur": currency = try value()
    default: return false
    }
    return true
  }

  /// - Parameters:
  ///   - kind: where it is not for `t` to say.
  ///   - fallbackID: of an event without `eid`.
  func event(
    protocolName: String, kind stated: EventKind? = nil, key: WriteKey, receivedAt: Int64,
    sentAt: Int64 = 0, payload: [UInt8], fallbackID: () throws(Refusal) -> String
  ) throws(Refusal) -> IncomingEvent {
    guard let kind = stated ?? (kind.isEmpty ? .impression : EventKind(name: kind)) else {
      let kinds = EventKind.allCases.map(\.name).joined(separator: ", ")
      throw Refusal(.unknownKind, "t is one of \(kinds)")
    }
    var draft = EventDraft()
    draft.kind = kind
    draft.name = name.isEmpty ? kind.name : name
    draft.id = id.isEmpty ? try fallbackID() : id
    draft.anonymous = anonymous
    draft.user = user
    draft.previous = previous
    draft.time = try Self.time(time, "ts")
    draft.sentAt = sentAt
    draft.properties.campaign.fill(try FieldText.check(campaign, "cid"))
    draft.properties.content.fill(try FieldText.check(content, "cnt"))
    draft.properties.variant.fill(try FieldText.check(variant, "var"))
    draft.properties.channel.fill(try FieldText.check(channel, "ch"))
    draft.properties.revenue.fill(value)
    draft.properties.currency.fill(currency)
    draft.payload = payload
    let id = draft.id
    return try draft.event(
      protocolName: protocolName, key: key, receivedAt: receivedAt,
      fallbackID: { () throws(Refusal) in id }, fallbackPerson: id)
  }

  /// - Returns: microseconds since the epoch; nil where the text is empty.
  static func time(_ text: String, _ field: String) throws(Refusal) -> Int64? {
    if text.isEmpty { return nil }
    guard let milliseconds = Int64(text), (0...Timestamp.max / 1000).contains(milliseconds) else {
      throw Refusal(.badTimestamp, "\(field) is milliseconds since 1970, such as 1767225600000")
    }
    return milliseconds * 1000
  }
}

/// The fields of a query, with the payload that they make.
struct PixelQuery {
  var fields = PixelFields()
  /// A JSON object of all fields but the key, each a text.
  var payload = JSONWriter(reserving: 256)
  /// Whether some field is not UTF-8 or not rightly encoded. It is left out.
  private(set) var isMalformed = false

  /// - Parameter taking: gets each field first; what it takes is no field of the event and not kept.
  init(
    _ query: UnsafeRawBufferPointer,
    taking: (_ name: String, _ value: String) -> Bool = { _, _ in false }
  ) {
    payload.beginObject()
    var scanner = QueryScanner()
    while let field = scanner.next(in: query.bytes) {
      guard let name = Self.text(field.name, field.nameIsEncoded, query),
        let value = Self.text(field.value, field.valueIsEncoded, query)
      else {
        isMalformed = true
        continue
      }
      if taking(name, value) { continue }
      _ = fields.take(name) { value }
      if name == "k" { continue }
      payload.key(name)
      payload.string(value)
    }
    payload.endObject()
  }

  /// See ``PixelFields/event(protocolName:kind:key:receivedAt:sentAt:payload:fallbackID:)``.
  func event(
    protocolName: String, kind: EventKind? = nil, key: WriteKey, _ input: IngestInput
  ) throws(Refusal) -> IncomingEvent {
    if isMalformed {
      throw Refusal(.malformedQuery, "fields are UTF-8, percent-encoded as %41")
    }
    return try fields.event(
      protocolName: protocolName, kind: kind, key: key, receivedAt: input.receivedAt,
      payload: payload.bytes, fallbackID: { () throws(Refusal) in input.uniqueID() })
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
}
