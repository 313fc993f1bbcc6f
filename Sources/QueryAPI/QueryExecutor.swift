import Dataflow
import Events
import Ports
import Views

/// Answers a plan from durable rows and the hot copy of one view.
///
/// One instant of the durable store is read, windows before its own seams only; then the hot copy
/// at or past those seams. Where the two do not join (see ``Coverage``) both are read again until
/// the next commit; after ``attemptCountMax`` times, or where the hot copy is away, durable rows
/// alone answer, with a warning and a position that says less.
struct QueryExecutor: Sendable {
  /// Half a second with the pause: commits come every quarter of one, unless there is a backlog.
  static let attemptCountMax = 25

  var view: ReadView
  /// Microseconds since the epoch.
  var clock: @Sendable () -> Int64
  /// The last sequence of each partition in the log, as far as known without asking.
  var logHeads: (@Sendable () -> [Int: UInt64])?
  var metrics: QueryMetrics
  /// Between two attempts.
  var pause = Duration.milliseconds(20)
  private let copies = HotCopies()

  init(
    view: ReadView, clock: @escaping @Sendable () -> Int64,
    logHeads: (@Sendable () -> [Int: UInt64])?, metrics: QueryMetrics
  ) {
    self.view = view
    self.clock = clock
    self.logHeads = logHeads
    self.metrics = metrics
  }

  /// What was read of the durable store, to be used again while it still fits the hot copy.
  struct DurablePart: Sendable {
    var selection: ViewSelection
    var answer: DurableAnswer
  }

  func answer(
    _ request: QueryRequest, plan: QueryPlan
  ) async throws(QueryError) -> QueryAnswer {
    var part: DurablePart?
    return try await answer(request, plan: plan, reusing: &part)
  }

