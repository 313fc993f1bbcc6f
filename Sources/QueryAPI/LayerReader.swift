import Dataflow
import Events
import Ports
import Views

/// Reads one layer of a view: durable rows and the hot copy, joined.
///
/// One instant of the durable store is read, windows before its own seams only; then the hot copy
/// at or past those seams. Where the two do not join (see ``Coverage``) both are read again until
/// the next commit; after ``attemptCountMax`` times, or where the hot copy is away, durable rows
/// alone answer, with a warning and a position that says less.
struct LayerReader: Sendable {
  /// Half a second with the pause: commits come every quarter of one, unless there is a backlog.
  static let attemptCountMax = 25

  var view: ReadView
  let measure: Measure
  /// Between two attempts.
  var pause: Duration
  private let copies = HotCopies()

  /// - Precondition: the view computes the measure.
  init(view: ReadView, measure: Measure, pause: Duration) {
    self.view = view
    self.measure = measure
    self.pause = pause
  }

  private func layer(at checkpoints: [StreamPartition: Checkpoint]) -> Layer {
    guard let layer = view.layer(measure, at: checkpoints) else {
      preconditionFailure("only measures that the view computes are read")
    }
    return layer
  }

  /// What was read of the durable store, to be used again while it still fits the hot copy.
  struct DurablePart: Sendable {
    var selection: ViewSelection
    var answer: DurableAnswer
  }

  /// Groups and rows that are to be added up, and how far they reach.
  struct Result: Sendable {
    var selection: ViewSelection
    var groups: [ViewGroup]
    var hotRows: [HotRow]
    var coverage: CoverageSum
    /// What is missing, and why.
    var warnings: [String] = []
    /// The hot copy should have had a part in it.
    var isDurableOnly = false
  }

  /// - Parameter part: what an earlier call read; replaced where it no longer fits.
  func read(
    _ selection: ViewSelection, reusing part: inout DurablePart?
  ) async throws(QueryError) -> Result {
    if part?.selection != selection { part = nil }
    if view.layer(measure)?.hot == nil {
      part = nil
      return try await readDurable(selection, because: nil)
    }
    let segments = selection.segments
    var reason = "durable rows and hot copy did not join; the processor is catching up"
    attempts: for _ in 0..<Self.attemptCountMax {
      let isReused = part != nil
      let durable: DurableAnswer
      if let known = part?.answer {
        durable = known
      } else {
        durable = try await read(selection, belowSeams: true)
        part = DurablePart(selection: selection, answer: durable)
      }
      let layer = layer(at: durable.checkpoints)
      let checkpoints = Coverage.checkpoints(durable.checkpoints, of: layer)
      let hot: HotRead
      switch await readHot(layer, selection, checkpoints: checkpoints) {
      case .success(let answer): hot = answer
      case .failure(let missing):
        reason = missing.reason
        break attempts
      }
      let fits = checkpoints.allSatisfy { partition, checkpoint in
        guard let header = hot.answer.headers[partition] else { return true }
        let wasMade = copies.firstSequence(partition: partition, header)
        if Coverage.hasGap(checkpoint, header, segments: segments, wasMade: wasMade) {
          return false
        }
        // A fresh read may trail the hot copy by a correction; a kept one is read anew.
        return !isReused || header.lastDeltaSequence <= checkpoint.sequence
      }
      if !fits {
        part = nil
        if !isReused {
          do {
            try await Task.sleep(for: pause)
          } catch {
            reason = "the request was cancelled"
            break attempts
          }
        }
        continue
      }
      return Result(
        selection: selection, groups: durable.groups, hotRows: hot.answer.rows,
        coverage: coverage(layer, checkpoints, hot))
    }
    part = nil
    return try await readDurable(selection, because: reason)
  }

  private func read(
    _ selection: ViewSelection, belowSeams: Bool
  ) async throws(QueryError) -> DurableAnswer {
    do {
      return try await view.durable.read(selection, belowSeams: belowSeams)
    } catch {
      throw QueryError(reading: error)
    }
  }

  private struct HotRead {
    var answer: HotAnswer
    /// False where the range lies before every seam, so that only headers were read.
    var usesRows: Bool
  }

  private struct HotMissing: Error {
    var reason: String
  }

  private func readHot(
    _ layer: Layer, _ selection: ViewSelection, checkpoints: [Int: Checkpoint]
  ) async -> Swift.Result<HotRead, HotMissing> {
    guard let copy = layer.hot else {
      return .failure(HotMissing(reason: "there is no hot copy of it"))
    }
    let wanted = selection.segments.filter { segment in
      checkpoints.values.contains { segment.to > $0.seams[segment.level] }
    }
    do {
      let answer: HotAnswer
      if wanted.isEmpty {
        answer = HotAnswer(
          headers: try await copy.headers(partitions: layer.partitions), rows: [])
      } else {
        answer = try await copy.read(
          segments: wanted, seams: checkpoints.mapValues(\.seams),
          filter: TupleFilter(selection))
      }
      // A partition that never had a frame has no copy, and nothing is missing.
      for (partition, checkpoint) in checkpoints.sorted(by: { $0.key < $1.key })
      where checkpoint.sequence > 0 && answer.headers[partition]?.isComplete != true {
        if wanted.isEmpty { continue }
        return .failure(
          HotMissing(reason: "\(name(of: partition)) has no complete hot copy at the moment"))
      }
      return .success(HotRead(answer: answer, usesRows: !wanted.isEmpty))
    } catch {
      if wanted.isEmpty {
        return .success(HotRead(answer: HotAnswer(headers: [:], rows: []), usesRows: false))
      }
      return .failure(HotMissing(reason: "the hot copy cannot be read at the moment"))
    }
  }

  private func name(of partition: Int) -> String {
    switch measure {
    case .activity: "partition \(partition)"
    case .outcomes, .exposures, .baselines: "the second stage"
    }
  }

  private func coverage(
    _ layer: Layer, _ checkpoints: [Int: Checkpoint], _ hot: HotRead
  ) -> CoverageSum {
    var coverage = CoverageSum(layer)
    for (partition, checkpoint) in checkpoints {
      let reach = Coverage.reach(
        checkpoint, hot.answer.headers[partition], usesHot: hot.usesRows)
      coverage.add(reach, partition: partition, of: measure)
    }
    return coverage
  }

  /// - Parameter reason: why the hot copy has no part in it; nil where there is none.
  private func readDurable(
    _ selection: ViewSelection, because reason: String?
  ) async throws(QueryError) -> Result {
    let durable = try await read(selection, belowSeams: false)
    let layer = layer(at: durable.checkpoints)
    var coverage = CoverageSum(layer)
    for (partition, checkpoint) in Coverage.checkpoints(durable.checkpoints, of: layer) {
      coverage.add(
        Coverage.durableReach(checkpoint, segments: selection.segments), partition: partition,
        of: measure)
    }
    var warnings = reason.map { ["answered from durable rows alone: \($0)"] } ?? []
    if selection.segments.contains(where: { !$0.level.isCoarse }) {
      warnings.append("windows of 10 s and 1 min that are still open are missing")
    }
    return Result(
      selection: selection, groups: durable.groups, hotRows: [], coverage: coverage,
      warnings: warnings, isDurableOnly: reason != nil)
  }
}
