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
///
/// Questions that may be as old as others' share what is read: open windows (``SharedOpenRows``), and sums of all others,
/// which the durable store keeps as of the same moment. Who comes first to sums that are not kept reads for itself,
/// and they are kept then.
struct LayerReader: Sendable {
  /// Half a second with the pause: commits come every quarter of one, unless there is a backlog.
  static let attemptCountMax = 25

  var view: ReadView
  let measure: Measure
  /// Between two attempts.
  var pause: Duration
  private let copies = HotCopies()
  private let shared: SharedOpenRows?
  private let firstReads = FirstReads()

  /// - Parameter ageMax: of rows that questions share; zero where they share none.
  /// - Precondition: the view computes the measure.
  init(
    view: ReadView, measure: Measure, pause: Duration, ageMax: Duration, metrics: QueryMetrics
  ) {
    self.view = view
    self.measure = measure
    self.pause = pause
    let hasHot = view.layer(measure)?.hot != nil
    shared =
      ageMax > .zero && hasHot
      ? SharedOpenRows(
        view: view, measure: measure, copies: copies,
        settings: SharedOpenRows.Settings(ageMax: ageMax), metrics: metrics) : nil
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
    var rows: RowColumns
    var coverage: CoverageSum
    /// What is missing, and why.
    var warnings: [String] = []
    /// The hot copy should have had a part in it.
    var isDurableOnly = false
    /// Before anything of it was read; nil where it was read by this call.
    var began: ContinuousClock.Instant?
  }

  /// What may be shared with other questions.
  struct Sharing: Sendable {
    /// Nothing that was begun to be read before,
    var since: ContinuousClock.Instant
    /// but for what covers this position.
    var covering: Position?
  }

  func read(
    _ selection: ViewSelection, sharing: Sharing?
  ) async throws(QueryError) -> Result {
    if let sharing, let result = await readShared(selection, sharing) { return result }
    var part: DurablePart?
    let read = firstReads.begin(selection)
    defer { firstReads.end(selection, read) }
    return try await self.read(selection, reusing: &part)
  }

  /// Nil where something has to be read for this question.
  private func readShared(_ selection: ViewSelection, _ sharing: Sharing) async -> Result? {
    guard let shared else { return nil }
    let levels = Set(selection.segments.map(\.level))
    var sharing = sharing
    for _ in 0..<Self.sharedAttemptCount {
      guard
        let open = await shared.rows(
          of: levels, since: sharing.since, covering: sharing.covering),
        open.isWhole(selection.segments)
      else { return nil }
      switch view.durable.kept(selection, at: open.moment) {
      case .groups(let groups):
        return Result(
          selection: selection, groups: groups, rows: open.rows,
          coverage: open.coverage(usesHot: open.usesHot(selection.segments)), began: open.began)
      case .later: break
      case .none:
        guard let first = firstReads.underWay(selection) else { return nil }
        await first.end()
      }
      sharing = Sharing(since: .now, covering: nil)
    }
    return nil
  }

  /// Sums that were read are of a later moment than the rows at hand; a seam may pass meanwhile.
  private static let sharedAttemptCount = 4

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
        selection: selection, groups: durable.groups, rows: RowColumns(hot.answer.rows),
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
      selection: selection, groups: durable.groups, rows: RowColumns(), coverage: coverage,
      warnings: warnings, isDurableOnly: reason != nil)
  }
}
