public import Analyses
public import Events
public import Learning
public import Operators
import Synchronization

/// Follows what people of each device, browser and country do, for who asks where an incident comes from.
public final class AudienceLearner: Learner, Sendable {
  private struct State {
    var table = AudienceTable()
    var isCaughtUp = false
    var swept: Int64 = .min
  }

  private static let sweepEvery: Int64 = 3_600_000_000

  private let state = Mutex(State())

  public init() {}

  /// Itself, with everything forgotten: for who begins to read anew.
  public func begun() -> AudienceLearner {
    state.withLock { $0 = State() }
    return self
  }

  public var memory: Int64 { 3 * 86_400_000_000 }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    state.withLock { $0.table.add(frame, counted) }
  }

  /// Sums name nobody.
  public func forget(_ person: Key128, erasedAt: Int64) {}

  public func publish(_ progress: LearningProgress) {
    state.withLock { state in
      state.isCaughtUp = progress.isCaughtUp
      guard progress.logTime > .min, progress.logTime >= state.swept else { return }
      state.swept = progress.logTime + Self.sweepEvery
      state.table.advance(to: progress.logTime)
    }
  }

  /// See ``AudienceTable/contributions(site:campaign:content:_:from:until:expected:)``.
  ///
  /// - Returns: nil while the log is still read.
  public func contributions(
    site: String, campaign: String, content: String, _ quantity: AudienceTable.Quantity,
    from: Int64, until: Int64, expected: Double
  ) -> [AudienceTable.Contribution]? {
    state.withLock { state in
      state.isCaughtUp
        ? state.table.contributions(
          site: site, campaign: campaign, content: content, quantity, from: from, until: until,
          expected: expected)
        : nil
    }
  }
}
