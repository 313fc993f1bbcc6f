import Events
import HTTPServer

/// Segment's calls as images, for mails and pages without scripts; answered with a GIF.
///
/// | address | the call |
/// |---|---|
/// | `GET /v1/pixel/track?data=…`; `identify`, `page`, `screen`, `group`, `alias` | in `data`, JSON in base 64 or plain |
/// | the same without `data` | in fields, members within others with points: `properties.subject=News` |
/// | `GET /pixel/v1/track`, `/pixel/v1/page` | as the one above: RudderStack's |
///
/// Source: the documentation of both ("Pixel Tracking API", "Pixel API"). An image that has neither an id nor a time
/// is an event of its own each time it is shown; with one of them, what is sent again is known.
enum SegmentPixel {
  /// Fields of an image; the query's length bounds them far less.
  private static let fieldsMax = 200
  /// Points in the name of a field.
  private static let levelsMax = 16

  static let endpoints: [IngestEndpoint] =
    SegmentEvent.CallType.allCases.map { endpoint("/v1/pixel/\($0.rawValue)", $0) }
    + [endpoint("/pixel/v1/track", .track), endpoint("/pixel/v1/page", .page)]

  private static func endpoint(_ path: String, _ type: SegmentEvent.CallType) -> IngestEndpoint {
    IngestEndpoint(method: .get, path: path, keyField: SegmentProtocol.keyField) {
      read($0, type, place: path)
    }
  }

  private static func read(
    _ input: IngestInput, _ type: SegmentEvent.CallType, place: String
  ) -> IngestReading {
    let body: [UInt8]
    do throws(Refusal) {
      body = try call(input)
    } catch {
      let name = WriteKeyName.find(input, field: SegmentProtocol.keyField)
      guard let key = name.flatMap({ input.keys.find($0) }) else { return .unknownKey }
      return .refused(Rejection(error, place: place, body: input.query), key)
    }
    let reading = body.withUnsafeBytes { body in
      SegmentProtocol.readCall(input.with(body: body), type: type, place: place)
    }
    switch reading {
    case .events(let events, let rejected, let key, _):
      return .events(events, rejected: rejected, key, reply: IngestReply(stored: answer))
    case .refused(var rejection, let key):
      // It is read again as it came.
      rejection.replaceBody(Array(input.query))
      return .refused(rejection, key)
    case .unknownKey, .unknownKeyOnLink, .problem: return reading
    }
  }

  @Sendable private static func answer(_ stored: StoredAnswer) -> FastResponse {
    FastResponse(PixelProtocol.image, extraHeaders: stored.positionHeader)
  }

  // MARK: The call

  /// The call as a body has it.
  private static func call(_ input: IngestInput) throws(Refusal) -> [UInt8] {
    var call: JSONTree
    if let data = QueryField.bytes("data", in: input.query) {
      call = try decoded(data)
    } else {
      call = try members(input.query)
    }
    let told = ["messageId", "timestamp", "originalTimestamp"]
    if !told.contains(where: { call[$0] != nil }) {
      call["messageId"] = .string(input.uniqueID())
    }
    return call.bytes
  }

  private static func decoded(_ data: [UInt8]) throws(Refusal) -> JSONTree {
    let isPlain = data.first { $0 > 0x20 } == UInt8(ascii: "{")
    guard let json = isPlain ? data : LooseBase64.decode(data) else {
      throw Refusal(.malformedQuery, "data is the JSON of the call, plain or in base 64")
    }
    let call: JSONTree
    do throws(JSONError) {
      call = try JSONTree(json)
    } catch {
      throw Refusal(.malformedJSON, "\(error)")
    }
    guard case .object = call else { throw Refusal(.notAnObject, "data is a JSON object") }
    return call
  }

  private static func members(_ query: UnsafeRawBufferPointer) throws(Refusal) -> JSONTree {
    let fields = TextFields(form: query)
    try fields.check()
    guard fields.all.count <= fieldsMax else {
      throw Refusal(.eventTooLarge, "an image may have \(fieldsMax) fields")
    }
    var call = JSONTree.object([])
    for (name, value) in fields.all where !["writeKey", "k"].contains(name) {
      let path = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      guard path.count <= levelsMax else {
        throw Refusal(.malformedQuery, "the name of a field may have \(levelsMax) parts")
      }
      set(value, at: path[...], in: &call)
    }
    return call
  }

  /// Of a member and of members within it, what came last counts.
  private static func set(_ value: String, at path: ArraySlice<String>, in tree: inout JSONTree) {
    guard let name = path.first else { return }
    guard path.count > 1 else {
      tree[name] = .string(value)
      return
    }
    var inner = tree[name] ?? .object([])
    if case .object = inner {} else { inner = .object([]) }
    set(value, at: path.dropFirst(), in: &inner)
    tree[name] = inner
  }
}

extension IngestInput {
  /// The same request with another body.
  fileprivate func with(body: UnsafeRawBufferPointer) -> IngestInput {
    var input = IngestInput(
      query: query, body: body, header: header, headerFields: headerFields, keys: keys,
      receivedAt: receivedAt, uniqueID: uniqueID, redirects: redirects)
    input.isSecure = isSecure
    return input
  }
}
