import Events

/// Hexadecimal text of fixtures.
enum Hex {
  static func text(_ bytes: some Collection<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Passes over white space.
  static func bytes(_ text: String) -> [UInt8] {
    let digits = text.compactMap { $0.hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
  }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers from the same seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}

/// Everything that a frame says, as values that can be compared.
struct FrameContent: Equatable {
  var header: FrameHeader
  var events: [Event] = []

  struct Event: Equatable {
    var kind: UInt8
    var key: Key128
    var person: Key128
    var user: Key128
    var eventTime: Int64
    var receivedAt: Int64
    var sentAt: Int64
    var dimensions: [UInt8]
    var revenueMicros: Int64
    var id: String
    var name: String
    var source: String
    var payload: [UInt8]
    var agent: String
    var bot: UInt32
  }

  init(header: FrameHeader, events: [IncomingEvent]) {
    self.header = header
    self.header.count = events.count
    self.header.receivedBase = events.map(\.receivedAt).min() ?? 0
    self.events = events.map {
      Event(
        kind: $0.kind.rawValue, key: $0.key, person: $0.person, user: $0.user,
        eventTime: $0.eventTime, receivedAt: $0.receivedAt, sentAt: $0.sentAt,
        dimensions: $0.dimensions,
        revenueMicros: $0.revenueMicros, id: $0.id, name: $0.name, source: $0.source,
        payload: $0.payload, agent: $0.agent, bot: $0.bot)
    }
  }

  /// Reads everything that the view offers.
  init(_ frame: borrowing FrameView) {
    header = frame.header
    for index in 0..<frame.count {
      events.append(
        Event(
          kind: frame.kind(index), key: frame.key(index), person: frame.person(index),
          user: frame.user(index), eventTime: frame.eventTime(index),
          receivedAt: frame.receivedAt(index),
          sentAt: frame.sentAt(index), dimensions: Array(frame.tupleBytes(frame.tuple(index))),
          revenueMicros: frame.revenueMicros(index), id: frame.id(index),
          name: frame.name(index), source: frame.source(index),
          payload: Array(frame.payload(index)), agent: frame.agent(index),
          bot: frame.bot(index)))
    }
  }

  /// - Throws: what ``FrameView`` throws.
  init(bytes: [UInt8]) throws {
    self = try bytes.withUnsafeBytes { FrameContent(try FrameView($0)) }
  }
}

/// Events and frames from a seed.
struct FrameMaker {
  var random: SeededGenerator

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  mutating func text(_ length: ClosedRange<Int>) -> String {
    let letters = Array("abcdefghijklmnop-_/ äé€😀\"\\\n")
    return String(
      (0..<Int.random(in: length, using: &random)).map { _ in
        letters.randomElement(using: &random) ?? "x"
      })
  }

  mutating func key() -> Key128 {
    Key128(low: random.next(), high: random.next())
  }

  mutating func event(
    hasMoney: Bool = true, hasSent: Bool = true, hasUser: Bool = true
  ) -> IncomingEvent {
    let received = Int64.random(in: 1_790_000_000_000_000...1_790_000_001_000_000, using: &random)
    return IncomingEvent(
      kind: EventKind.allCases.randomElement(using: &random) ?? .custom, key: key(),
      person: key(), user: hasUser && Bool.random(using: &random) ? key() : .zero,
      eventTime: Int64.random(in: .min ... .max, using: &random),
      receivedAt: received,
      sentAt: hasSent && Bool.random(using: &random) ? received - 1 : 0,
      dimensions: DimensionTuple(
        site: "default", campaign: text(0...3), content: text(0...1), currency: "EUR"
      ).encoded,
      revenueMicros: hasMoney && Bool.random(using: &random)
        ? Int64.random(in: .min ... .max, using: &random) : 0,
      id: text(0...20), name: text(0...2), source: "segment/\(text(0...1))",
      payload: Array(text(0...60).utf8))
  }

  mutating func header(_ kind: FrameHeader.Kind = .events) -> FrameHeader {
    FrameHeader(
      kind: kind, generation: UInt32.random(in: .min ... .max, using: &random),
      partition: UInt32.random(in: 0..<256, using: &random), producer: key(),
      epoch: UInt32.random(in: .min ... .max, using: &random), producerSequence: random.next(),
      originalLogTime: Int64.random(in: 0...9, using: &random))
  }
}
