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
/// keeps for a minute longer (``hotGrace``).
enum Coverage {
  /// Windows stay in the hot copy this much longer than in state, microseconds of log time.
  static let hotGrace = HotHeader.expiredKept

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

  /// Whether windows that a segment needs may have left the hot copy before durable rows of the
  /// checkpoint had them.
  ///
  /// - Parameter wasMade: a sequence at or past the one at which the copy was written as a whole.
  ///   It was written without windows that had expired before, so they must be durable.
  static func hasGap(
    _ checkpoint: Checkpoint, _ header: HotHeader, segments: [Segment], wasMade: UInt64
  ) -> Bool {
    return segments.contains { segment in
      let durableEnd = checkpoint.seams[segment.level]
      let seam = header.seams[segment.level]
      guard seam > durableEnd else { return false }
      let kept =
        checkpoint.sequence >= wasMade ? firstKept(segment.level, header.seams) : seam
      // Windows of [durableEnd, kept) are in neither.
      return kept > durableEnd && segment.from < kept && segment.to > durableEnd
    }
  }

  /// A start from which on the hot copy has every window of the level, though it may have expired:
  /// what the level's seam was ``hotGrace`` earlier. The 10 s seam tells that time, to 10 s.
  private static func firstKept(_ level: WindowLevel, _ seams: Seams) -> Int64 {
    let fine = seams[.tenSeconds]
    guard fine > .min + hotGrace else { return seams[level] }
    return min(
      seams[level], level.start(of: fine + WindowLevel.tenSeconds.length - hotGrace))
  }

  /// What durable rows alone cover: hours and days as last written, and shorter windows only
  /// where all that are asked for were final, because open ones are not written.
  static func durableSequence(_ checkpoint: Checkpoint, segments: [Segment]) -> UInt64 {
    let fineEnd = segments.filter { !$0.level.isCoarse }.map(\.to).max()
    let hasOpen = fineEnd.map { $0 > checkpoint.watermark } ?? false
    return hasOpen ? 0 : checkpoint.coarseSequence
  }
}
