import Dataflow
import Events
import Ports
import Views

/// Answers a plan from the layers that the request's metrics follow from, merged by group.
///
/// Each layer is of an instant of its own; the answer's position is what all of them cover.
struct QueryExecutor: Sendable {
  let view: ReadView
  /// Microseconds since the epoch.
  let clock: @Sendable () -> Int64
  /// The last sequence of each partition in the log, as far as known without asking.
  private let logHeads: (@Sendable () -> [Int: UInt64])?
  private let metrics: QueryMetrics
  private let readers: [Measure: LayerReader]
  /// Of its answers.
  let written = WrittenRows()
  private let ageMax: Duration

  /// - Parameters:
  ///   - pause: between two attempts to join durable rows and hot copy.
  ///   - ageMax: of rows that answers share; zero where they share none.
  init(
    view: ReadView, clock: @escaping @Sendable () -> Int64,
    logHeads: (@Sendable () -> [Int: UInt64])?, metrics: QueryMetrics,
    pause: Duration = .milliseconds(20), ageMax: Duration = .zero
  ) {
    self.view = view
    self.clock = clock
    self.logHeads = logHeads
    self.metrics = metrics
    self.ageMax = ageMax
    var readers: [Measure: LayerReader] = [:]
    for measure in Measure.allCases {
      guard view.layer(measure) != nil else { continue }
      readers[measure] = LayerReader(
        view: view, measure: measure, pause: pause, ageMax: ageMax, metrics: metrics)
    }
    self.readers = readers
  }

  /// What was read of the durable store, to be used again while it still fits the hot copies.
  struct DurableParts: Sendable {
    var now: [Measure: LayerReader.DurablePart] = [:]
    var before: [Measure: LayerReader.DurablePart] = [:]
  }

  /// - Parameter sharing: what may be shared with other questions; nil for nothing.
  func answer(
    _ request: QueryRequest, plan: QueryPlan, sharing: LayerReader.Sharing? = nil
  ) async throws(QueryError) -> QueryAnswer {
    var sums = Sums(plan)
    for measure in request.measures {
      let reader = reader(measure)
      let result = try await reader.read(
        plan.selection(for: request, measure), sharing: sharing)
      add(result, measure, to: &sums)
      if let selection = plan.selectionBefore(for: request, measure) {
        let earlier = try await reader.read(selection, sharing: sharing)
        add(earlier, measure, isBefore: true, to: &sums)
      }
    }
    return answer(sums, request, plan)
  }

  /// Reads what an answer will be made of, so that it is kept then.
  func readAhead(_ request: QueryRequest, plan: QueryPlan) async throws(QueryError) {
    for measure in request.measures {
      let now = plan.selection(for: request, measure)
      for selection in [now, plan.selectionBefore(for: request, measure)].compactMap({ $0 }) {
        _ = try await reader(measure).read(
          selection, sharing: LayerReader.Sharing(since: .now - ageMax))
      }
    }
  }

  /// - Parameter parts: what an earlier call read; replaced where it no longer fits.
  /// - Precondition: the view computes the request's metrics, see ``ReadView/check(_:)``.
  func answer(
    _ request: QueryRequest, plan: QueryPlan, reusing parts: inout DurableParts
  ) async throws(QueryError) -> QueryAnswer {
    var sums = Sums(plan)
    for measure in request.measures {
      let reader = reader(measure)
      let result = try await reader.read(
        plan.selection(for: request, measure), reusing: &parts.now[measure])
      add(result, measure, to: &sums)
      if let selection = plan.selectionBefore(for: request, measure) {
        let earlier = try await reader.read(selection, reusing: &parts.before[measure])
        add(earlier, measure, isBefore: true, to: &sums)
      }
    }
    return answer(sums, request, plan)
  }

  private func reader(_ measure: Measure) -> LayerReader {
    guard let reader = readers[measure] else {
      preconditionFailure("only metrics that the view computes are admitted")
    }
    return reader
  }

  /// What was read so far.
  private struct Sums {
    var now = GroupTable()
    /// Of the period before.
    var before = GroupTable()
    var coverage: CoverageSum?
    var isFinal = true
    var warnings: [String] = []
    var began: ContinuousClock.Instant?
    let end: Int64

    init(_ plan: QueryPlan) { end = plan.range.to }
  }

  private func answer(
    _ sums: Sums, _ request: QueryRequest, _ plan: QueryPlan
  ) -> QueryAnswer {
    let (rows, total, currencies) = QueryAnswer.rows(
      of: sums.now, before: plan.before == nil ? nil : sums.before, plan: plan, request: request)
    let reach =
      sums.coverage ?? CoverageSum(generation: view.generation, partitions: view.partitions)
    let meta = QueryAnswer.Meta(
      position: reach.position, watermark: reach.watermark, logTime: reach.logTime,
      isFinal: sums.isFinal, asOf: clock(), lagFrames: lag(of: reach.position),
      revision: max(sums.now.revision, sums.before.revision), warnings: sums.warnings,
      currencies: currencies, rowCount: total)
    return QueryAnswer(rows: rows, meta: meta, began: sums.began)
  }

  private func add(
    _ result: LayerReader.Result, _ measure: Measure, isBefore: Bool = false, to sums: inout Sums
  ) {
    if result.isDurableOnly { metrics.answeredFromDurableOnly() }
    let unreadable =
      isBefore
      ? add(result, measure, to: &sums.before) : add(result, measure, to: &sums.now)
    let unread =
      unreadable > 0 ? ["\(unreadable) rows of the hot copy could not be read"] : []
    sums.warnings += (unread + result.warnings).filter { !sums.warnings.contains($0) }
    if !isBefore {
      sums.isFinal = sums.isFinal && result.coverage.watermark.map { sums.end <= $0 } ?? false
    }
    sums.coverage = sums.coverage.map { $0.joined(with: result.coverage) } ?? result.coverage
    sums.began = [sums.began, result.began].compactMap { $0 }.min()
  }

  private func add(
    _ result: LayerReader.Result, _ measure: Measure, to table: inout GroupTable
  ) -> Int {
    for group in result.groups { table.add(group, measure) }
    return table.add(result.rows, selection: result.selection)
  }

  private func lag(of position: Position) -> UInt64? {
    guard let heads = logHeads?() else { return nil }
    return heads.reduce(0) { sum, entry in
      let covered = position.sequences[entry.key] ?? 0
      let head = entry.value
      return sum + (head > covered ? head - covered : 0)
    }
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
