import Analyses
import Dataflow
import Learning
import Operators
import Ports

/// One stream of a generation: what was read ahead of it, and the judge of what counts. Confined to the thread that
/// learns.
final class FollowedStream {
  let stream: StreamPartition
  let groups: Range<Int>
  /// The last sequence of a sealed stream; nil while frames can be added.
  var end: UInt64?
  /// What the stream held when reading began.
  let target: UInt64
  let pump = StreamPump()
  private(set) var judge: StreamJudge
  /// The last frame that was taken.
  private(set) var sequence: UInt64
  /// When it was stored, microseconds since the epoch; nil before the first one.
  private(set) var storedAt: Int64?
  private(set) var lastKnown: UInt64
  private(set) var away: String?
  private(set) var failure: LogError?
  /// When the frames that wait have arrived.
  private(set) var seenAt = ContinuousClock.now
  /// In reverse order, so that the next one is at the end.
  private var waiting: [any StoredFrame] = []

  /// - Parameter sequence: the frame after which to read.
  init(
    _ stream: StreamPartition, groups: Range<Int>, end: UInt64?, target: UInt64,
    after sequence: UInt64,
    spec: PipelineSpec
  ) {
    self.stream = stream
    self.groups = groups
    self.end = end
    self.target = target
    self.sequence = sequence
    lastKnown = max(sequence, target)
    judge = StreamJudge(spec, groups: groups)
  }

  func adopt(_ handover: [UInt8], of earlier: Range<Int>) throws(AnalysisError) {
    guard earlier.overlaps(groups) else { return }
    try judge.adopt(handover, of: earlier)
  }

  /// Judges by other rules from now on, as one does that has read as far by them.
  func judge(as other: FollowedStream, by spec: PipelineSpec) throws(AnalysisError) {
    var judge = StreamJudge(spec, groups: groups)
    try judge.resume(other.handover(), logTime: other.judge.logTime)
    self.judge = judge
  }

  /// Goes on where a snapshot was taken.
  func resume(_ before: FollowerSnapshot.Stream) throws(AnalysisError) {
    try judge.resume(before.judge, logTime: before.logTime)
    storedAt = before.storedAt
  }

  func handover() -> [UInt8] { judge.handover() }

  /// True once everything that a sealed stream holds is read.
  var hasComeToEnd: Bool { end.map { sequence >= $0 } ?? false }

  /// Whether something that the stream held in the beginning is still to come from the log.
  var owesFrames: Bool { waiting.isEmpty && sequence < target }

  /// When the next frame was stored; nil where none is there.
  var nextStoredAt: Int64? { waiting.last?.storedAt }

  var framesBehind: UInt64 { lastKnown > sequence ? lastKnown - sequence : 0 }

  /// Looks for what has been read meanwhile.
  func look() {
    guard waiting.isEmpty else { return }
    let taken = pump.take()
    lastKnown = max(lastKnown, taken.lastKnown)
    away = taken.away
    failure = taken.failure
    if !taken.batches.isEmpty { seenAt = .now }
    for batch in taken.batches.reversed() { waiting.append(contentsOf: batch.frames.reversed()) }
  }

  /// Takes in the next frame.
  ///
  /// - Precondition: there is one.
  func takeNext(to feed: LearnerFeed) throws(AnalysisError) {
    guard let frame = waiting.popLast() else { preconditionFailure("there is a next frame") }
    feed.place = StreamPlace(generation: stream.generation, partition: stream.partition)
    try judge.add(frame.bytes, sequence: frame.sequence, storedAt: frame.storedAt, to: feed)
    sequence = frame.sequence
    storedAt = frame.storedAt
  }
}
