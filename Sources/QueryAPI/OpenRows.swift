import Dataflow
import Events
import Ports
import Views

/// The rows of windows that have not left every stream's state, of one instant, for whoever asks in the next tenth of a
/// second: of the hot copy those from each stream's seam on, of durable rows those of other streams below theirs.
///
///     windows of a level   ── before every seam ──┤─ between seams ─├── from every seam on ──▶
///                          `durable.kept`           durable and hot   hot
struct OpenRows: Sendable {
  /// Before anything of it was read.
  let began: ContinuousClock.Instant
  /// Whose windows are in it.
  let levels: Set<WindowLevel>
  let moment: DurableMoment
  let layer: Layer
  /// Of the layer's own partitions.
  let checkpoints: [Int: Checkpoint]
  let headers: [Int: HotHeader]
  /// See ``HotCopies``.
  let wasMade: [Int: UInt64]
  let rows: RowColumns

  init(
    began: ContinuousClock.Instant, levels: Set<WindowLevel>, moment: DurableMoment, layer: Layer,
    checkpoints: [Int: Checkpoint], headers: [Int: HotHeader], copies: HotCopies, rows: RowColumns
  ) {
    self.began = began
    self.levels = levels
    self.moment = moment
    self.layer = layer
    self.checkpoints = checkpoints
    self.headers = headers
    self.rows = rows
    wasMade = Dictionary(
      uniqueKeysWithValues: headers.map { ($0, copies.firstSequence(partition: $0, $1)) })
  }

  /// How far answers reach that take windows from the hot copy, and those that take none.
  func coverage(usesHot: Bool) -> CoverageSum {
    var sum = CoverageSum(layer)
    for (partition, checkpoint) in checkpoints {
      sum.add(
        Coverage.reach(checkpoint, headers[partition], usesHot: usesHot), partition: partition,
        of: layer.measure)
    }
    return sum
  }

  /// Whether segments are read from the hot copy, too; see ``LayerReader``.
  func usesHot(_ segments: [Segment]) -> Bool {
    segments.contains { segment in
      checkpoints.values.contains { segment.to > $0.seams[segment.level] }
    }
  }

  /// Whether everything is there that an answer over segments is made of.
  func isWhole(_ segments: [Segment]) -> Bool {
    guard usesHot(segments) else { return true }
    return checkpoints.allSatisfy { partition, checkpoint in
      guard let header = headers[partition], header.isComplete else {
        // A partition that never had a frame has no copy, and nothing is missing.
        return checkpoint.sequence == 0
      }
      return !Coverage.hasGap(
        checkpoint, header, segments: segments, wasMade: wasMade[partition] ?? header.sequence)
    }
  }
}
