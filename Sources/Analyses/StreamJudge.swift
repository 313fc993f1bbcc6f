public import Dataflow
import Events
import Operators
import Views

/// Tells what counts of one stream, by the same operators and rules as the pipeline's first stage: bots by its
/// rules, copies within its horizon, times corrected, lateness.
///
/// The pipeline's windows count the same events, and those of persons who were erased since: their sums name nobody
/// (decision 39). Where a pipeline has more dimension tuples than it may, its read
/// models have some of them under `(other)`; here each event is what it is.
public struct StreamJudge: ~Copyable {
  /// What became of the events of the frames so far.
  public struct Tally: Hashable, Sendable {
    public var frames: UInt64 = 0
    public var events: UInt64 = 0
    public var duplicate: UInt64 = 0
    public var tooLate: UInt64 = 0
    /// Of persons who were erased.
    public var erased: UInt64 = 0
    /// Of those that count, how many are within the times of the question.
    public var counted: UInt64 = 0
    /// Of these, how many came after the watermark had passed the 10 s window that they are in.
    public var late: UInt64 = 0
    /// Frames with such events: how often what was final has been corrected.
    public var revision: UInt64 = 0

    public init() {}

    public static func += (a: inout Self, b: Self) {
      a.frames += b.frames
      a.events += b.events
      a.duplicate += b.duplicate
      a.tooLate += b.tooLate
      a.erased += b.erased
      a.counted += b.counted
      a.late += b.late
      a.revision += b.revision
    }
  }

  private let spec: PipelineSpec
  private let policy: WindowPolicy
  private let groups: Range<Int>
  private let erasures: PersonErasures
  private var deduplicator: Deduplicator
  private var verdicts = Verdicts()
  private var counted = CountedEvents()
  /// Running maximum of stored times, microseconds since the epoch; `.min` before the first frame.
  public private(set) var logTime = Int64.min
  public private(set) var tally = Tally()

  /// - Parameters:
  ///   - groups: the key groups that the stream's partition owns.
  ///   - erasures: of whom nothing counts.
  public init(_ spec: PipelineSpec, groups: Range<Int>, erasures: PersonErasures = PersonErasures())
  {
    self.spec = spec
    self.erasures = erasures
    self.groups = groups
    policy = WindowPolicy(
      allowedLateness: spec.allowedLateness, windowGrace: spec.windowGrace,
      tupleCountMax: spec.tupleCountMax)
    deduplicator = Deduplicator(
      groups: groups, horizon: spec.dedupeHorizon, countMax: spec.dedupeCountMax)
  }

  /// Log time minus the allowed disorder; `.min` before the first frame.
  public var watermark: Int64 {
    logTime == .min ? .min : logTime - min(max(0, spec.allowedDisorder), TimeRange.latest)
  }

  /// Takes in the next frame. Bytes that are no frame only move time.
  ///
  /// - Parameter storedAt: when the log stored it, microseconds since the epoch.
  public mutating func add(
    _ bytes: UnsafeRawBufferPointer, sequence: UInt64, storedAt: Int64, to analysis: some Analysis
  ) throws(AnalysisError) {
    tally.frames += 1
    let frame: FrameView
    do throws(FrameError) {
      frame = try FrameView(bytes)
    } catch {
      advance(to: storedAt)
      return
    }
    // A copied frame has the time at which its original was stored, which is not after its own.
    let original = frame.header.originalLogTime
    advance(to: original != 0 ? min(original, storedAt) : storedAt)
    guard frame.header.kind == .events, frame.count > 0 else { return }
    guard let rules = spec.bots, let judged = FrameJudgement.frame(frame, by: rules) else {
      return try add(frame, sequence: sequence, to: analysis)
    }
    try judged.span.withUnsafeBytes { bytes throws(AnalysisError) in
      let view: FrameView
      do throws(FrameError) {
        view = try FrameView(bytes)
      } catch {
        preconditionFailure("a frame that was just written cannot be read: \(error)")
      }
      try add(view, sequence: sequence, to: analysis)
    }
  }

  private mutating func advance(to stored: Int64) {
    logTime = max(logTime, TimeRange.clamp(stored))
  }

  private mutating func add(
    _ frame: FrameView, sequence: UInt64, to analysis: some Analysis
  ) throws(AnalysisError) {
    let moment = FrameMoment(sequence: sequence, logTime: logTime, watermark: watermark)
    deduplicator.advance(to: moment)
    verdicts.reset(count: frame.count)
    do throws(OperatorError) {
      try deduplicator.process(frame, at: moment, verdicts: &verdicts)
    } catch {
      throw .refused(error)
    }
    count(frame, at: moment, within: analysis.times)
    if counted.count > 0 { try analysis.add(frame, counted, at: moment) }
  }

  private mutating func count(
    _ frame: FrameView, at moment: FrameMoment, within times: Range<Int64>
  ) {
    counted.reset(capacity: frame.count)
    let tooLateBefore = policy.tooLateBefore(watermark: moment.watermark)
    var tooLate: UInt64 = 0
    var duplicate: UInt64 = 0
    var erased: UInt64 = 0
    var late: UInt64 = 0
    let hasErasures = !erasures.isEmpty
    let finalBefore = WindowLevel.tenSeconds.start(of: moment.watermark)
    for index in 0..<frame.count {
      if verdicts.isDuplicate(index) {
        duplicate &+= 1
        continue
      }
      let time = WindowPolicy.eventTime(
        stated: frame.eventTime(index), receivedAt: frame.receivedAt(index),
        logTime: moment.logTime)
      if time < tooLateBefore {
        tooLate &+= 1
      } else if hasErasures && erasures.cover(frame, index, at: moment) {
        erased &+= 1
      } else if times.contains(time) {
        counted.append(index, at: time)
        if time < finalBefore { late &+= 1 }
      }
    }
    tally.events &+= UInt64(frame.count)
    tally.duplicate &+= duplicate
    tally.tooLate &+= tooLate
    tally.erased &+= erased
    tally.counted &+= UInt64(counted.count)
    tally.late &+= late
    if late > 0 { tally.revision &+= 1 }
  }

  // MARK: The next generation

  /// What the streams of the next generation must know of this one's: the ids that are remembered.
  public mutating func handover() -> [UInt8] {
    var writer = SnapshotWriter(kind: .base, pipelineHash: spec.hash)
    deduplicator.snapshot(.everything, into: &writer)
    return writer.finish()
  }

  /// Takes over what a stream of the generation before has handed over.
  ///
  /// - Parameter earlier: the key groups of that stream's partition.
  public mutating func adopt(
    _ bytes: [UInt8], of earlier: Range<Int>
  ) throws(AnalysisError) {
    do throws(SnapshotFormatError) {
      var reader = try SnapshotReader(bytes, pipelineHash: spec.hash)
      try deduplicator.restore(from: &reader, keeping: groups.clamped(to: earlier))
    } catch {
      throw .handover(error)
    }
  }
}
