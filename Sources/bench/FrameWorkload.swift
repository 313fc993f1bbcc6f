import Events

/// Frames like those of a busy site, for benchmarks of the engine.
///
/// 1,000 tuples with a skew (20 campaigns of 10 contents of 5 variants), 1 M persons, 5 % copies of
/// earlier events, times that trail the clock by up to two seconds, one payload of about 120 bytes.
struct FrameWorkload {
  var eventCount: Int
  var partitions = 4
  var eventsPerFrame = 500
  var persons: UInt64 = 1_000_000
  var duplicateShare = 0.05
  /// Events per second of event time: it decides how many windows a run spans.
  var eventsPerSecond = 1_000_000
  /// Microseconds since the epoch of the first event.
  var start: Int64
  var seed: UInt64 = 1
  var visitors = Visitors.plain

  /// What is told of those that events come from.
  enum Visitors {
    /// Nothing; one payload of about 120 bytes.
    case plain
    /// Eight browsers, and calls of analytics.js of some 600 bytes with page, campaign and country.
    case browsers
  }

  /// Calls `body` with each frame's partition and bytes, in the order of time.
  func generate(_ body: (Int, FrameHeader, [UInt8]) -> Void) {
    var random = Random(state: seed)
    let tuples = (0..<1000).map { index in
      DimensionTuple(
        site: "default", campaign: "campaign-\(index / 50)", content: "content-\(index / 5)",
        variant: ["a", "b", "c", "d", "e"][index % 5],
        channel: ["web", "mail", "social", "search"][(index / 5) % 4]
      ).encoded
    }
    let browsers = BrowserCalls()
    let payload = Array(
      #"{"type":"track","event":"Content Impression","properties":{"position":3,"page":"/articles/42"},"context":{"library":"web"}}"#
        .utf8)
    let kinds: [EventKind] = [
      .impression, .impression, .impression, .impression, .impression, .impression, .view, .view,
      .click, .engagement,
    ]
    let encoders = Encoders(partitions)
    var sequences = [UInt64](repeating: 0, count: partitions)
    var recent: [IncomingEvent] = []
    let producer = Key128(low: random.next(), high: random.next())

    func seal(_ partition: Int) {
      sequences[partition] += 1
      let header = FrameHeader(
        kind: .events, generation: 1, partition: UInt32(partition), producer: producer, epoch: 0,
        producerSequence: sequences[partition])
      body(partition, header, encoders.seal(partition, header))
    }

    for index in 0..<eventCount {
      let now = start + Int64(index) * 1_000_000 / Int64(eventsPerSecond)
      let event: IncomingEvent
      if recent.count == 4096 && random.unit() < duplicateShare {
        event = recent[Int(random.next() % 4096)]
      } else {
        let person = random.next() % persons
        let rank = Int(random.unit() * random.unit() * 1000)
        event = IncomingEvent(
          kind: kinds[Int(random.next() % 10)],
          key: Key128(low: random.next() | 1, high: random.next()),
          person: EventIdentity.personKey(site: "default", id: "person-\(person)"),
          eventTime: now - Int64(random.next() % 2_000_000), receivedAt: now,
          dimensions: tuples[rank], id: "e\(index)", name: "Content Impression",
          source: "bench",
          payload: visitors == .plain ? payload : browsers.payload(index, &random),
          agent: visitors == .plain ? "" : browsers.agent(Int(person % 8)),
          bot: visitors == .plain ? 0 : BotVerdict(version: 1, reasons: []).encoded)
        if recent.count < 4096 {
          recent.append(event)
        } else {
          recent[index & 4095] = event
        }
      }
      let partition = KeyGroup.partition(of: event.person, partitions: partitions)
      encoders.append(partition, event)
      if encoders.count(partition) == eventsPerFrame { seal(partition) }
    }
    for partition in 0..<partitions where encoders.count(partition) > 0 { seal(partition) }
  }

  /// SplitMix64 (Steele, Lea and Flood 2014).
  struct Random {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var value = state
      value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
      value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
      return value ^ (value >> 31)
    }

    /// From 0 up to but not including 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
  }

  /// One encoder per partition: they cannot be copied, so they live in classes.
  private final class Encoder {
    var frame = FrameEncoder()
  }

  private struct Encoders {
    let all: [Encoder]

    init(_ count: Int) { all = (0..<count).map { _ in Encoder() } }

    func append(_ partition: Int, _ event: IncomingEvent) { all[partition].frame.append(event) }

    func count(_ partition: Int) -> Int { all[partition].frame.count }

    func seal(_ partition: Int, _ header: FrameHeader) -> [UInt8] {
      all[partition].frame.seal(header)
    }
  }
}
