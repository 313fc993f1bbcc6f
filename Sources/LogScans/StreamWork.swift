import Analyses
import Dataflow
import Events
import Ports
import Threads

/// One stream of a scan: read once, by the thread that takes it.
///
/// `@unchecked Sendable`: one thread uses it between its making and the end of that thread, which the others
/// wait for.
final class StreamWork<A: Analysis>: @unchecked Sendable {
  let stream: StreamPartition
  let groups: Range<Int>
  let analysis: A
  /// The last frame that counts.
  private let last: UInt64
  /// The last sequence of a sealed stream; nil while frames can be added.
  private let end: UInt64?
  private let handsOver: Bool
  private(set) var outcome = StreamOutcome()
  /// What streams of the next generation take over.
  private var handover: [UInt8] = []

  /// Frames that must be there and do not come are waited for so long.
  private static var patienceMs: Int { 30_000 }

  init(
    _ stream: StreamPartition, groups: Range<Int>, last: UInt64, end: UInt64?, handsOver: Bool,
    analysis: A
  ) {
    self.stream = stream
    self.groups = groups
    self.last = last
    self.end = end
    self.handsOver = handsOver
    self.analysis = analysis
  }

  /// True once everything that a sealed stream holds is read.
  var hasComeToEnd: Bool { end.map { outcome.sequence >= $0 } ?? false }

  /// - Parameter before: all streams of the generation before.
  func read(
    _ source: ScannedLog, knownAt: Int64?, after before: [StreamWork<A>], control: ScanControl,
    isStopped: () -> Bool
  ) throws(ScanError) {
    var judge = StreamJudge(source.spec, groups: groups, erasures: source.erasures)
    for earlier in before where earlier.groups.overlaps(groups) {
      do throws(AnalysisError) {
        try judge.adopt(earlier.handover, of: earlier.groups)
      } catch {
        throw .analysis(error)
      }
    }
    let times = analysis.times
    outcome.sequence = try patiently(control) { () throws(LogError) in
      try StreamStart.find(stream, last: last, for: times, knownAt: knownAt, source)
    }
    control.skip(frames: Int(outcome.sequence))
    try read(source.log, into: &judge, knownAt: knownAt, control: control, isStopped: isStopped)
    outcome.logTime = judge.logTime
    outcome.watermark = judge.watermark
    outcome.tally = judge.tally
    if handsOver && hasComeToEnd { handover = judge.handover() }
  }

  private func read(
    _ log: any EventLog, into judge: inout StreamJudge, knownAt: Int64?, control: ScanControl,
    isStopped: () -> Bool
  ) throws(ScanError) {
    var reader: (any FrameReader)?
    var waitedMs = 0
    while outcome.sequence < last {
      if isStopped() { return }
      if control.stop.isSet { throw .cancelled }
      let frames = try patiently(control) { () throws(LogError) in
        if reader == nil {
          reader = try log.reader(stream: stream.stream, after: outcome.sequence)
        }
        return try reader?.next(timeoutMs: 1_000) ?? []
      }
      guard !frames.isEmpty else {
        waitedMs += 1_000
        guard waitedMs < Self.patienceMs else {
          throw .log(
            .wentBack(
              stream: stream.stream, wanted: last,
              last: reader?.lastKnownSequence ?? outcome.sequence))
        }
        continue
      }
      waitedMs = 0
      guard try take(frames, into: &judge, knownAt: knownAt, control) else { return }
    }
  }

  /// Tries again while the log is away, not for ever.
  private func patiently<Value>(
    _ control: ScanControl, _ body: () throws(LogError) -> Value
  ) throws(ScanError) -> Value {
    var waitedMs = 0
    while true {
      do throws(LogError) {
        return try body()
      } catch .unavailable(let reason) {
        guard waitedMs < Self.patienceMs else { throw .log(.unavailable(reason)) }
        if control.stop.wait(milliseconds: 100) { throw .cancelled }
        waitedMs += 100
      } catch {
        throw .log(error)
      }
    }
  }

  /// - Returns: false where the frames that follow were stored too late to count.
  private func take(
    _ frames: [any StoredFrame], into judge: inout StreamJudge, knownAt: Int64?,
    _ control: ScanControl
  ) throws(ScanError) -> Bool {
    let before = judge.tally
    defer {
      control.read(
        frames: Int(judge.tally.frames - before.frames),
        events: Int(judge.tally.events - before.events))
    }
    for frame in frames where frame.sequence <= last {
      if let knownAt, frame.storedAt > knownAt { return false }
      do throws(AnalysisError) {
        try judge.add(
          frame.bytes, sequence: frame.sequence, storedAt: frame.storedAt, to: analysis)
      } catch {
        throw .analysis(error)
      }
      outcome.sequence = frame.sequence
    }
    return true
  }
}
