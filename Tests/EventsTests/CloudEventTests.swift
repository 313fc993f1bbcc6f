import Events
import Testing

@Suite("CloudEvents lines")
struct CloudEventTests {
  private static let place = CloudEvent.Place(
    stream: "events-02", sequence: 17, storedAt: 1_795_424_400_250_000)

  private static let header = FrameHeader(
    kind: .events, generation: 1, partition: 2, producer: Key128(low: 1, high: 2), epoch: 3,
    producerSequence: 4)

  private static func event(
    payload: String = #"{"type":"track"}"#, source: String = "segment/web"
  ) -> IncomingEvent {
    IncomingEvent(
      kind: .conversion, key: Key128(low: 5, high: 6), person: Key128(low: 7, high: 8),
      eventTime: 1_795_424_400_000_000, receivedAt: 1_795_424_400_100_000,
      sentAt: 1_795_424_400_050_000,
      dimensions: DimensionTuple(
        site: "default", campaign: "c", content: "p-1", currency: "EUR"
      ).encoded, revenueMicros: 9_990_000, id: "m-1", name: "Order Completed", source: source,
      payload: Array(payload.utf8))
  }

  private static func lines(_ frame: [UInt8]) throws -> [String] {
    var json = JSONWriter()
    try frame.withUnsafeBytes {
      CloudEvent.appendLines(of: try FrameView($0), at: place, to: &json)
    }
    let text = String(decoding: json.bytes, as: UTF8.self)
    #expect(text.isEmpty || text.hasSuffix("\n"))
    return text.split(separator: "\n").map(String.init)
  }

  private static func line(
    of event: IncomingEvent, kind: FrameHeader.Kind = .events
  ) throws -> String {
    var encoder = FrameEncoder()
    encoder.append(event)
    var header = header
    header.kind = kind
    let lines = try lines(encoder.seal(header))
    #expect(lines.count == 1)
    return lines.first ?? ""
  }

  @Test("an event is one line with its context, its place and its payload as it came")
  func event() throws {
    #expect(
      try Self.line(of: Self.event()) == """
        {"specversion":"1.0","id":"m-1","source":"/sites/default/segment/web",\
        "type":"smartcontent.conversion","time":"2026-11-23T09:00:00.000Z","subject":"p-1",\
        "generation":1,"partition":2,"sequence":"17","storedtime":"2026-11-23T09:00:00.250Z",\
        "index":0,"receivedtime":"2026-11-23T09:00:00.100Z",\
        "senttime":"2026-11-23T09:00:00.050Z","eventname":"Order Completed",\
        "personkey":"00000000000000080000000000000007","site":"default","campaign":"c",\
        "content":"p-1","currency":"EUR","revenue":"9.99","datacontenttype":"application/json",\
        "data":{"type":"track"}}
        """)
  }

  @Test("an event with a user id has the user's key after the person's")
  func user() throws {
    var event = Self.event()
    event.user = Key128(low: 9, high: 10)
    #expect(
      try Self.line(of: event).contains(
        #""personkey":"00000000000000080000000000000007","#
          + #""userkey":"000000000000000a0000000000000009","site""#))
  }

  @Test("white space in a payload does not break the line, and text in strings stays")
  func lineBreaks() throws {
    let line = try Self.line(of: Self.event(payload: "{\r\n  \"a\\n\" : [1,\n2]\n}"))
    #expect(line.hasSuffix(#""data":{  "a\n" : [1,2]}}"#))
    for lineBreak in ["\r", "\n"] {
      let line = try Self.line(of: Self.event(payload: "[1,\(lineBreak)2]"))
      #expect(line.hasSuffix(#""data":[1,2]}"#))
    }
  }

  @Test("a payload that is no JSON is in base 64, and none is left out")
  func otherPayloads() throws {
    #expect(
      try Self.line(of: Self.event(payload: "{broken")).hasSuffix(
        #""datacontenttype":"application/octet-stream","data_base64":"e2Jyb2tlbg=="}"#))
    #expect(try Self.line(of: Self.event(payload: "")).hasSuffix(#""revenue":"9.99"}"#))
  }

  @Test("a source with characters that a URI does not have is escaped")
  func sources() throws {
    let line = try Self.line(of: Self.event(source: "segment/my app é\"?"))
    #expect(line.contains(#""source":"/sites/default/segment/my%20app%20%C3%A9%22%3F""#))
  }

  @Test("a dead letter says so and has its reason as data")
  func deadLetter() throws {
    let letter = DeadLetter(code: "no_id", detail: "d", place: "p", body: Array("b".utf8))
    let line = try Self.line(
      of: letter.event(site: "default", source: "pixel", receivedAt: 0), kind: .deadLetters)
    #expect(line.contains(#""type":"smartcontent.dead-letter""#))
    #expect(
      line.contains(#""data":{"code":"no_id","detail":"d","place":"p","bytes":1,"body":"b"}"#))
  }

  @Test("a heartbeat is one line")
  func heartbeat() throws {
    var header = Self.header
    header.kind = .heartbeat
    #expect(
      try Self.lines(FrameEncoder.heartbeat(header)) == [
        """
        {"specversion":"1.0","id":"\(header.messageID)","source":"/streams/events-02",\
        "type":"smartcontent.heartbeat","time":"2026-11-23T09:00:00.250Z","generation":1,\
        "partition":2,"sequence":"17","storedtime":"2026-11-23T09:00:00.250Z"}
        """
      ])
  }

  @Test("a message that is no frame is a line with the reason")
  func unreadable() {
    var json = JSONWriter()
    CloudEvent.appendLine(unreadable: .tooShort(byteCount: 3), at: Self.place, to: &json)
    let line = String(decoding: json.bytes, as: UTF8.self)
    #expect(line.contains(#""type":"smartcontent.unreadable-frame""#))
    #expect(line.contains(#""data":{"error":"a frame has at least 80 bytes, this one 3"}"#))
  }

  @Test("every line of random frames is one JSON value", arguments: UInt64(1)...20)
  func random(seed: UInt64) throws {
    var maker = FrameMaker(seed: seed)
    var encoder = FrameEncoder()
    for _ in 0..<20 { encoder.append(maker.event()) }
    let lines = try Self.lines(encoder.seal(maker.header()))
    #expect(lines.count == 20)
    for line in lines {
      try Array(line.utf8).withUnsafeBytes { buffer in
        var json = JSONScanner(buffer)
        #expect(try json.peek() == .object)
        try json.skipValue()
        try json.end()
      }
    }
  }
}
