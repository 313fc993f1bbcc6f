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
  let intervals = RateIntervals()

  /// - Parameter pause: between two attempts to join durable rows and hot copy.
  init(
    view: ReadView, clock: @escaping @Sendable () -> Int64,
    logHeads: (@Sendable () -> [Int: UInt64])?, metrics: QueryMetrics,
    pause: Duration = .milliseconds(20)
  ) {
    self.view = view
    self.clock = clock
    self.logHeads = logHeads
    self.metrics = metrics
    var readers: [Measure: LayerReader] = [:]
    for measure in Measure.allCases {
      guard view.layer(measure) != nil else { continue }
      readers[measure] = LayerReader(view: view, measure: measure, pause: pause)
    }
    self.readers = readers
  }

  /// What was read of the durable store, to be used again while it still fits the hot copies.
  struct DurableParts: Sendable {
    var now: [Measure: LayerReader.DurablePart] = [:]
    var before: [Measure: LayerReader.DurablePart] = [:]
  }

  func answer(
    _ request: QueryRequest, plan: QueryPlan
  ) async throws(QueryError) -> QueryAnswer {
    var parts = DurableParts()
    return try await answer(request, plan: plan, reusing: &parts)
  }

  /// - Parameter parts: what an earlier call read; replaced where it no longer fits.
  /// - Precondition: the view computes the request's metrics, see ``ReadView/check(_:)``.
  func answer(
    _ request: QueryRequest, plan: QueryPlan, reusing parts: inout DurableParts
  ) async throws(QueryError) -> QueryAnswer {
    var table = GroupTable()
    var before = GroupTable()
    var coverage: CoverageSum?
    var isFinal = true
    var warnings: [String] = []
    for measure in request.measures {
      guard let reader = readers[measure] else {
        preconditionFailure("only metrics that the view computes are admitted")
      }
      let result = try await reader.read(
        plan.selection(for: request, measure), reusing: &parts.now[measure])
      add(result, measure, to: &table, &warnings)
      if let selection = plan.selectionBefore(for: request, measure) {
        let earlier = try await reader.read(selection, reusing: &parts.before[measure])
        add(earlier, measure, to: &before, &warnings)
        coverage = coverage.map { $0.joined(with: earlier.coverage) } ?? earlier.coverage
      }
      isFinal = isFinal && result.coverage.watermark.map { plan.range.to <= $0 } ?? false
      coverage = coverage.map { $0.joined(with: result.coverage) } ?? result.coverage
    }
    let (rows, total, currencies) = QueryAnswer.rows(
      of: table, before: plan.before == nil ? nil : before, plan: plan, request: request)
    let reach =
      coverage ?? CoverageSum(generation: view.generation, partitions: view.partitions)
    let meta = QueryAnswer.Meta(
      position: reach.position, watermark: reach.watermark, logTime: reach.logTime,
      isFinal: isFinal, asOf: clock(), lagFrames: lag(of: reach.position),
      revision: max(table.revision, before.revision), warnings: warnings, currencies: currencies,
      rowCount: total)
    return QueryAnswer(rows: rows, meta: meta)
  }

  private func add(
    _ result: LayerReader.Result, _ measure: Measure, to table: inout GroupTable,
    _ warnings: inout [String]
  ) {
    if result.isDurableOnly { metrics.answeredFromDurableOnly() }
    for group in result.groups { table.add(group, measure) }
    let unreadable = table.add(result.hotRows, selection: result.selection)
    let unread =
      unreadable > 0 ? ["\(unreadable) rows of the hot copy could not be read"] : []
    warnings += (unread + result.warnings).filter { !warnings.contains($0) }
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
