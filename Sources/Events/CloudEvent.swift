/// The log as people and other programs read it: CloudEvents 1.0 in the JSON format, one a line.
///
/// Source: CloudEvents 1.0.2, its JSON event format, and its `partitioning` and `sequence`
/// extensions. Attributes that would be empty are left out. `sequence` is text, because CloudEvents
/// integers have 32 bits.
public enum CloudEvent {
  /// Where a frame lies in the log.
  public struct Place: Hashable, Sendable {
    /// Such as `events-00`.
    public var stream: String
    public var sequence: UInt64
    /// Microseconds since the epoch.
    public var storedAt: Int64

    public init(stream: String, sequence: UInt64, storedAt: Int64) {
      self.stream = stream
      self.sequence = sequence
      self.storedAt = storedAt
    }
  }

  /// A line for each event of the frame; one line for a heartbeat.
  public static func appendLines(
    of frame: borrowing FrameView, at place: Place, to json: inout JSONWriter
  ) {
    if frame.header.kind == .heartbeat { appendHeartbeat(frame.header, at: place, to: &json) }
    for index in 0..<frame.count { appendLine(of: frame, event: index, at: place, to: &json) }
  }

  /// The line of one event or dead letter.
  ///
  /// - Parameter index: of the event in the frame.
  public static func appendLine(
    of frame: borrowing FrameView, event index: Int, at place: Place, to json: inout JSONWriter
  ) {
    let dimensions = DimensionTuple(encoded: frame.tupleBytes(frame.tuple(index)))
    let isDeadLetter = frame.header.kind == .deadLetters
    let kind = EventKind(rawValue: frame.kind(index)) ?? .custom
    json.beginObject()
    appendContext(
      id: frame.id(index), type: isDeadLetter ? "dead-letter" : kind.name,
      source: "/sites/\(escaped(dimensions?.site ?? ""))/\(escaped(frame.source(index)))",
      time: frame.eventTime(index), to: &json)
    attribute("subject", dimensions?.content, to: &json)
    appendPlace(place, partition: frame.header, to: &json)
    json.key("index")
    json.integer(index)
    attribute("receivedtime", Timestamp.format(frame.receivedAt(index)), to: &json)
    if frame.sentAt(index) != 0 {
      attribute("senttime", Timestamp.format(frame.sentAt(index)), to: &json)
    }
    attribute("eventname", frame.name(index), to: &json)
    attribute("personkey", frame.person(index).description, to: &json)
    if frame.user(index) != .zero {
      attribute("userkey", frame.user(index).description, to: &json)
    }
    attribute("agent", frame.agent(index), to: &json)
    let verdict = BotVerdict(encoded: frame.bot(index))
    if verdict.version != 0 {
      json.key("botrules")
      json.integer(verdict.version)
      attribute("botreasons", verdict.reasons.names.joined(separator: " "), to: &json)
    }
    if let dimensions {
      for dimension in Dimension.allCases {
        attribute(dimension.name, dimensions[dimension], to: &json)
      }
    }
    if frame.revenueMicros(index) != 0 {
      attribute("revenue", Money.text(frame.revenueMicros(index)), to: &json)
    }
    appendData(frame.payload(index), to: &json)
    json.endObject()
    json.newline()
  }

  /// The line of a message that is not a frame.
  public static func appendLine(
    unreadable error: FrameError, at place: Place, to json: inout JSONWriter
  ) {
    json.beginObject()
    appendContext(
      id: "\(place.stream)-\(place.sequence)", type: "unreadable-frame",
      source: "/streams/\(escaped(place.stream))", time: place.storedAt, to: &json)
    appendPlace(place, partition: nil, to: &json)
    attribute("datacontenttype", "application/json", to: &json)
    json.key("data")
    json.beginObject()
    json.key("error")
    json.string(error.description)
    json.endObject()
    json.endObject()
    json.newline()
  }

  private static func appendHeartbeat(
    _ header: FrameHeader, at place: Place, to json: inout JSONWriter
  ) {
    json.beginObject()
    appendContext(
      id: header.messageID, type: "heartbeat", source: "/streams/\(escaped(place.stream))",
      time: place.storedAt, to: &json)
    appendPlace(place, partition: header, to: &json)
    json.endObject()
    json.newline()
  }

  private static func appendContext(
    id: String, type: String, source: String, time: Int64, to json: inout JSONWriter
  ) {
    attribute("specversion", "1.0", to: &json)
    json.key("id")
    json.string(id)
    attribute("source", source, to: &json)
    attribute("type", "smartcontent.\(type)", to: &json)
    attribute("time", Timestamp.format(time), to: &json)
  }

  private static func appendPlace(
    _ place: Place, partition header: FrameHeader?, to json: inout JSONWriter
  ) {
    if let header {
      json.key("generation")
      json.integer(header.generation)
      json.key("partition")
      json.integer(header.partition)
    }
    attribute("sequence", "\(place.sequence)", to: &json)
    attribute("storedtime", Timestamp.format(place.storedAt), to: &json)
  }

  private static func attribute(_ name: String, _ value: String?, to json: inout JSONWriter) {
    guard let value, !value.isEmpty else { return }
    json.key(name)
    json.string(value)
  }

  /// The payload as it came where it is JSON, else in base 64.
  private static func appendData(_ payload: UnsafeRawBufferPointer, to json: inout JSONWriter) {
    guard !payload.isEmpty else { return }
    guard isJSON(payload) else {
      attribute("datacontenttype", "application/octet-stream", to: &json)
      attribute("data_base64", Base64.encode(payload), to: &json)
      return
    }
    attribute("datacontenttype", "application/json", to: &json)
    json.key("data")
    // In valid JSON these two bytes are only white space; a line must not contain them.
    if payload.contains(where: { $0 == 0x0a || $0 == 0x0d }) {
      payload.filter { $0 != 0x0a && $0 != 0x0d }.withUnsafeBytes { json.raw($0) }
    } else {
      json.raw(payload)
    }
  }

  private static func isJSON(_ payload: UnsafeRawBufferPointer) -> Bool {
    var scanner = JSONScanner(payload)
    do throws(JSONError) {
      try scanner.skipValue()
      try scanner.end()
      return true
    } catch {
      return false
    }
  }

  /// Percent-encodes what RFC 3986 does not allow in a path.
  private static func escaped(_ text: String) -> String {
    let hexadecimal = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "/"), UInt8(ascii: ":"),
        UInt8(ascii: "@"):
        bytes.append(byte)
      default:
        bytes += [UInt8(ascii: "%"), hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 0xf)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
