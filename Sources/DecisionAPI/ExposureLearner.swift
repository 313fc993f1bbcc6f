public import Analyses
public import Events
public import Learning
public import Operators
public import Statistics
import Synchronization
public import Views

/// Follows the persons of experiments through the log, for the results of these.
public final class ExposureLearner: Learner, Sendable {
  /// What is known of an experiment's persons, and up to where.
  public struct Followed: Sendable {
    /// In order.
    public var cohorts: [ExposureCohort]
    public var progress: LearningProgress
    /// No event on time is older, microseconds since the epoch.
    public var watermark: Int64
    /// The stored time from which on persons are known, microseconds since the epoch.
    public var since: Int64
  }

  /// The experiments that there are now.
  public struct Questions: Sendable {
    /// Another one where they are others.
    public var version: UInt64
    public var all: [ExposureQuestion]

    public init(version: UInt64, all: [ExposureQuestion]) {
      self.version = version
      self.all = all
    }
  }

  private struct State {
    var book: ExposureBook
    /// Of the questions that it follows.
    var version: UInt64?
    /// The greatest time of the log that was read; nil before the first frame.
    var readUntil: Int64?
    var progress: LearningProgress?
    /// Of the log's beginning, as far as it was read.
    var begin = Int64.min
    /// How far watermarks trail the log's time, microseconds.
    var disorder: Int64 = 0

    /// Before a frame is read, so that what begins has missed nothing but what was read before.
    mutating func follow(_ questions: Questions) {
      guard version != questions.version else { return }
      version = questions.version
      book.follow(questions.all, since: readUntil)
    }
  }

  private let empty: @Sendable () -> ExposureBook
  private let questions: @Sendable () -> Questions
  private let state: Mutex<State>

  /// - Parameters:
  ///   - plans: whose tokens say chances.
  ///   - signer: of the tokens; without one none is believed.
  ///   - questions: asked for each frame.
  public init(
    _ plans: [DecisionPlan], signer: DecisionSigner?,
    questions: @escaping @Sendable () -> Questions
  ) {
    let empty: @Sendable () -> ExposureBook = {
      ExposureBook(plans) { signer?.isAuthentic($0, $1) ?? false }
    }
    self.empty = empty
    self.questions = questions
    state = Mutex(State(book: empty()))
  }

  /// Itself, with everything forgotten: for who begins to read anew.
  public func begun() -> ExposureLearner {
    state.withLock { $0 = State(book: empty()) }
    return self
  }

  public var memory: Int64 { ExposureBook.memory }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    let questions = questions()
    state.withLock { state in
      state.follow(questions)
      state.readUntil = max(state.readUntil ?? .min, moment.logTime)
      state.disorder = moment.logTime - moment.watermark
      state.book.add(frame, counted)
    }
  }

  public func forget(_ person: Key128, erasedAt: Int64) {
    state.withLock { $0.book.forget(person) }
  }

  public func publish(_ progress: LearningProgress) {
    let questions = questions()
    state.withLock { state in
      let isBeginning = !(state.progress?.isCaughtUp ?? false)
      state.follow(questions)
      state.progress = progress
      // Before the first frame there is no time.
      guard progress.logTime > .min else { return }
      state.book.advance(to: progress.logTime)
      if isBeginning, progress.isCaughtUp { state.begin = progress.logTime - memory }
    }
  }

  /// See ``ExposureBook/arrivals(of:within:)``; none while the log is still read.
  public func arrivals(of experiment: String, within times: Range<Int64>) -> [SampleRatioStep] {
    state.withLock { state in
      state.progress?.isCaughtUp ?? false
        ? state.book.arrivals(of: experiment, within: times) : []
    }
  }

  /// See ``ExposureBook/cohorts(of:level:outcomeWindow:by:dwellTenthsMax:)``.
  ///
  /// - Returns: nil while the log is still read, and where the experiment is not followed.
  public func cohorts(
    of experiment: String, level: WindowLevel, outcomeWindow: Int64, by facets: Set<ExposureFacet>,
    dwellTenthsMax: Int64
  ) -> Followed? {
    state.withLock { state in
      guard let progress = state.progress, progress.isCaughtUp,
        let found = state.book.cohorts(
          of: experiment, level: level, outcomeWindow: outcomeWindow, by: facets,
          dwellTenthsMax: dwellTenthsMax)
      else { return nil }
      return Followed(
        cohorts: found.cohorts, progress: progress,
        watermark: progress.logTime == .min ? .min : progress.logTime - state.disorder,
        since: max(state.begin, found.followedSince ?? .min))
    }
  }
}
