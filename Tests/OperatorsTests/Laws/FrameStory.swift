import Dataflow
import Events
import Oracles
import Views

@testable import Operators

/// Makes an operator that takes frames of events in.
protocol FrameOperatorMaker: SendableMetatype {
  static func subject(_ spec: PipelineSpec, seed: UInt64) -> FrameSubject
  /// Declares windows so that in no order an event is too late.
  static func allowEveryOrder(_ spec: inout PipelineSpec)
}

extension FrameOperatorMaker {
  static func allowEveryOrder(_ spec: inout PipelineSpec) {
    spec.allowedLateness = nil
    spec.dedupeHorizon = 10_000 * day
    spec.tupleCountMax = 1000
  }
}

enum DeduplicatorMaker: FrameOperatorMaker {
  static func subject(_ spec: PipelineSpec, seed: UInt64) -> FrameSubject {
    FrameSubject(
      Deduplicator(groups: 3..<5, horizon: spec.dedupeHorizon, countMax: 1_000_000))
  }
}

/// Its notes of changes grow too many, so that it throws them away and the next increment holds all.
enum ForgetfulDeduplicatorMaker: FrameOperatorMaker {
  static func subject(_ spec: PipelineSpec, seed: UInt64) -> FrameSubject {
    var op = Deduplicator(groups: 0..<4, horizon: spec.dedupeHorizon, countMax: 1_000_000)
    op.added.keptCountMin = 4
    return FrameSubject(op)
  }
}

enum WindowAggregatorMaker: FrameOperatorMaker {
  static func make(_ spec: PipelineSpec) -> WindowAggregator {
    WindowAggregator(
      policy: WindowPolicy(
        allowedLateness: spec.allowedLateness, windowGrace: spec.windowGrace,
        tupleCountMax: spec.tupleCountMax))
  }

  static func subject(_ spec: PipelineSpec, seed: UInt64) -> FrameSubject {
    FrameSubject(make(spec))
  }
}

/// The same.
enum ForgetfulAggregatorMaker: FrameOperatorMaker {
  static func subject(_ spec: PipelineSpec, seed: UInt64) -> FrameSubject {
    var op = WindowAggregatorMaker.make(spec)
    op.changes.keptCountMin = 4
    return FrameSubject(op)
  }
}

enum JoinedCountsMaker: FrameOperatorMaker {
  static func subject(_ spec: PipelineSpec, seed: UInt64) -> FrameSubject {
    FrameSubject(
      JoinedCounts(
        kind: .view, level: seed.isMultiple(of: 3) ? .minute : .tenSeconds,
        table: JoinedCountsTests.table(),
        policy: WindowPolicy(
          allowedLateness: spec.allowedLateness, windowGrace: spec.windowGrace,
          tupleCountMax: 1000),
        windowCountMax: 1_000_000))
  }

  /// A window that has expired is not corrected.
  static func allowEveryOrder(_ spec: inout PipelineSpec) {
    spec.allowedLateness = nil
    spec.windowGrace = 60 * day
  }
}

/// An operator that takes in frames of a random log.
final class FrameSubject: LawSubject {
  struct Input {
    var frame: LoggedFrame
    var moment: FrameMoment
  }

  private let op: any FrameOperator

  init<Op: Operator & ~Copyable>(_ op: consuming Op) { self.op = BoxedOperator(op) }

  func take(_ input: Input, isSilent: Bool, into said: inout Said) throws {
    var moment = input.moment
    moment.isSilent = isSilent
    let verdicts = try op.take(input.frame, at: moment)
    said.decisions.append(verdicts.map { Int64($0.rawValue) })
    for (verdict, event) in zip(verdicts, input.frame.events) {
      let isRefused = verdict == .duplicate || verdict == .tooLate
      said.add(
        [0, Int64(bitPattern: event.key.low), Int64(bitPattern: event.key.high)],
        [isRefused ? 0 : 1])
    }
  }

  func drain(into said: inout Said) {
    let outbox = op.drain()
    func key(_ row: WindowRow) -> [Int64] {
      [1, Int64(row.level.rawValue), row.start, row.dimensionID]
    }
    for row in outbox.rows { said.set(key(row), row.counts.numbers, revision: row.revision) }
    for row in outbox.deltas { said.add(key(row), row.counts.numbers, revision: row.revision) }
    for event in outbox.lateEvents {
      said.events.append([
        Int64(event.sequence), Int64(event.index), event.eventTime, Int64(event.kind),
        event.dimensionID, event.revenueMicros,
      ])
    }
  }

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    op.snapshot(scope, into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try op.restore(from: &reader)
  }
}

