import Events
import Glibc
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
/// | `ts` | the client's time in milliseconds (or seconds) since the epoch; else the time of receipt |
/// | `v` `cur` | money of a conversion and its currency (else the mapping's default) |
/// | `url` | the page's address: campaign, content and channel where they are missing (``CampaignTag``) |
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
  var page = ""

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
    case url = 0x6c_7275

    /// Whether it may be longer than it is kept.
    var isOfAnyLength: Bool {
      switch self {
      case .cid, .cnt, .var, .ch, .url: true
      case .k, .t, .n, .uid, .aid, .pid, .eid, .ts, .v, .cur: false
      }
    }

    init?(_ name: String) {
      var name = name
      guard let known = name.withUTF8({ Name(UnsafeRawBufferPointer($0)) }) else { return nil }
      self = known
    }

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
    guard let name = Name(field) else { return false }
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
    case .url: page = text
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
    draft.isKindStated = true
    draft.properties.campaign.fill(dimension: campaign)
    draft.properties.content.fill(dimension: content)
    draft.properties.variant.fill(dimension: variant)
    draft.properties.channel.fill(dimension: channel)
    draft.properties.page.fill(page)
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
    guard let time = FieldTime.micros(text) else {
      throw Refusal(
        .badTimestamp,
        "\(field) is milliseconds since 1970, such as 1767225600000, from 1980 to 2100",
        at: FieldText.path(field))
    }
    return time
  }
}

/// The fields of a query, with the payload that they make.
struct PixelQuery {
  var fields = PixelFields()
  /// A JSON object of all fields but the key, each a text.
  private(set) var payload: [UInt8] = []
  /// Whether neither the names of its fields nor the form of their texts tell anything personal.
  private(set) var saysNothing = false
  /// Whether some field is not UTF-8 or not rightly encoded. It is left out.
  private(set) var isMalformed = false

  /// - Parameter taking: gets each field first; what it takes is no field of the event and not kept.
  init(
    _ query: UnsafeRawBufferPointer,
    taking: ((_ name: String, _ value: String) -> Bool)? = nil
  ) {
    if taking == nil, let separators = Self.separatorsOfPlain(query) {
      read(plain: query, separators: separators)
      return
    }
    var payload = JSONWriter(reserving: query.count + 64)
    payload.beginObject()
    var scanner = QueryScanner()
    while let field = scanner.next(in: query.bytes) {
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
    self.payload = payload.bytes
  }

  // MARK: Plain queries

  /// How many `&` are in a query of plain ASCII alone, as nearly all are: nothing in it is encoded, and nothing in
  /// it is escaped in JSON.
  ///
  /// - Returns: nil where it is another one.
  private static func separatorsOfPlain(_ query: UnsafeRawBufferPointer) -> Int? {
    var separators = 0
    var others: UInt64 = 0
    var index = 0
    while index < query.count {
      // Behind the end there are zeros, which would be control characters.
      let filler =
        query.count &- index >= 8 ? 0 : UInt64.max &<< UInt64(8 &* (query.count &- index))
      let word = ByteWord.tail(query, from: index) | filler & ByteWord.all(UInt8(ascii: " "))
      separators &+= ByteWord.count(ByteWord.isEqual(word, UInt8(ascii: "&")))
      others |=
        word & ByteWord.highest | ByteWord.isBelow(word, 0x20)
        | ByteWord.isEqual(word, UInt8(ascii: "%")) | ByteWord.isEqual(word, UInt8(ascii: "+"))
        | ByteWord.isEqual(word, UInt8(ascii: "\"")) | ByteWord.isEqual(word, UInt8(ascii: "\\"))
      index &+= 8
    }
    return others == 0 ? separators : nil
  }

  /// Copies each field to its place; only what means something becomes a text.
  private mutating func read(plain query: UnsafeRawBufferPointer, separators: Int) {
    var fields = PixelFields()
    var saysNothing = true
    // Of each field six signs are added, of which two take the place of `&` and `=`.
    payload = [UInt8](unsafeUninitializedCapacity: query.count + 6 * separators + 8) {
      output, count in
      func put(_ sign: UInt8) {
        output[count] = sign
        count &+= 1
      }
      func put(_ text: UnsafeRawBufferPointer) {
        if let place = output.baseAddress, let start = text.baseAddress {
          memcpy(place + count, start, text.count)
          count &+= text.count
        }
      }
      put(UInt8(ascii: "{"))
      var start = 0
      while start < query.count {
        let end = Self.first(UInt8(ascii: "&"), query, start..<query.count)
        defer { start = end + 1 }
        if end == start { continue }
        let equals = Self.first(UInt8(ascii: "="), query, start..<end)
        let name = UnsafeRawBufferPointer(rebasing: query[start..<equals])
        let value = UnsafeRawBufferPointer(rebasing: query[min(equals + 1, end)..<end])
        let known = PixelFields.Name(name)
        if let known { fields.set(known, String(decoding: value, as: UTF8.self)) }
        if known == .k { continue }
        if saysNothing {
          saysNothing =
            (known != nil || PersonalNames.isPlain(name)) && PlainText.saysNothing(value)
        }
        if count > 1 { put(UInt8(ascii: ",")) }
        put(UInt8(ascii: "\""))
        put(name)
        put(UInt8(ascii: "\""))
        put(UInt8(ascii: ":"))
        put(UInt8(ascii: "\""))
        put(value)
        put(UInt8(ascii: "\""))
      }
      put(UInt8(ascii: "}"))
    }
    self.fields = fields
    self.saysNothing = saysNothing
  }

  /// Where a sign is, or the end of the range.
  private static func first(
    _ sign: UInt8, _ text: UnsafeRawBufferPointer, _ range: Range<Int>
  ) -> Int {
    guard let base = text.baseAddress,
      let found = memchr(base + range.lowerBound, Int32(sign), range.count)
    else { return range.upperBound }
    return UnsafeRawPointer(found) - base
  }

  // MARK: Events

  /// See ``PixelFields/event(protocolName:kind:key:receivedAt:sentAt:payload:fallbackID:)``.
  func event(
    protocolName: String, kind: EventKind? = nil, key: WriteKey, _ input: IngestInput
  ) throws(Refusal) -> IncomingEvent {
    if isMalformed {
      throw Refusal(.malformedQuery, "fields are UTF-8, percent-encoded as %41")
    }
    return try fields.event(
      protocolName: protocolName, kind: kind, key: key, receivedAt: input.receivedAt,
      payload: payload, fallbackID: { () throws(Refusal) in input.uniqueID() })
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
}
