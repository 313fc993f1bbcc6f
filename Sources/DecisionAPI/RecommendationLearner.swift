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

  /// Of the log's time, microseconds: so long after an erasure more are waited for, and the log is not read again before so
  /// long after it was.
  fileprivate static let gathers: Int64 = 5_000_000
  fileprivate static let rests: Int64 = 600_000_000

  fileprivate struct State {
    var book: RecommendationBook
    var progress: LearningProgress?
    /// Erasures of persons who had taught the weights of the blend, and when the log is to be read again without them.
    var owed = 0
    var dueAt = Int64.max
    var relearnedAt = Int64.min
  }

  private let state: Mutex<State>
  private let metrics: RecommendationMetrics
  private let keepsTexts: Bool
  private let keeper = Mutex<VectorKeeper?>(nil)

  /// - Parameter keepsTexts: whether ``keep(_:)`` will be called.
  public init(registry: MetricRegistry, keepsTexts: Bool = false) {
    metrics = RecommendationMetrics(registry)
    self.keepsTexts = keepsTexts
    state = Mutex(State(book: RecommendationBook(keepsTexts: keepsTexts)))
  }

  /// Itself, with everything forgotten: for who begins to read anew.
  public func begun() -> RecommendationLearner {
    state.withLock { $0 = State(book: RecommendationBook(keepsTexts: keepsTexts)) }
    return self
  }

  /// Texts of contents go to it from now on.
  func keep(_ keeper: VectorKeeper) { self.keeper.withLock { $0 = keeper } }

  func adopt(_ meaning: [SIMD16<Float>], of text: ContentText) {
    state.withLock { _ = $0.book.adopt(meaning, of: text) }
  }

  public var memory: Int64 { RecommendationBook.memory }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    let place = FramePlace(stream, sequence: moment.sequence)
    var begin = 0
    while begin < counted.count {
      let end = min(begin + Self.part, counted.count)
      state.withLock { $0.book.add(frame, counted, begin..<end, at: place) }
      begin = end
    }
  }

  public func forget(_ person: Key128, erasedAt: Int64) {
    state.withLock { state in
      guard state.book.forget(person) else { return }
      state.owe(1, at: erasedAt)
    }
  }

  public func successor() -> (any Learner)? {
    let now = state.withLock { state in
      state.owed > 0 ? state.progress.map(\.logTime).flatMap { $0 >= state.dueAt ? $0 : nil } : nil
    }
    guard let now else { return nil }
    return RecommendationRelearning(self, keepsTexts: keepsTexts, knownUntil: now)
  }

  /// Answers come from another book from now on, which has read as far.
  ///
  /// - Parameters:
  ///   - owed: erasures that it does not know.
  ///   - time: of the log.
  func replace(_ book: RecommendationBook, owed: Int, at time: Int64) {
    state.withLock { state in
      var book = book
      book.takeMeanings(from: state.book)
      state.book = book
      (state.owed, state.dueAt, state.relearnedAt) = (0, .max, time)
      if owed > 0 { state.owe(owed, at: time) }
    }
  }

  public func publish(_ progress: LearningProgress) {
    let (summaries, texts, owed) = state.withLock { state in
      state.progress = progress
      return (state.book.summaries(now: progress.logTime), state.book.takeTexts(), state.owed)
    }
    metrics.set(summaries, pendingErasures: owed)
    keeper.withLock { $0 }?.take(texts, readTo: progress.position.description)
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

  /// Why a content is in a list, or is not, and how far the log was read.
  ///
  /// - Returns: nil before anything was read, and where the site or the content is not known.
  func why(
    _ content: String, alternatives: Int,
    in question: (LearningProgress) throws(Problem) -> RecommendationQuestion
  ) throws(Problem) -> (reason: RecommendationReason, progress: LearningProgress)? {
    guard let progress = state.withLock({ $0.progress }) else { return nil }
    let question = try question(progress)
    return state.withLock { state in
      state.book.why(content, in: question, alternatives: alternatives).map { ($0, progress) }
    }
  }

  /// Contents near a text, by what is in memory.
  ///
  /// - Returns: nil before anything was read, and where nothing is known of the site.
  func similar(_ question: SimilarQuestion) -> (answer: SimilarAnswer, progress: LearningProgress)?
  {
    state.withLock { state in
      guard let progress = state.progress, let answer = state.book.similar(question) else {
        return nil
      }
      return (answer, progress)
    }
  }

  func entries(
    of contents: [(content: String, similarity: Double)], site: String
  ) -> [SimilarAnswer.Entry] {
    state.withLock { $0.book.entries(of: contents, site: site) }
  }

  func summaries() -> (
    summaries: [RecommendationSummary], pendingErasures: Int, progress: LearningProgress
  )? {
    state.withLock { state in
      state.progress.map { (state.book.summaries(now: $0.logTime), state.owed, $0) }
    }
  }
}

extension RecommendationLearner.State {
  fileprivate mutating func owe(_ erasures: Int, at time: Int64) {
    owed += erasures
    guard dueAt == .max else { return }
    let earliest =
      relearnedAt == .min ? .min : relearnedAt + RecommendationLearner.rests
    dueAt = max(time + RecommendationLearner.gathers, earliest)
  }
}
