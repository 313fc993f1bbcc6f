import Events

/// Frames of endless rounds over a number of keys, alike at every number of keys.
///
/// In a round each key has one event, in an order that is different in every round; a share of the
/// keys is new in each, and as many do not come again. A round takes the same event time whatever the number
/// of keys, so a key's events are as far apart with a thousand keys as with ten million.
///
///     round 0   3 0 2 1 6 5 7 4          round 1   5 2 8 4 7 1 6 3          round 2 …
///
/// Frames have 250 events, as a frame of 64 KiB has; their payload is empty, so that what is measured is
/// the operator. All tuples have one length.
struct KeyRounds {
  var key: KeyedFrames.Key
  var keyCount: Int
  /// Keys that are new in each round, of eight.
  var freshEighths: Int
  /// Event time of a round, microseconds.
  var roundTime: Int64
  static let eventsPerFrame = 250
  static let start: Int64 = 1_700_000_000_000_000

  private let bits: UInt64
  private let fewTuples: [[UInt8]]
  private let encoder = Encoder()
  /// The next event, from the first round on.
  private(set) var next = 0

  /// The encoder is not copyable.
  private final class Encoder {
    var encoder = FrameEncoder()
  }

  init(key: KeyedFrames.Key, keyCount: Int, freshEighths: Int, roundTime: Int64) {
    self.key = key
    self.keyCount = keyCount
    self.freshEighths = freshEighths
    self.roundTime = roundTime
    bits = UInt64(max(8, Int.bitWidth - (keyCount - 1).leadingZeroBitCount))
    fewTuples = (0..<100).map(Self.tuple)
  }

  /// The frames of the next events.
  mutating func make(_ eventCount: Int) -> [KeyedFrames.Frame] {
    var frames: [KeyedFrames.Frame] = []
    frames.reserveCapacity(eventCount / Self.eventsPerFrame + 1)
    for index in 0..<eventCount {
      let (round, place) = next.quotientAndRemainder(dividingBy: keyCount)
      let number = round * (keyCount * freshEighths / 8) + shuffled(place, round)
      let time =
        Self.start + Int64(round) * roundTime + Int64(place) * roundTime / Int64(keyCount)
      let other = Self.mix(UInt64(next))
      encoder.encoder.append(
        IncomingEvent(
          kind: .view,
          key: key == .id
            ? KeyedFrames.key128(number) : Key128(low: other | 1, high: Self.mix(other)),
          person: key == .tuple
            ? KeyedFrames.key128(next & 0xffff) : KeyedFrames.key128(number),
          eventTime: time, receivedAt: time,
          dimensions: key == .tuple ? Self.tuple(number) : fewTuples[next % 100], id: "",
          name: "", source: "", payload: []))
      next += 1
      if encoder.encoder.count == Self.eventsPerFrame || index == eventCount - 1 {
        let bytes = encoder.encoder.seal(
          FrameHeader(
            kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 1), epoch: 0,
            producerSequence: UInt64(next)))
        frames.append(KeyedFrames.Frame(bytes: bytes, logTime: time))
      }
    }
    return frames
  }

  /// A key's place in the order of a round: steps that have an inverse on numbers of so many bits, gone
  /// again where they lead past the last key.
  private func shuffled(_ place: Int, _ round: Int) -> Int {
    let mask = (1 as UInt64) << bits - 1
    let half = bits / 2
    let seed = Self.mix(UInt64(round) &+ 1)
    var value = UInt64(place)
    repeat {
      value = (value &+ seed) & mask
      value ^= value >> half
      value = value &* 0x9e37_79b9_7f4a_7c15 & mask
      value ^= value >> half
      value = value &* 0xd6e8_feb8_6659_fd93 & mask
      value ^= value >> half
    } while value >= UInt64(keyCount)
    return Int(value)
  }

  private static func mix(_ value: UInt64) -> UInt64 {
    var random = FrameWorkload.Random(state: value)
    return random.next()
  }

  private static let template = DimensionTuple(
    site: "bench", campaign: "campaign-0000000000", content: "content-0000000000"
  ).encoded
  private static let campaignEnd = 2 + 5 + 2 + 19
  private static let contentEnd = campaignEnd + 2 + 18

  private static func tuple(_ number: Int) -> [UInt8] {
    var bytes = template
    set(number / 100, before: campaignEnd, &bytes)
    set(number, before: contentEnd, &bytes)
    return bytes
  }

  private static func set(_ number: Int, before end: Int, _ bytes: inout [UInt8]) {
    var rest = number
    var place = end
    while rest > 0 {
      place -= 1
      bytes[place] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    }
  }
}
