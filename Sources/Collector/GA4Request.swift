import Events

/// What stands around the events of a request of Google's Measurement Protocol, found in one pass that
/// also checks that all of it is JSON. Borrows the scanned bytes.
struct GA4Request {
  /// The browser, or the installation of an app; empty where it is not there.
  private(set) var client = ""
  private(set) var user = ""
  /// Microseconds since the epoch; nil where the client named none.
  private(set) var time: Int64?
  /// The array of events.
  private(set) var events: UnsafeRawBufferPointer
  /// All members but the events, each with a comma behind it.
  private var others: [UInt8] = []

  /// - Throws: ``JSONError``; ``Refusal`` where a member is not what it has to be.
  init(_ bytes: UnsafeRawBufferPointer) throws {
    var list: UnsafeRawBufferPointer?
    events = UnsafeRawBufferPointer(start: nil, count: 0)
    var json = JSONScanner(bytes)
    guard try json.peek() == .object else {
      throw Refusal(.notAnObject, "a request is a JSON object with client_id and events")
    }
    try json.beginObject()
    while let name = try json.nextKey() {
      _ = try json.peek()  // Over the white space, so that the value begins here.
      let start = json.offset
      switch name {
      case "client_id", "app_instance_id":
        client = try FieldText.scalar(&json, "client_id") ?? client
      case "user_id": user = try FieldText.scalar(&json, "user_id") ?? ""
      case "timestamp_micros": time = try Self.micros(&json)
      case "events":
        guard try json.peek() == .array else { throw Self.noEvents }
        list = try json.skipValue()
        continue
      default: try json.skipValue()
      }
      others.append(UInt8(ascii: "\""))
      others.append(contentsOf: name.bytes)
      others.append(contentsOf: "\":".utf8)
      others.append(contentsOf: bytes[start..<json.offset])
      others.append(UInt8(ascii: ","))
    }
    try json.end()
    guard let list else { throw Self.noEvents }
    guard !client.isEmpty || !user.isEmpty else {
      throw Refusal(.noIdentity, "a request has a client_id, which names its person")
    }
    events = list
  }

  private static let noEvents = Refusal(
    .malformedJSON, "the request has a member events, an array of events")

  /// The request with one of its events alone: what is kept of the event, and what can be sent again.
  func alone(_ event: UnsafeRawBufferPointer) -> [UInt8] {
    with(events: Array("[".utf8) + event + Array("]".utf8))
  }

  /// The request with other events.
  ///
  /// - Parameter list: a JSON array.
  func with(events list: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(others.count + list.count + 16)
    bytes.append(UInt8(ascii: "{"))
    bytes.append(contentsOf: others)
    bytes.append(contentsOf: #""events":"#.utf8)
    bytes.append(contentsOf: list)
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }

  /// Microseconds since the epoch, as a number or as text; nil for null.
  static func micros(_ json: inout JSONScanner) throws -> Int64? {
    guard let text = try FieldText.scalar(&json, "timestamp_micros") else { return nil }
    guard let micros = Int64(text), (0...Timestamp.max).contains(micros) else {
      throw Refusal(
        .badTimestamp,
        "timestamp_micros is microseconds since 1970, such as 1767225600000000")
    }
    return micros
  }
}
