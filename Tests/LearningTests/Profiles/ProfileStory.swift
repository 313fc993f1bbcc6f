import Analyses
import Dataflow
import Events
import Operators
import Views

@testable import Learning

/// Events of a test, handed to a learner as a process that follows the log does.
final class ProfileStory: Analysis {
  static let second: Int64 = 1_000_000
  static let hour: Int64 = 3_600 * second
  static let day: Int64 = 24 * hour
  /// 2025-11-24T10:00:00Z, a Monday.
  static let start: Int64 = 1_763_978_400 * second

  struct Act {
    var person: UInt64 = 1
    var user: UInt64 = 0
    var kind = EventKind.click
    var name = "Name"
    var time = ProfileStory.start
    var content = "post-1"
    var channel = "mail"
    var currency = ""
    var revenue: Int64 = 0
    var payload = "{}"
    var agent = ""
    var traffic = ""
  }

  let times = Int64.min..<Int64.max
  private let learner: any Learner
  private var judge: StreamJudge
  private var sequence: UInt64 = 0
  private var lastID: UInt64 = 0
  private(set) var logTime = Int64.min

  init(_ learner: any Learner) {
    self.learner = learner
    judge = StreamJudge(
      PipelineSpec(name: "test", allowedLateness: 400 * Self.day), groups: 0..<KeyGroup.count)
  }

  static func key(_ number: UInt64) -> Key128 {
    number == 0 ? .zero : Key128(low: number &* 0x9e37_79b9_7f4a_7c15, high: number)
  }

  func add(_ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment) {
    learner.add(
      frame, counted, at: moment, from: StreamPlace(generation: 1, partition: 0))
  }

  func merge(_ other: ProfileStory) {}

  /// A frame that was stored then.
  func store(_ acts: [Act], at storedAt: Int64) throws {
    try store(
      events: acts.map { act in
        lastID += 1
        return IncomingEvent(
          kind: act.kind, key: Key128(low: lastID, high: 7), person: Self.key(act.person),
          user: Self.key(act.user), eventTime: act.time, receivedAt: storedAt,
          dimensions: DimensionTuple(
            site: "shop", campaign: "spring", content: act.content, channel: act.channel,
            currency: act.currency, traffic: act.traffic
          ).encoded, revenueMicros: act.revenue, id: "\(lastID)", name: act.name, source: "test",
          payload: Array(act.payload.utf8), agent: act.agent)
      }, at: storedAt)
  }

  func store(events: [IncomingEvent], at storedAt: Int64) throws {
    var encoder = FrameEncoder()
    for event in events { encoder.append(event) }
    let frame = encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
        producerSequence: 1))
    sequence += 1
    logTime = max(logTime, storedAt)
    try frame.withUnsafeBytes { bytes in
      try judge.add(bytes, sequence: sequence, storedAt: storedAt, to: self)
    }
  }

  /// As it is when the log's time is then.
  func publish(at time: Int64? = nil, isCaughtUp: Bool = true) {
    logTime = max(logTime, time ?? logTime)
    learner.publish(
      LearningProgress(
        position: Position(generation: 1, sequences: [0: sequence]), logTime: logTime,
        isCaughtUp: isCaughtUp))
  }
}
