import Events

let second: Int64 = 1_000_000
let minute: Int64 = 60_000_000
let hour: Int64 = 3_600_000_000
let day: Int64 = 86_400_000_000
/// 2025-11-24T10:00:00Z.
let ten: Int64 = 1_763_978_400 * second

/// An event of a test, before it is in a frame.
struct TestEvent: Hashable {
  var id: UInt64
  var time: Int64
  var kind = EventKind.impression
  var campaign = "c1"
  var variant = ""
  var revenue: Int64 = 0
  /// The anonymous id of the device, and the id of the user, where a test has persons.
  var device: Int?
  var user: Int?
  /// Of an alias: the user who is one with `user` from now on.
  var otherUser: Int?

  /// The first of a partition's groups have the persons of every test that does not say who they are.
  var person: Key128 {
    device.map { Key128(low: UInt64($0 * 61 % 256), high: 8) } ?? otherUser.map(Self.known)
      ?? user.map(Self.known)
      ?? Key128(low: id % 4, high: 5)
  }

  static func known(_ user: Int) -> Key128 { Key128(low: UInt64(user * 97 % 256), high: 9) }

  var tuple: [UInt8] {
    DimensionTuple(
      site: "shop", campaign: campaign, variant: variant, currency: revenue == 0 ? "" : "EUR"
    ).encoded
  }
}

/// A frame as the log of a test stores it, beside what it was made from.
struct LogEntry {
  enum Content {
    case events([TestEvent])
    case deadLetters(Int)
    case heartbeat
    case poison
  }

  var content: Content
  var bytes: [UInt8]
  var storedAt: Int64

  static func events(_ events: [TestEvent], at storedAt: Int64) -> LogEntry {
    var encoder = FrameEncoder()
    for event in events {
      encoder.append(
        IncomingEvent(
          kind: event.kind, key: Key128(low: event.id, high: 7), person: event.person,
          user: event.user.map(TestEvent.known) ?? .zero, eventTime: event.time,
          receivedAt: storedAt, dimensions: event.tuple,
          revenueMicros: event.revenue, id: "\(event.id)", name: "name", source: "test",
          payload: [0x7b, 0x7d]))
    }
    return LogEntry(
      content: .events(events), bytes: encoder.seal(header(.events)), storedAt: storedAt)
  }

  static func deadLetters(_ count: Int, at storedAt: Int64) -> LogEntry {
    var encoder = FrameEncoder()
    for index in 0..<count {
      encoder.append(
        IncomingEvent(
          kind: .custom, key: Key128(low: UInt64(index), high: 8),
          person: Key128(low: 0, high: 5), eventTime: storedAt, receivedAt: storedAt,
          dimensions: DimensionTuple(site: "shop").encoded, id: "\(index)", name: "invalid_json",
          source: "test", payload: []))
    }
    return LogEntry(
      content: .deadLetters(count), bytes: encoder.seal(header(.deadLetters)), storedAt: storedAt)
  }

  static func heartbeat(at storedAt: Int64) -> LogEntry {
    LogEntry(
      content: .heartbeat, bytes: FrameEncoder.heartbeat(header(.heartbeat)), storedAt: storedAt)
  }

  static func poison(at storedAt: Int64) -> LogEntry {
    LogEntry(content: .poison, bytes: [1, 2, 3], storedAt: storedAt)
  }

  private static func header(_ kind: FrameHeader.Kind) -> FrameHeader {
    FrameHeader(
      kind: kind, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
      producerSequence: 1)
  }
}
