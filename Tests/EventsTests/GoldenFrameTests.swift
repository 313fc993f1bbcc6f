import Events
import Testing

/// Bytes of frames as they were written once, which every later program must read.
///
/// If one of these tests fails, the format has changed. Never edit the fixtures: logs in the
/// field hold such bytes. Instead:
///
/// 1. If nothing was meant to change, undo the change.
/// 2. A new column or another default: keep the version; old frames must still pass `reads`, and
///    `writes` gets new fixtures beside the old ones (`FrameVersion1` stays as it is).
/// 3. Another meaning or layout of what is there: raise ``FrameHeader/version``, let
///    ``FrameView`` read both, add `Golden/FrameVersion2.swift`, keep `reads` for version 1.
@Suite("Golden frames")
struct GoldenFrameTests {
  static let header = FrameHeader(
    kind: .events, generation: 1, partition: 2,
    producer: Key128(low: 0x0123_4567_89ab_cdef, high: 0xfedc_ba98_7654_3210), epoch: 7,
    producerSequence: 0x1_0000_0001, originalLogTime: 1_795_424_000_000_000)

  /// An event of every kind that version 1 had from the beginning, with and without money and time of sending.
  static let events: [IncomingEvent] = EventKind.allCases.prefix(7).enumerated().map {
    index, kind in
    let id = "m-\(index)"
    return IncomingEvent(
      kind: kind,
      key: EventIdentity.dedupeKey(site: "default", source: "segment", eventID: id),
      person: EventIdentity.personKey(site: "default", id: "a-\(index % 3)"),
      eventTime: 1_795_424_400_000_000 - Int64(index) * 1_000_001,
      receivedAt: 1_795_424_400_123_456 + Int64(index) * 1000,
      sentAt: index % 2 == 0 ? 1_795_424_400_100_000 : 0,
      dimensions: DimensionTuple(
        site: "default", campaign: "spring", content: "post-\(index % 2)", variant: "ä",
        channel: "mail", currency: kind == .conversion ? "EUR" : ""
      ).encoded,
      revenueMicros: kind == .conversion ? -9_990_001 : 0, id: id, name: "Content \(kind.name)",
      source: index < 4 ? "segment/web" : "pixel", payload: Array("{\"n\":\(index)}".utf8))
  }

  /// Neither money nor times of sending: these columns are absent.
  static let plainEvents = [events[1], events[3]]

  /// With a user id: the column of users, which came later, and an alias.
  static let userEvents: [IncomingEvent] = [events[0], events[5], events[6]].enumerated().map {
    index, event in
    var event = event
    event.user =
      index == 0 ? .zero : EventIdentity.personKey(site: "default", id: "u-\(index)")
    if index == 2 { (event.kind, event.name) = (.alias, "alias") }
    return event
  }

  /// With what was told of their senders: the columns of agents and verdicts, and traffic of bots.
  static let judgedEvents: [IncomingEvent] = [events[0], events[2], events[3]].enumerated().map {
    index, event in
    var event = event
    if index == 0 { return event }
    event.agent = index == 1 ? "Googlebot 2/other/bot/Googlebot" : "Firefox 127/Linux/desktop"
    event.bot = BotVerdict(version: 1, reasons: index == 1 ? .crawler : []).encoded
    if index == 1 { DimensionTuple.append(DimensionTuple.bot, to: &event.dimensions) }
    return event
  }

  static let deadLetter = DeadLetter(
    code: "missing_id", detail: "send userId or anonymousId", place: "segment /v1/track",
    body: [0xff, 0x00]
  ).event(site: "default", source: "segment", receivedAt: 1_795_424_400_000_000)

  static let cases: [(name: String, hex: String, kind: FrameHeader.Kind, events: [IncomingEvent])] =
    [
      ("events", FrameVersion1.events, .events, events),
      ("plain events", FrameVersion1.plainEvents, .events, plainEvents),
      ("events of users", FrameVersion1.userEvents, .events, userEvents),
      ("judged events", FrameVersion1.judgedEvents, .events, judgedEvents),
      ("dead letters", FrameVersion1.deadLetters, .deadLetters, [deadLetter]),
      ("heartbeat", FrameVersion1.heartbeat, .heartbeat, []),
    ]

  private static func header(_ kind: FrameHeader.Kind) -> FrameHeader {
    var header = header
    header.kind = kind
    return header
  }

  @Test("frames of version 1 are read", arguments: cases.indices)
  func reads(index: Int) throws {
    let (name, hex, kind, events) = Self.cases[index]
    let content = try FrameContent(bytes: Hex.bytes(hex))
    #expect(content == FrameContent(header: Self.header(kind), events: events), "\(name)")
  }

  @Test("the same content is written as the same bytes", arguments: cases.indices)
  func writes(index: Int) {
    let (name, hex, kind, events) = Self.cases[index]
    var encoder = FrameEncoder()
    for event in events { encoder.append(event) }
    let bytes =
      kind == .heartbeat
      ? FrameEncoder.heartbeat(Self.header(kind)) : encoder.seal(Self.header(kind))
    #expect(
      Hex.text(bytes) == Hex.text(Hex.bytes(hex)),
      "\(name): see the comment of this suite for what to do")
  }
}
