public import Analyses
public import Events
public import Learning
public import Operators
public import Statistics
import Synchronization

/// What clients log of the chances by which persons came to variants, for the results of experiments.
public final class AllocationLearner: Learner, Sendable {
  private struct State {
    var book: AllocationBook
    var isCaughtUp = false
  }

  private let empty: @Sendable () -> AllocationBook
  private let state: Mutex<State>

  /// - Parameters:
  ///   - plans: whose tokens say chances.
  ///   - signer: of the tokens; without one none is believed.
  public init(_ plans: [DecisionPlan], signer: DecisionSigner?) {
    let empty: @Sendable () -> AllocationBook = {
      AllocationBook(plans) { signer?.isAuthentic($0, $1) ?? false }
    }
    self.empty = empty
    state = Mutex(State(book: empty()))
  }

  /// Itself, with everything forgotten: for who begins to read anew.
  public func begun() -> AllocationLearner {
    state.withLock { $0 = State(book: empty()) }
    return self
  }

  public var memory: Int64 { AllocationBook.memory }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    state.withLock { $0.book.add(frame, counted) }
  }

  public func forget(_ person: Key128, erasedAt: Int64) {
    state.withLock { $0.book.forget(person) }
  }

  public func publish(_ progress: LearningProgress) {
    state.withLock { state in
      state.book.advance(to: progress.logTime)
      state.isCaughtUp = progress.isCaughtUp
    }
  }

  /// See ``AllocationBook/steps(site:campaign:variants:times:)``; none while the log is still read.
  public func steps(
    site: String, campaign: String, variants: [String], times: Range<Int64>
  ) -> [SampleRatioStep] {
    state.withLock { state in
      state.isCaughtUp
        ? state.book.steps(site: site, campaign: campaign, variants: variants, times: times) : []
    }
  }
}
