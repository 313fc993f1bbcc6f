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

  /// The checkpoints of the layer's own partitions; a partition without one has committed nothing.
  static func checkpoints(
    _ all: [StreamPartition: Checkpoint], of layer: Layer
  ) -> [Int: Checkpoint] {
    var own: [Int: Checkpoint] = [:]
    for partition in layer.partitions { own[partition] = Checkpoint() }
    for (stream, checkpoint) in all
    where stream.generation == layer.generation && own[stream.partition] != nil {
      own[stream.partition] = checkpoint
    }
    return own
  }

  /// A place in a stream, and what its loop had come to there.
  struct Reach {
    var sequence: UInt64
    /// Of the second stage; nil where it is not known.
    var sources: [SourcePosition]?
    var watermark: Int64
    var logTime: Int64
  }

  /// The last frame that the two together cover.
  ///
  /// - Parameter usesHot: whether windows come from the hot copy; where none do, durable rows that
  ///   are ahead of it count.
  static func reach(_ checkpoint: Checkpoint, _ header: HotHeader?, usesHot: Bool) -> Reach {
    let durable = Reach(
      sequence: checkpoint.sequence, sources: checkpoint.sources, watermark: checkpoint.watermark,
      logTime: checkpoint.logTime)
    guard let header, header.lastDeltaSequence <= checkpoint.sequence,
      usesHot || header.sequence >= checkpoint.sequence
    else { return durable }
    return Reach(
      sequence: header.sequence, sources: header.sources, watermark: header.watermark,
      logTime: header.logTime)
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
  static func durableReach(_ checkpoint: Checkpoint, segments: [Segment]) -> Reach {
    let fineEnd = segments.filter { !$0.level.isCoarse }.map(\.to).max()
    let hasOpen = fineEnd.map { $0 > checkpoint.watermark } ?? false
    return Reach(
      sequence: hasOpen ? 0 : checkpoint.coarseSequence,
      sources: hasOpen || checkpoint.coarseSequence < checkpoint.sequence
        ? nil : checkpoint.sources, watermark: checkpoint.watermark, logTime: checkpoint.logTime)
  }
}

/// How far rows reach into the events: position, watermark and log time over the partitions of one
/// layer, or of several. A partition without frames has no say in the times.
struct CoverageSum: Sendable {
  private(set) var position: Position
  private(set) var watermark: Int64?
  private(set) var logTime: Int64?

  /// - Parameter layer: whose events the position is of.
  init(_ layer: Layer) {
    self.init(generation: layer.events.generation, partitions: layer.events.partitions)
  }

  init(generation: UInt32, partitions: [Int]) {
    position = Position(
      generation: generation,
      sequences: Dictionary(uniqueKeysWithValues: partitions.map { ($0, 0) }))
  }

  /// Adds what a stream of a layer has come to.
  mutating func add(_ reach: Coverage.Reach, partition: Int, of measure: Measure) {
    switch measure {
    case .activity: position.advance(partition: partition, to: reach.sequence)
    case .outcomes, .exposures, .baselines: advance(to: reach.sources ?? [])
    }
    add(watermark: reach.watermark, logTime: reach.logTime)
  }

  /// Adds how far the second stage has taken in the events.
  mutating func advance(to sources: [SourcePosition]) {
    // What a later generation gives comes after all that the earlier ones gave.
    let newest = sources.filter { $0.sequence > 0 }.map(\.generation).max()
    if let newest, newest != position.generation { position = Position(generation: newest) }
    for source in sources where source.generation == position.generation {
      position.advance(partition: source.partition, to: source.sequence)
    }
  }

  private mutating func add(watermark: Int64, logTime: Int64) {
    if logTime == .min { return }
    self.watermark = min(self.watermark ?? watermark, watermark)
    self.logTime = max(self.logTime ?? logTime, logTime)
  }

  /// What both cover.
  func joined(with other: CoverageSum) -> CoverageSum {
    var joined = self
    joined.position = position.common(with: other.position)
    if let watermark = other.watermark, let logTime = other.logTime {
      joined.add(watermark: watermark, logTime: logTime)
    }
    return joined
  }
}

extension Position {
  /// What both have read.
  func common(with other: Position) -> Position {
    // Whoever has read into a generation has read all before it.
    if generation != other.generation { return generation < other.generation ? self : other }
    var common = Position(generation: generation)
    for (partition, sequence) in sequences {
      common.advance(partition: partition, to: min(sequence, other.sequences[partition] ?? 0))
    }
    return common
  }
}
