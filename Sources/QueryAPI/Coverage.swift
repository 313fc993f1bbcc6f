import Dataflow
import Events
import Ports
import Views

/// How far a partition's answer reaches into the log, and whether durable rows and hot copy fit.
///
/// An answer takes windows before the checkpoint's seam from durable rows and the others from the
/// hot copy, which is usually further on. Sequences of the log, for one partition:
///
///     committed checkpoint C ───────────┐            ┌─────────── hot header H
///     ──────────────────────────────────┴────────────┴──────────▶
///     windows < seam of C: durable, as of C           windows ≥ seam of C: hot, as of H
///
/// The two agree where no frame after C corrected a window before the seam (`H.lastDeltaSequence
/// ≤ C.sequence`): then everything up to H is covered, else only what is up to C. And they join
/// without a gap while the hot copy still has the windows that expired between C and H, which it
/// keeps for a minute of log time longer.
enum Coverage {
  /// The hot copy keeps expired windows for 60 s of log time; the rest is slack for the time that
  /// reading takes.
  static let hotGrace: Int64 = 45_000_000

  /// The checkpoints of the view's own partitions; a partition without one has committed nothing.
  static func checkpoints(
    _ all: [StreamPartition: Checkpoint], of view: ReadView
  ) -> [Int: Checkpoint] {
    var own: [Int: Checkpoint] = [:]
    for partition in view.partitions { own[partition] = Checkpoint() }
    for (stream, checkpoint) in all
    where stream.generation == view.generation && own[stream.partition] != nil {
      own[stream.partition] = checkpoint
    }
    return own
  }

  /// The last frame that the two together cover.
  ///
  /// - Parameter usesHot: whether windows come from the hot copy; where none do, durable rows that
  ///   are ahead of it count.
  static func sequence(_ checkpoint: Checkpoint, _ header: HotHeader, usesHot: Bool) -> UInt64 {
    guard header.lastDeltaSequence <= checkpoint.sequence else { return checkpoint.sequence }
    return usesHot ? header.sequence : max(header.sequence, checkpoint.sequence)
  }

  /// Whether windows may have left the hot copy that durable rows of `checkpoint` do not have yet.
  static func hasGap(_ checkpoint: Checkpoint, _ header: HotHeader) -> Bool {
    guard header.sequence > checkpoint.sequence else { return false }
    let hasMoved = WindowLevel.allCases.contains {
      header.seams[$0] > checkpoint.seams[$0]
    }
    guard hasMoved else { return false }
    if checkpoint.logTime == .min { return true }
    return header.logTime > checkpoint.logTime + hotGrace
  }

  /// What durable rows alone cover: hours and days as last written, and shorter windows only
  /// where all that are asked for were final, because open ones are not written.
  static func durableSequence(_ checkpoint: Checkpoint, segments: [Segment]) -> UInt64 {
    let fineEnd = segments.filter { !$0.level.isCoarse }.map(\.to).max()
    let hasOpen = fineEnd.map { $0 > checkpoint.watermark } ?? false
    return hasOpen ? 0 : checkpoint.coarseSequence
  }
}
