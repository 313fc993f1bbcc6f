import Events
import Oracles
import Views

@testable import Operators

/// What a first stage hands on, under the laws.
final class EmitterSubject: LawSubject {
  /// Something that happens to a person within a frame.
  enum Item {
    case touch(Touch, of: Key128, DimensionTuple)
    /// One that was kept until its person became known.
    case keptTouch(Touch, of: Key128, DimensionTuple)
    case union(PersonUnion)
    case anchor(PartialAnchor)
    case count(kind: EventKind, time: Int64, DimensionTuple, revenue: Int64)
    case outcome(Outcomes, start: Int64, DimensionTuple)
    case feedback(PartialFeedback, DimensionTuple)
  }

  struct Input {
    var sequence: UInt64
    var logTime: Int64
    var items: [(person: Int, item: Item)]
    /// What the frame before it was, and the outcomes of the tick that ended with it.
    var before: (sequence: UInt64, logTime: Int64, outcomes: [Item])
  }

  private var emitter: PartialEmitter

  init(partition: UInt32, of partitions: UInt32) {
    emitter = PartialEmitter(
      pipelineHash: 7, generation: 1, partition: partition, partitionCount: partitions,
      paneLength: 10 * second)
  }

  func take(_ input: Input, isSilent: Bool, into said: inout Said) throws {
    for frame in try take(input) where !isSilent { try Self.say(frame, &said) }
  }

  /// - Returns: the frames of the tick that the input ends.
  func take(_ input: Input) throws -> [PartialFrame] {
    var frames: [PartialFrame] = []
    if emitter.isPast(input.logTime) {
      var contributions = Contributions()
      for case .outcome(let outcomes, let start, let tuple) in input.before.outcomes {
        tuple.encoded.withUnsafeBytes {
          contributions.append(
            tuple: $0, start: start, measure: outcomes.sessions == 0 ? .exposures : .outcomes,
            sums: outcomes.counts)
        }
      }
      emitter.close(
        sequence: input.before.sequence, logTime: input.before.logTime,
        contributions: contributions, into: &frames)
    }
    emitter.open(at: input.logTime)
    try collect(input.items.map(\.item))
    return frames
  }

  private func collect(_ items: [Item]) throws {
    // A frame of events that has the tuples, in the order of the items.
    var encoder = FrameEncoder()
    var tuples: [DimensionTuple] = []
    for item in items {
      guard let tuple = item.tuple, !tuples.contains(tuple) else { continue }
      tuples.append(tuple)
      encoder.append(
        IncomingEvent(
          kind: .view, key: Key128(low: 1, high: 1), person: Key128(low: 1, high: 1),
          eventTime: noon, receivedAt: noon, dimensions: tuple.encoded, id: "id", name: "name",
          source: "test", payload: []))
    }
    let bytes = encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
        producerSequence: 1))
    try bytes.withUnsafeBytes { bytes in
      let view = try FrameView(bytes)
      emitter.begin(view)
      let places = Dictionary(
        uniqueKeysWithValues: (0..<view.tupleCount).map { (Array(view.tupleBytes($0)), $0) })
      for item in items {
        let place = item.tuple.flatMap { places[$0.encoded] } ?? 0
        switch item {
        case .touch(var touch, let user, _):
          touch.tuple = UInt32(place)
          emitter.add(touch, of: user)
        case .keptTouch(let touch, let user, let tuple):
          tuple.encoded.withUnsafeBytes { emitter.add(touch, tuple: $0, of: user) }
        case .union(let union): emitter.add(union)
        case .feedback(var feedback, _):
          feedback.tuple = UInt32(place)
          emitter.add(feedback)
        case .anchor(let anchor): emitter.add(anchor)
        case .count(let kind, let time, _, let revenue):
          emitter.count(tuple: place, time: time, kind: kind.rawValue, revenueMicros: revenue)
        case .outcome: break
        }
      }
    }
  }

  private static func say(_ frame: PartialFrame, _ said: inout Said) throws {
    try frame.bytes.withUnsafeBytes { bytes in
      let view = try PartialFrameView(bytes)
      said.decisions.append([
        Int64(view.head.number), Int64(view.head.sourceSequence), view.head.sourceLogTime,
        view.head.closesTick ? 1 : 0, Int64(view.checksum),
      ])
      func add(_ sort: Int64, _ record: PartialRecord) {
        let id = DimensionTuple.identifier(encoded: view.tupleBytes(Int(record.tuple)))
        said.add([sort, record.start, id], Counts(record.sums).numbers)
      }
      for index in 0..<view.contributionCount {
        let record = view.contribution(index)
        add(record.measure == Measure.outcomes.rawValue ? 0 : 5, record)
      }
      for index in 0..<view.anchorCount {
        let anchor = view.anchor(index)
        said.add(
          [
            4, Int64(anchor.user.low), anchor.time, anchor.from,
            Int64(bitPattern: anchor.campaign),
          ], [1])
      }
      for index in 0..<view.paneCount { add(1, view.pane(index)) }
      for index in 0..<view.unionCount {
        let union = view.union(index)
        said.add([2, Int64(union.first.low), Int64(union.second.low)], [1])
      }
      for index in 0..<view.feedbackCount {
        let feedback = view.feedback(index)
        let id = DimensionTuple.identifier(encoded: view.tupleBytes(Int(feedback.tuple)))
        said.add([4, feedback.incident, id, Int64(feedback.verdict)], [1])
      }
      for index in 0..<view.touchCount {
        let touch = view.touch(index)
        let id = DimensionTuple.identifier(encoded: view.tupleBytes(Int(touch.tuple)))
        said.add(
          [
            3, Int64(view.touchUser(index).low), touch.time, Int64(touch.key.low), id,
            Int64(touch.kind),
          ], [1, touch.revenueMicros])
      }
    }
  }

  func drain(into said: inout Said) {}

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    emitter.snapshot(into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try emitter.restore(from: &reader)
  }
}