/// An ``Operator`` of any type.
private protocol FrameOperator: AnyObject {
  func take(_ frame: LoggedFrame, at moment: FrameMoment) throws -> [Verdict]
  func drain() -> Outbox
  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter)
  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError)
}

private final class BoxedOperator<Op: Operator & ~Copyable>: FrameOperator {
  private var op: Op
  private var verdicts = Verdicts()

  init(_ op: consuming Op) { self.op = op }

  /// - Returns: the verdicts over the frame's events.
  func take(_ frame: LoggedFrame, at moment: FrameMoment) throws -> [Verdict] {
    op.advance(to: moment)
    guard frame.kind == .events, !frame.events.isEmpty else { return [] }
    return try frame.bytes.withUnsafeBytes {
      let view = try FrameView($0)
      verdicts.reset(count: view.count)
      try op.process(view, at: moment, verdicts: &verdicts)
      return (0..<verdicts.count).map { verdicts[$0] }
    }
  }

  func drain() -> Outbox {
    var outbox = Outbox()
    op.drain(.commit(includeCoarse: true), into: &outbox)
    return outbox
  }

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    op.snapshot(scope, into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try op.restore(from: &reader, keeping: 0..<KeyGroup.count)
  }
}

extension Counts {
  var numbers: [Int64] {
    [impressions, views, clicks, engagements, conversions, revenueMicros]
  }
}

/// A random log for an operator that takes frames in.
struct FrameStory<Maker: FrameOperatorMaker>: LawStory {
  private var history: History
  private let seed: UInt64

  init(seed: UInt64, law: OperatorLaw) {
    self.seed = seed
    history = History(seed: seed, frameCount: law == .permutation ? 20 : 30)
    switch law {
    case .permutation: Maker.allowEveryOrder(&history.spec)
    // Which tuples are too many depends on which there are.
    case .partition: history.spec.tupleCountMax = 1000
    case .restart, .replay, .expiry: break
    }
  }

  func make() -> FrameSubject { Maker.subject(history.spec, seed: seed) }

  private func inputs(_ frames: [LoggedFrame]) -> [FrameSubject.Input] {
    var logTime = Int64.min
    return frames.enumerated().map { index, frame in
      logTime = max(logTime, frame.storedAt)
      return FrameSubject.Input(
        frame: frame,
        moment: FrameMoment(
          sequence: UInt64(index + 1), logTime: logTime,
          watermark: logTime - history.spec.allowedDisorder))
    }
  }

  var inputs: [FrameSubject.Input] { inputs(history.frames) }

  func inputs(of isIncluded: (Int) -> Bool) -> [FrameSubject.Input] {
    inputs(
      history.frames.map { frame in
        guard frame.kind == .events, !frame.isPoison else { return frame }
        return LoggedFrame(
          frame.events.filter { isIncluded(Int($0.person.low)) }, storedAt: frame.storedAt)
      })
  }

  func permuted(_ random: inout SeededGenerator) -> [FrameSubject.Input] {
    // Receipt at one time, so that future times are cut the same in every order.
    var events = history.frames.filter { $0.kind == .events && !$0.isPoison }.flatMap(\.events)
    for index in events.indices {
      events[index].received = noon
      events[index].time = max(events[index].time, noon - 40 * hour)
    }
    events.shuffle(using: &random)
    var frames: [LoggedFrame] = []
    while !events.isEmpty {
      let count = min(events.count, 1 + random.below(9))
      frames.append(
        LoggedFrame(Array(events.prefix(count)), storedAt: noon + Int64(frames.count) * second))
      events.removeFirst(count)
    }
    frames.append(.heartbeat(storedAt: noon + 3 * hour))
    return inputs(frames)
  }

  var ending: [FrameSubject.Input] {
    let last = history.frames.map(\.storedAt).max() ?? noon
    let end = FrameMoment(
      sequence: UInt64(history.frames.count + 1), logTime: last + 10 * day,
      watermark: last + 10 * day)
    return [
      FrameSubject.Input(frame: .heartbeat(storedAt: end.logTime), moment: end)
    ]
  }
}
