import Analyses
import Events
public import Learning
import Operators
import Ports

/// Makes the decisions of a stretch of the log again, and says what another policy would have earned in their place: first all of
/// them are found, then each chain of them (``ReplayedDecisions``) is made again from what had been read when it was made.
///
///     log ─▶ decisions of a plan ─▶ chains ─▶ for each one: log up to a stop, decide, … ─▶ tally, outcomes ─▶ evaluation
///
/// The log is read once and then once for each chain: once in all where a single process decided. A function of the log up to
/// the end of the stretch, of the plan and of the policy. Memory: the decisions of the stretch, some hundred bytes each.
public struct DecisionReplay {
  /// Which decisions, by the time at which they were made, microseconds since the epoch.
  public struct Stretch: Hashable, Sendable {
    public var from: Int64
    /// Nothing that was stored later counts; nil for all that is there.
    public var until: Int64?

    public init(from: Int64 = .min, until: Int64? = nil) {
      self.from = from
      self.until = until
    }
  }

  /// What came of a plan's decisions.
  public struct Outcome: Sendable {
    public var tally = ReplayTally()
    public var evaluation: PolicyEvaluation
    /// Decisions whose rewards could still come at the end of the stretch; they count with what they had earned.
    public var open = 0
    /// When the first decision of the stretch was made, and the last; nil where there are none.
    public var times: ClosedRange<Int64>?
  }

  private let source: FollowedLog
  private let isAuthentic: @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  private let progress: (_ frames: UInt64) -> Void

  /// - Parameters:
  ///   - isAuthentic: see ``DecisionToken/init(text:isAuthentic:)``.
  ///   - progress: told how many frames have been read since it was told last.
  public init(
    _ source: FollowedLog,
    isAuthentic: @escaping @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool,
    progress: @escaping (_ frames: UInt64) -> Void = { _ in }
  ) {
    self.source = source
    self.isAuthentic = isAuthentic
    self.progress = progress
  }

  /// - Parameter policy: under evaluation; nil for the plan's own.
  public func run(
    _ plan: DecisionPlan, policy: DecisionPolicy? = nil, over stretch: Stretch = Stretch()
  ) throws(LogReadingError) -> Outcome {
    let extent: LogExtent
    do throws(LogError) {
      extent = try LogExtent(source, until: stretch.until)
    } catch {
      throw .log(error)
    }
    let finder = DecisionFinder(plan.id, isAuthentic)
    try LogReading(source, extent, LearnerFeed([finder]), progress: progress).readToEnd()
    let found = finder.found.filter { logged in
      let time = logged.event.token.time
      return time >= stretch.from && time <= (stretch.until ?? .max)
    }
    var tally = ReplayTally()
    var outcomes: [ReplayedOutcome] = []
    for chain in ReplayedDecisions.chains(found) {
      let replayed = ReplayedDecisions(
        plan, policy: policy, decisions: chain, isAuthentic: isAuthentic)
      let reading = LogReading(
        source, extent, LearnerFeed([replayed.learner]), progress: progress)
      while let stop = replayed.next {
        try reading.read(to: stop.position)
        replayed.decide()
      }
      try reading.readToEnd()
      outcomes += replayed.finish(logTime: reading.logTime)
      tally += replayed.tally
    }
    let end = stretch.until ?? finder.logTime
    var outcome = Outcome(tally: tally, evaluation: PolicyEvaluation(plan, outcomes))
    outcome.open = outcomes.filter { $0.time + plan.rewardWindow > end }.count
    let times = found.map(\.event.token.time)
    if let first = times.min(), let last = times.max() { outcome.times = first...last }
    return outcome
  }
}

/// Gathers the decisions of a plan.
private final class DecisionFinder: Learner {
  let memory = Int64.max
  private let plan: String
  private let isAuthentic: @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  private(set) var found: [ReplayedDecisions.Logged] = []
  /// Of the frames in which something counts: heartbeats come though nothing happens.
  private(set) var logTime = Int64.min

  init(
    _ plan: String, _ isAuthentic: @escaping @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  ) {
    self.plan = plan
    self.isAuthentic = isAuthentic
  }

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    logTime = max(logTime, moment.logTime)
    for number in 0..<counted.count {
      let index = counted.index(number)
      guard frame.kind(index) == EventKind.decision.rawValue else { continue }
      do throws(LoggedDecisionError) {
        let event = try LoggedDecisionEvent(
          payload: frame.payload(index), isAuthentic: isAuthentic)
        guard event.plan == plan else { continue }
        found.append(ReplayedDecisions.Logged(event, person: frame.person(index)))
      } catch {
        // A reward, or a decision that was not signed with this secret.
        continue
      }
    }
  }

  func forget(_ person: Key128, erasedAt: Int64) {
    found.removeAll { $0.person == person && $0.event.token.time <= erasedAt }
  }

  func publish(_ progress: LearningProgress) {}
}
