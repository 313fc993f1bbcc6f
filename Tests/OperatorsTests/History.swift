import Dataflow
import Events
import Operators
import Oracles
import Views

/// An event of a test, before it is in a frame.
struct TestEvent: Hashable {
  var kind = EventKind.impression
  var key = Key128(low: 1, high: 1)
  var person = Key128(low: 0, high: 1)
  var time: Int64
  var received: Int64
  var tuple = DimensionTuple(site: "default", campaign: "c1")
  var revenue: Int64 = 0
}

/// A frame as the log of a test stores it.
struct LoggedFrame {
  var bytes: [UInt8]
  var storedAt: Int64
  /// What the frame was made from; empty for heartbeats and for frames that cannot be read.
  var events: [TestEvent] = []
  var kind: FrameHeader.Kind = .events
  var isPoison = false
  var originalLogTime: Int64 = 0

  init(_ events: [TestEvent], storedAt: Int64, originalLogTime: Int64 = 0) {
    var encoder = FrameEncoder()
    for event in events {
      encoder.append(
        IncomingEvent(
          kind: event.kind, key: event.key, person: event.person, eventTime: event.time,
          receivedAt: event.received, dimensions: event.tuple.encoded,
          revenueMicros: event.revenue, id: "id", name: "name", source: "test",
          payload: [0x7b, 0x7d]
        ))
    }
    bytes = encoder.seal(Self.header(.events, originalLogTime: originalLogTime))
    self.storedAt = storedAt
    self.events = events
    self.originalLogTime = originalLogTime
  }

  static func heartbeat(storedAt: Int64) -> LoggedFrame {
    var frame = LoggedFrame([], storedAt: storedAt)
    frame.bytes = FrameEncoder.heartbeat(header(.heartbeat, originalLogTime: 0))
    frame.kind = .heartbeat
    return frame
  }

  static func poison(storedAt: Int64) -> LoggedFrame {
    var frame = LoggedFrame([], storedAt: storedAt)
    frame.bytes = [1, 2, 3]
    frame.isPoison = true
    return frame
  }

  static func deadLetters(_ events: [TestEvent], storedAt: Int64) -> LoggedFrame {
    var frame = LoggedFrame(events, storedAt: storedAt)
    frame.kind = .deadLetters
    var encoder = FrameEncoder()
    for event in events {
      encoder.append(
        IncomingEvent(
          kind: .custom, key: event.key, person: event.person, eventTime: event.time,
          receivedAt: event.received, dimensions: event.tuple.encoded, id: "id", name: "code",
          source: "test", payload: []))
    }
    frame.bytes = encoder.seal(header(.deadLetters, originalLogTime: 0))
    return frame
  }

  private static func header(_ kind: FrameHeader.Kind, originalLogTime: Int64) -> FrameHeader {
    FrameHeader(
      kind: kind, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
      producerSequence: 1, originalLogTime: originalLogTime)
  }
}

let second: Int64 = 1_000_000
let minute: Int64 = 60_000_000
let hour: Int64 = 3_600_000_000
let day: Int64 = 86_400_000_000
/// 2025-11-24T10:00:00Z.
let noon: Int64 = 1_763_978_400 * second

/// A random log: copies, late, too late, future and negative times, several sites and currencies,
/// heartbeats, frames that cannot be read, and jumps of time over every limit.
struct History {
  var spec: PipelineSpec
  var frames: [LoggedFrame] = []

  init(seed: UInt64, frameCount: Int) {
    var random = SeededGenerator(seed: seed)
    spec = PipelineSpec(
      name: "test", allowedDisorder: random.pick([0, 2 * second, 5 * second]),
      allowedLateness: random.pick([nil, nil, 0, 30 * second, hour]),
      dedupeHorizon: random.pick([20 * second, 90 * second + 1, day]),
      windowGrace: random.pick([0, 7 * second, minute, 10 * minute]),
      tupleCountMax: random.pick([2, 5, 1000, 1000]), dedupeCountMax: 1_000_000)
    let tuples = Self.tuples(&random)
    var sent: [TestEvent] = []
    var now = random.once(in: 8) ? -3 * day : noon + random.time(upTo: day)
    for _ in 0..<frameCount {
      now += Self.step(&random)
      // The clock of a log that moved to another machine may be behind.
      let storedAt = random.once(in: 12) ? now - random.time(upTo: minute) : now
      switch random.below(20) {
      case 0: frames.append(.heartbeat(storedAt: storedAt))
      case 1: frames.append(.poison(storedAt: storedAt))
      case 2 where random.once(in: 3):
        frames.append(
          .deadLetters(
            (0..<random.below(4)).map { _ in TestEvent(time: now, received: now) },
            storedAt: storedAt))
      default:
        var events: [TestEvent] = []
        for _ in 0..<random.below(10) {
          if !sent.isEmpty && random.once(in: 5) {
            var copy = random.pick(random.once(in: 2) ? Array(sent.suffix(10)) : sent)
            copy.received = now - random.time(upTo: second)
            events.append(copy)
          } else {
            events.append(Self.event(&random, now, tuples))
          }
        }
        sent.append(contentsOf: events)
        frames.append(
          LoggedFrame(
            events, storedAt: storedAt,
            originalLogTime: random.once(in: 15) ? storedAt - random.time(upTo: hour) : 0))
      }
    }
  }

  private static func tuples(_ random: inout SeededGenerator) -> [DimensionTuple] {
    (0..<(2 + random.below(10))).map { index in
      DimensionTuple(
        site: index % 3 == 0 ? "shop" : "default", campaign: "c\(index % 4)",
        content: index % 5 == 0 ? "" : "content-\(index)", variant: "v\(index % 2)",
        channel: "mail", currency: ["", "EUR", "JPY"][index % 3])
    }
  }

  private static func step(_ random: inout SeededGenerator) -> Int64 {
    switch random.below(30) {
    case 0: random.time(upTo: 3 * day)
    case 1, 2: random.time(upTo: 2 * hour)
    case 3...6: random.time(upTo: 2 * minute)
    case 7...9: 0
    default: random.time(upTo: 4 * second)
    }
  }

  private static func event(
    _ random: inout SeededGenerator, _ now: Int64, _ tuples: [DimensionTuple]
  ) -> TestEvent {
    let received = now - random.time(upTo: second)
    let time: Int64 =
      switch random.below(16) {
      case 0: received + random.time(upTo: 5 * minute)
      case 1: received + 5 * minute + random.time(upTo: day)
      case 2: now - random.time(upTo: 400 * day)
      case 3: random.pick([-1, 0, -day - 1, .min, .max, TimeRange.earliest, -10 * second])
      case 4, 5: now - random.time(upTo: 3 * day)
      case 6...8: now - random.time(upTo: 3 * minute)
      default: now - random.time(upTo: 6 * second)
      }
    let tuple = random.pick(tuples)
    let kind = random.pick(EventKind.allCases)
    return TestEvent(
      kind: kind, key: Key128(low: random.next(), high: random.next()),
      person: Key128(low: UInt64(random.below(300)), high: 5), time: time, received: received,
      tuple: tuple, revenue: tuple.currency.isEmpty ? 0 : random.time(upTo: 9_000_000))
  }
}
