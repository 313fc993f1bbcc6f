import Events
import HTTPServer

/// Where a live stream's events go.
protocol EventSink: Sendable {
  /// Returns once the reader takes more.
  func write(_ bytes: [UInt8]) async throws
}

extension ResponseStream: EventSink {}

/// One query's answer as server-sent events (WHATWG HTML section 9.2): a `snapshot`, then `change`
/// events with the rows that differ, each with its position as `id`.
///
///     id: 1~0.1204~1.88
///     event: change
///     data: {"results":[…],"removed":[…],"meta":{…}}
///
/// Where only the position moves, a `progress` event says so, at most once a second. The answer
/// is computed after each write, so a slow reader gets the newest state and never a backlog.
struct LiveStream: Sendable {
  struct Settings: Sendable {
    /// Comments keep proxies from closing a quiet connection.
    var heartbeat: Duration = .seconds(15)
    /// Between two answers: partitions change at different moments of the same tenth of a second.
    var spacing: Duration = .milliseconds(30)
    /// A stream spends at most one part in so many on its answers, so that many streams slow each
    /// other down instead of the machine.
    var share = 4
    var progress: Duration = .seconds(1)
  }

  var request: QueryRequest
  var executor: QueryExecutor
  var watcher: PositionWatcher
  var zone: ZoneRules
  var metrics: QueryMetrics
  var settings = Settings()
  /// False once queries read another version of the pipeline.
  var isCurrent: @Sendable () -> Bool = { true }

  /// What the client has been sent.
  private struct Shown {
    var rows: [QueryAnswer.Row]
    var position: Position
    var range: TimeRange
  }

  /// The first answer, computed before the response begins so that errors have a status.
  struct Start: Sendable {
    fileprivate var version: UInt64
    fileprivate var plan: QueryPlan
    fileprivate var answer: QueryAnswer
    fileprivate var parts: QueryExecutor.DurableParts
  }

  func start() async throws(QueryError) -> Start {
    let version = await watcher.latest.version
    let plan = try QueryPlan.make(for: request, now: executor.clock(), zone: zone)
    var parts = QueryExecutor.DurableParts()
    let answer = try await executor.answer(request, plan: plan, reusing: &parts)
    return Start(version: version, plan: plan, answer: answer, parts: parts)
  }

  /// Sends events until the sink throws, the task is cancelled, or another version of the pipeline is
  /// read: the client connects again then and gets that one's snapshot.
  ///
  /// - Parameter lastEventID: how far the client had come; where nothing is newer it gets no
  ///   snapshot again.
  func run(_ start: Start, lastEventID: Position?, into sink: any EventSink) async throws {
    var version = start.version
    var parts = start.parts
    var shown = Shown(
      rows: start.answer.rows, position: start.answer.meta.position, range: start.plan.range)
    var lastSent = ContinuousClock.now
    if isKnown(start, to: lastEventID) {
      try await sink.write(Array(": nothing newer\n\n".utf8))
    } else {
      try await send("snapshot", shown.position, writer(start.plan).answer(start.answer), to: sink)
    }
    var spent = Duration.zero
    while true {
      let rest = max(settings.spacing, spent * (settings.share - 1))
      try await Task.sleep(until: .now + rest, clock: .continuous)
      version = try await watcher.next(after: version, until: deadline(since: lastSent)).version
      try Task.checkCancellation()
      guard isCurrent() else { return }
      let began = ContinuousClock.now
      let plan: QueryPlan
      let answer: QueryAnswer
      do throws(QueryError) {
        plan = try QueryPlan.make(for: request, now: executor.clock(), zone: zone)
        answer = try await executor.answer(request, plan: plan, reusing: &parts)
      } catch {
        // The client keeps what it has; the next change or heartbeat tries again.
        try await sink.write(Array(": \(error.code.rawValue)\n\n".utf8))
        lastSent = .now
        try await Task.sleep(for: settings.progress)
        continue
      }
      spent = began.duration(to: .now)
      let difference = AnswerDifference(from: shown.rows, to: answer.rows)
      let position = answer.meta.position
      if !difference.isEmpty {
        let data = writer(plan).change(difference, meta: answer.meta)
        try await send("change", position, data, to: sink)
      } else if position != shown.position, ContinuousClock.now >= lastSent + settings.progress {
        let data = writer(plan).change(difference, meta: answer.meta)
        try await send("progress", position, data, to: sink)
      } else if ContinuousClock.now >= lastSent + settings.heartbeat {
        try await sink.write(Array(": alive\n\n".utf8))
      } else {
        continue
      }
      shown = Shown(rows: answer.rows, position: position, range: plan.range)
      lastSent = .now
    }
  }

  /// The client holds this very answer where its position is this one and the range has not moved
  /// since: it cannot have seen the position before the log had stored its last frame.
  private func isKnown(_ start: Start, to lastEventID: Position?) -> Bool {
    guard let lastEventID, lastEventID.covers(start.answer.meta.position) else { return false }
    guard let logTime = start.answer.meta.logTime else { return true }
    return request.range.resolved(now: logTime, zone: zone) == start.plan.range
  }

  /// When to look again although nothing was seen to change.
  private func deadline(since lastSent: ContinuousClock.Instant) -> ContinuousClock.Instant {
    let heartbeat = lastSent + settings.heartbeat
    let progress = max(lastSent, .now) + settings.progress
    // A range that ends now moves on by itself.
    return min(heartbeat, progress)
  }

  private func writer(_ plan: QueryPlan) -> AnswerWriter {
    AnswerWriter(request: request, plan: plan, zone: zone)
  }

  private func send(
    _ event: String, _ id: Position, _ data: [UInt8], to sink: any EventSink
  ) async throws {
    var bytes = Array("id: \(id)\nevent: \(event)\ndata: ".utf8)
    bytes.append(contentsOf: data)
    bytes.append(contentsOf: "\n\n".utf8)
    metrics.sent(event)
    try await sink.write(bytes)
  }
}
