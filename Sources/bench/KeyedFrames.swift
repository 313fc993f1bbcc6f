import Events

/// Frames in memory whose events are spread evenly over a number of keys, for one operator alone.
///
/// Frames are as small as they can be (no payload to speak of), so that what is measured is the
/// operator.
struct KeyedFrames {
  enum Key { case tuple, person, id }

  /// What the keys are; of the rest there are few tuples, many persons, and ids that differ.
  var key: Key
  var keyCount: Int
  var eventCount: Int
  var eventsPerFrame = 1000
  /// Events per second of event time.
  var eventsPerSecond: Int
  /// Microseconds since the epoch of the first event.
  var start: Int64 = 1_700_000_000_000_000
  var kind = EventKind.view
  /// Keys from this one on in turn, each once, instead of at random; nil for at random.
  var firstInTurn: Int?
  var seed: UInt64 = 1

  struct Frame {
    var bytes: [UInt8]
    /// Microseconds since the epoch.
    var logTime: Int64
  }

  static func tuple(_ index: Int) -> [UInt8] {
    DimensionTuple(site: "bench", campaign: "campaign-\(index / 100)", content: "content-\(index)")
      .encoded
  }

  static func key128(_ index: Int) -> Key128 {
    var random = FrameWorkload.Random(state: UInt64(index) &* 0x9e37_79b9_7f4a_7c15 &+ 17)
    return Key128(low: random.next(), high: random.next() | 1)
  }

  func make() -> [Frame] {
    var random = FrameWorkload.Random(state: seed)
    let fewTuples = (0..<100).map(Self.tuple)
    var encoder = FrameEncoder()
    var frames: [Frame] = []
    frames.reserveCapacity(eventCount / eventsPerFrame + 1)
    for index in 0..<eventCount {
      let number =
        firstInTurn.map { $0 + index } ?? Int(random.next() % UInt64(keyCount))
      let time = start + Int64(index) * 1_000_000 / Int64(eventsPerSecond)
      encoder.append(
        IncomingEvent(
          kind: kind,
          key: key == .id
            ? Self.key128(number) : Key128(low: random.next() | 1, high: random.next()),
          person: key == .tuple ? Self.key128(index & 0xffff) : Self.key128(number),
          eventTime: time, receivedAt: time,
          dimensions: key == .tuple ? Self.tuple(number) : fewTuples[index % 100], id: "",
          name: "", source: "", payload: []))
      if encoder.count == eventsPerFrame || index == eventCount - 1 {
        let bytes = encoder.seal(
          FrameHeader(
            kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 1), epoch: 0,
            producerSequence: UInt64(frames.count + 1)))
        frames.append(Frame(bytes: bytes, logTime: time))
      }
    }
    return frames
  }
}

/// The middle of several measurements.
func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
