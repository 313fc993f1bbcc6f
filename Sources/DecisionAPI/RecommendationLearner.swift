public import Analyses
public import Events
public import Learning
public import Metrics
public import Operators
import HTTPServer
import Synchronization

/// Recommendations that follow the log, and the lists that are answered from them.
///
/// One book behind a lock: frames are taken in in parts of some events, so that an answer waits for a few hundred
/// microseconds at most, and sees every event as soon as it was read.
public final class RecommendationLearner: Learner, Sendable {
  /// Events that are taken in at once.
  private static let part = 32

  private struct State {
    var book = RecommendationBook()
    var progress: LearningProgress?
  }

  private let state = Mutex(State())
  private let metrics: RecommendationMetrics

  public init(registry: MetricRegistry) { metrics = RecommendationMetrics(registry) }

  /// Itself, with everything forgotten: for who begins to read anew.
  public func begun() -> RecommendationLearner {
    state.withLock { $0 = State() }
    return self
  }

  public var memory: Int64 { RecommendationBook.memory }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    var begin = 0
    while begin < counted.count {
      let end = min(begin + Self.part, counted.count)
      state.withLock { $0.book.add(frame, counted, begin..<end) }
      begin = end
    }
  }

  public func forget(_ person: Key128, erasedAt: Int64) {
    state.withLock { $0.book.forget(person) }
  }

  public func publish(_ progress: LearningProgress) {
    let summaries = state.withLock { state in
      state.progress = progress
      return state.book.summaries(now: progress.logTime)
    }
    metrics.set(summaries)
  }

  // MARK: Answers

  /// A list, and how far the log was read for it.
  ///
  /// - Returns: nil before anything was read, and where nothing is known of the site.
  func answer(
    _ question: (LearningProgress) throws(Problem) -> RecommendationQuestion
  ) throws(Problem) -> (
    answer: RecommendationAnswer, question: RecommendationQuestion, progress: LearningProgress
  )? {
    guard let progress = state.withLock({ $0.progress }) else { return nil }
    let question = try question(progress)
    let begin = ContinuousClock.now
    defer { metrics.answered(in: begin.duration(to: .now)) }
    return state.withLock { state in
      state.book.answer(question).map { ($0, question, progress) }
    }
  }

  func summaries() -> (summaries: [RecommendationSummary], progress: LearningProgress)? {
    state.withLock { state in
      state.progress.map { (state.book.summaries(now: $0.logTime), $0) }
    }
  }
}
