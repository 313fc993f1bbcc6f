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

  /// The names of the fields: the raw value is their bytes, the first in the lowest bits.
  enum Name: UInt32 {
    case k = 0x6b
    case t = 0x74
    case n = 0x6e
    case cid = 0x64_6963
    case cnt = 0x74_6e63
    case `var` = 0x72_6176
    case ch = 0x6863
    case uid = 0x64_6975
    case aid = 0x64_6961
    case pid = 0x64_6970
    case eid = 0x64_6965
    case ts = 0x7374
    case v = 0x76
    case cur = 0x72_7563

    init?(_ bytes: UnsafeRawBufferPointer) {
      guard bytes.count <= 3 else { return nil }
      var code: UInt32 = 0
      for index in bytes.indices { code |= UInt32(bytes[index]) &<< UInt32(8 &* index) }
      self.init(rawValue: code)
    }
  }

  /// Reads the value of a field where its name means something here.
  ///
  /// - Returns: false where it does not; the value is then still to be read.
  mutating func take<E: Error>(
    _ field: String, _ value: () throws(E) -> String
  ) throws(E) -> Bool {
    var field = field
    guard let name = field.withUTF8({ Name(UnsafeRawBufferPointer($0)) }) else { return false }
    set(name, try value())
    return true
  }

  mutating func set(_ name: Name, _ text: String) {
    switch name {
    case .k: key = text
    case .t: kind = text
    case .n: self.name = text
    case .cid: campaign = text
    case .cnt: content = text
    case .var: variant = text
    case .ch: channel = text
    case .uid: user = text
    case .aid: anonymous = text
    case .pid: previous = text
    case .eid: id = text
    case .ts: time = text
    case .v: value = text
    case .cur: currency = text
    }
  }

  /// - Parameters:
  ///   - kind: where it is not for `t` to say.
  ///   - fallbackID: of an event without `eid`.
  func event(
    protocolName: String, kind stated: EventKind? = nil, key: WriteKey, receivedAt: Int64,
    sentAt: Int64 = 0, payload: [UInt8], fallbackID: () throws(Refusal) -> String
  ) throws(Refusal) -> IncomingEvent {
    guard let kind = stated ?? (kind.isEmpty ? .impression : EventKind(name: kind)) else {
      let kinds = EventKind.sent.map(\.name).joined(separator: ", ")
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
    taking: ((_ name: String, _ value: String) -> Bool)? = nil
  ) {
    payload.beginObject()
    let isPlain = taking == nil && Self.isASCII(query)
    var scanner = QueryScanner()
    while let field = scanner.next(in: query.bytes) {
      if isPlain, !field.nameIsEncoded, !field.valueIsEncoded {
        take(
          plain: UnsafeRawBufferPointer(rebasing: query[field.name]),
          UnsafeRawBufferPointer(rebasing: query[field.value]))
        continue
      }
      guard let name = Self.text(field.name, field.nameIsEncoded, query),
        let value = Self.text(field.value, field.valueIsEncoded, query)
      else {
        isMalformed = true
        continue
      }
      if taking?(name, value) ?? false { continue }
      _ = fields.take(name) { value }
      if name == "k" { continue }
      payload.key(name)
      payload.string(value)
    }
    payload.endObject()
  }

  /// Takes a field in ASCII without escapes, as nearly all are: only what means something becomes a text.
  private mutating func take(plain name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    let known = PixelFields.Name(name)
    if let known { fields.set(known, String(decoding: value, as: UTF8.self)) }
    if known == .k { return }
    payload.key(utf8: name)
    payload.string(utf8: value)
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
    if !isEncoded { return String(validating: query[range], as: UTF8.self) }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(range.count)
    guard PercentEncoding.decode(range, in: query.bytes, to: &decoded) else { return nil }
    return String(validating: decoded, as: UTF8.self)
  }

  /// Nearly every query is; checking that is much cheaper than validating UTF-8.
  private static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var all: UInt8 = 0
    for byte in bytes { all |= byte }
    return all < 0x80
  }
}