  /// - Parameter part: what an earlier call read; replaced where it no longer fits.
  func answer(
    _ request: QueryRequest, plan: QueryPlan, reusing part: inout DurablePart?
  ) async throws(QueryError) -> QueryAnswer {
    let selection = plan.selection(for: request)
    if part?.selection != selection { part = nil }
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
      let checkpoints = Coverage.checkpoints(durable.checkpoints, of: view)
      let hot: HotRead
      switch await readHot(plan.segments, checkpoints: checkpoints) {
      case .success(let answer): hot = answer
      case .failure(let missing):
        reason = missing.reason
        break attempts
      }
      let fits = checkpoints.allSatisfy { partition, checkpoint in
        guard let header = hot.answer.headers[partition] else { return true }
        let wasMade = copies.firstSequence(partition: partition, header)
        if Coverage.hasGap(checkpoint, header, segments: plan.segments, wasMade: wasMade) {
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
      return assemble(
        request, plan: plan, selection: selection, durable: durable, checkpoints: checkpoints,
        hot: hot)
    }
    part = nil
    metrics.answeredFromDurableOnly()
    let durable = try await read(selection, belowSeams: false)
    return assembleDurable(
      request, plan: plan, durable: durable, warning: "answered from durable rows alone: \(reason)")
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
    _ segments: [Segment], checkpoints: [Int: Checkpoint]
  ) async -> Result<HotRead, HotMissing> {
    let wanted = segments.filter { segment in
      checkpoints.values.contains { segment.to > $0.seams[segment.level] }
    }
    do {
      let answer: HotAnswer
      if wanted.isEmpty {
        answer = HotAnswer(
          headers: try await view.hot.headers(partitions: view.partitions), rows: [])
      } else {
        answer = try await view.hot.read(
          segments: wanted, seams: checkpoints.mapValues(\.seams))
      }
      // A partition that never had a frame has no copy, and nothing is missing.
      for (partition, checkpoint) in checkpoints.sorted(by: { $0.key < $1.key })
      where checkpoint.sequence > 0 && answer.headers[partition]?.isComplete != true {
        if wanted.isEmpty { continue }
        return .failure(
          HotMissing(reason: "partition \(partition) has no complete hot copy at the moment"))
      }
      return .success(HotRead(answer: answer, usesRows: !wanted.isEmpty))
    } catch {
      if wanted.isEmpty {
        return .success(HotRead(answer: HotAnswer(headers: [:], rows: []), usesRows: false))
      }
      return .failure(HotMissing(reason: "the hot copy cannot be read at the moment"))
    }
  }

  private func assemble(
    _ request: QueryRequest, plan: QueryPlan, selection: ViewSelection, durable: DurableAnswer,
    checkpoints: [Int: Checkpoint], hot: HotRead
  ) -> QueryAnswer {
    var table = GroupTable()
    for group in durable.groups { table.add(group) }
    let unreadable = table.add(hot.answer.rows, selection: selection)
    var coverage = CoverageSum(generation: view.generation)
    for (partition, checkpoint) in checkpoints {
      guard let header = hot.answer.headers[partition] else {
        coverage.add(
          partition: partition, sequence: checkpoint.sequence, watermark: checkpoint.watermark,
          logTime: checkpoint.logTime)
        continue
      }
      let sequence = Coverage.sequence(checkpoint, header, usesHot: hot.usesRows)
      let isHot = sequence == header.sequence
      coverage.add(
        partition: partition, sequence: sequence,
        watermark: isHot ? header.watermark : checkpoint.watermark,
        logTime: isHot ? header.logTime : checkpoint.logTime)
    }
    let warnings =
      unreadable == 0 ? [] : ["\(unreadable) rows of the hot copy could not be read"]
    return finish(request, plan: plan, table: table, coverage: coverage, warnings: warnings)
  }

  private func assembleDurable(
    _ request: QueryRequest, plan: QueryPlan, durable: DurableAnswer, warning: String
  ) -> QueryAnswer {
    var table = GroupTable()
    for group in durable.groups { table.add(group) }
    var coverage = CoverageSum(generation: view.generation)
    for (partition, checkpoint) in Coverage.checkpoints(durable.checkpoints, of: view) {
      coverage.add(
        partition: partition,
        sequence: Coverage.durableSequence(checkpoint, segments: plan.segments),
        watermark: checkpoint.watermark, logTime: checkpoint.logTime)
    }
    var warnings = [warning]
    if plan.segments.contains(where: { !$0.level.isCoarse }) {
      warnings.append("windows of 10 s and 1 min that are still open are missing")
    }
    return finish(request, plan: plan, table: table, coverage: coverage, warnings: warnings)
  }

  private func finish(
    _ request: QueryRequest, plan: QueryPlan, table: GroupTable, coverage: CoverageSum,
    warnings: [String]
  ) -> QueryAnswer {
    let (rows, total, currencies) = QueryAnswer.rows(of: table, plan: plan, request: request)
    var lag: UInt64?
    if let heads = logHeads?() {
      lag = view.partitions.reduce(0) { sum, partition in
        let covered = coverage.position.sequences[partition] ?? 0
        let head = heads[partition] ?? 0
        return sum + (head > covered ? head - covered : 0)
      }
    }
    let meta = QueryAnswer.Meta(
      position: coverage.position, watermark: coverage.watermark, logTime: coverage.logTime,
      isFinal: coverage.watermark.map { plan.range.to <= $0 } ?? false, asOf: clock(),
      lagFrames: lag, warnings: warnings, currencies: currencies, rowCount: total)
    return QueryAnswer(rows: rows, meta: meta)
  }
}

/// Position, watermark and log time over partitions. A partition without frames has no say.
private struct CoverageSum {
  var position: Position
  var watermark: Int64?
  var logTime: Int64?

  init(generation: UInt32) { position = Position(generation: generation) }

  mutating func add(partition: Int, sequence: UInt64, watermark: Int64, logTime: Int64) {
    position.advance(partition: partition, to: sequence)
    if logTime == .min { return }
    self.watermark = min(self.watermark ?? watermark, watermark)
    self.logTime = max(self.logTime ?? logTime, logTime)
  }
}

extension QueryError {
  /// What a reader's failure means to the client. It names no server and no address.
  init(reading error: ViewReadError) {
    switch error {
    case .unavailable:
      self.init(
        .unavailable, path: "",
        detail: "the read models cannot be reached at the moment; try again shortly")
    case .refused(let reason):
      self.init(.refused, path: "", detail: "the query was refused: \(reason)")
    }
  }
}
