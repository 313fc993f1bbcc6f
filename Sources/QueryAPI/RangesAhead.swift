import Synchronization

/// Reads ahead what questions about the last minutes and hours need next. Their ranges move on together, at full ten seconds,
/// and then all would wait for whatever is new in them. What is asked shortly before is asked once more, for the range that comes,
/// beside the answers; its sums are kept when somebody asks.
///
///     ──────┬─ lead ──┤ a full ten seconds: the range moves on
///           └ asked: the next range is read
///
/// Limits: ``Settings/questionCountMax`` questions at a time, one read after the other; others are read when they are asked.
/// A read that fails is made again by who asks, who is told.
final class RangesAhead: Sendable {
  struct Settings {
    /// Microseconds.
    var lead: Int64 = 4_000_000
    var questionCountMax = 64
  }

  private struct Question {
    var request: QueryRequest
    var zone: ZoneRules
    /// When its range moves on, microseconds since the epoch.
    var move: Int64
  }

  private struct State {
    /// The move that each was read for last.
    var moves: [QueryRequest: Int64] = [:]
    var waiting: [Question] = []
    var isReading = false
  }

  private let executor: QueryExecutor
  private let settings: Settings
  private let metrics: QueryMetrics
  private let state = Mutex(State())

  init(_ executor: QueryExecutor, settings: Settings = Settings(), metrics: QueryMetrics) {
    self.executor = executor
    self.settings = settings
    self.metrics = metrics
  }

  /// - Parameter now: microseconds since the epoch, when the request was made.
  func heard(_ request: QueryRequest, now: Int64, zone: ZoneRules) {
    guard case .lastMinutes = request.range else { return }
    let move = request.range.resolved(now: now, zone: zone).to
    guard move - now <= settings.lead else { return }
    let question = Question(request: Self.read(by: request), zone: zone, move: move)
    let begins = state.withLock { state -> Bool in
      if state.moves[question.request] == move { return false }
      if state.moves.count >= settings.questionCountMax {
        state.moves = state.moves.filter { $0.value > now }
      }
      guard state.moves.count < settings.questionCountMax,
        state.waiting.count < settings.questionCountMax
      else {
        metrics.readAhead(.dropped)
        return false
      }
      state.moves[question.request] = move
      state.waiting.append(question)
      defer { state.isReading = true }
      return !state.isReading
    }
    if begins { Task { await readAll() } }
  }

  /// What a request has in common with all that read the same.
  private static func read(by request: QueryRequest) -> QueryRequest {
    var question = request
    question.after = nil
    question.timeoutMs = 0
    question.format = nil
    question.order = []
    question.limit = 0
    question.offset = 0
    return question
  }

  private func next() -> Question? {
    state.withLock { state in
      if state.waiting.isEmpty {
        state.isReading = false
        return nil
      }
      return state.waiting.removeFirst()
    }
  }

  private func readAll() async {
    while let question = next() {
      do throws(QueryError) {
        let plan = try QueryPlan.make(
          for: question.request, now: question.move + 1, zone: question.zone)
        try await executor.readAhead(question.request, plan: plan)
        metrics.readAhead(.read)
      } catch {
        metrics.readAhead(.failed)
      }
    }
  }
}