extension EmitterSubject.Item {
  var tuple: DimensionTuple? {
    switch self {
    case .touch(_, _, let tuple), .keptTouch(_, _, let tuple), .count(_, _, let tuple, _),
      .outcome(_, _, let tuple), .feedback(_, let tuple):
      tuple
    case .union, .anchor: nil
    }
  }
}

struct EmitterStory: LawStory {
  typealias Input = EmitterSubject.Input
  typealias Item = EmitterSubject.Item

  private struct Frame {
    var logTime: Int64
    var items: [(person: Int, item: Item)] = []

    var tick: Int64 { logTime / PartialEmitter.tick }
  }

  private var frames: [Frame] = []

  init(seed: UInt64, law: OperatorLaw) {
    var random = SeededGenerator(seed: seed)
    var logTime = noon
    for _ in 0..<40 {
      logTime += random.time(upTo: random.pick([10_000, 60_000, 3 * second]))
      var frame = Frame(logTime: logTime)
      for _ in 0..<random.below(6) { frame.items.append(Self.item(&random, logTime)) }
      frames.append(frame)
    }
  }

  private static func item(
    _ random: inout SeededGenerator, _ now: Int64
  ) -> (person: Int, item: Item) {
    let person = random.below(20)
    let user = Key128(low: UInt64(person + 1), high: 9)
    let tuple = DimensionTuple(site: "s", campaign: "c\(random.below(5))", currency: "EUR")
    let time = now - random.time(upTo: minute)
    let touch = Touch(
      time: time, key: Key128(low: random.next() >> 1, high: 3),
      revenueMicros: random.time(upTo: 1000), tuple: 0, kind: EventKind.click.rawValue)
    let item: Item =
      switch random.below(9) {
      case 0, 1: .touch(touch, of: user, tuple)
      case 2: .keptTouch(touch, of: user, tuple)
      case 3: .union(PersonUnion(user, Key128(low: UInt64(100 + person), high: 9)))
      case 4:
        .outcome(
          Outcomes(
            sessions: Int64(random.below(2)), attributedClicks: 1,
            attributedRevenueMicros: -random.time(upTo: 1000)),
          start: WindowLevel.tenSeconds.start(of: time), tuple)
      case 5:
        .feedback(
          PartialFeedback(incident: Int64(1 + random.below(9)), tuple: 0, verdict: 1), tuple)
      case 6:
        .anchor(PartialAnchor(user: user, campaign: random.next(), time: time, from: time - 7))
      default:
        .count(
          kind: random.pick([.impression, .click, .conversion]), time: time, tuple,
          revenue: random.time(upTo: 1000))
      }
    return (person, item)
  }

  func make() -> EmitterSubject { EmitterSubject(partition: 0, of: 1) }

  private static func inputs(_ frames: [Frame]) -> [Input] {
    var outcomes: [Item] = []
    var before: (sequence: UInt64, logTime: Int64, outcomes: [Item]) = (0, .min, [])
    var inputs: [Input] = []
    for (index, frame) in frames.enumerated() {
      if index > 0 && frames[index - 1].tick != frame.tick {
        before.outcomes = outcomes
        outcomes = []
      } else {
        before.outcomes = []
      }
      inputs.append(
        Input(
          sequence: UInt64(index + 1), logTime: frame.logTime, items: frame.items, before: before))
      outcomes += frame.items.map(\.item).filter { if case .outcome = $0 { true } else { false } }
      before = (UInt64(index + 1), frame.logTime, [])
    }
    return inputs
  }

  /// A frame after all others, which ends the last tick.
  private var last: Frame { Frame(logTime: (frames.last?.logTime ?? noon) + 10 * second) }

  var inputs: [Input] { Self.inputs(frames) }

  func inputs(of isIncluded: (Int) -> Bool) -> [Input] {
    Self.inputs(
      (frames + [last]).map { frame in
        var frame = frame
        frame.items.removeAll { !isIncluded($0.person) }
        return frame
      })
  }

  /// Within a tick.
  func permuted(_ random: inout SeededGenerator) -> [Input] {
    var shuffled = frames + [last]
    var start = 0
    while start < shuffled.count {
      let end = shuffled[start...].firstIndex { $0.tick != shuffled[start].tick } ?? shuffled.count
      var items = shuffled[start..<end].flatMap(\.items)
      items.shuffle(using: &random)
      for index in start..<end {
        let count = index == end - 1 ? items.count : random.below(items.count + 1)
        shuffled[index].items = Array(items.prefix(count))
        items.removeFirst(count)
      }
      start = end
    }
    return Self.inputs(shuffled)
  }

  var ending: [Input] { Array(Self.inputs(frames + [last]).suffix(1)) }
}
