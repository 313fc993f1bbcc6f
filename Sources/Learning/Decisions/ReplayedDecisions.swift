public import Events

/// Makes decisions of the log again, each from what had been read of the log when it was made, and says what another policy
/// would have done in their place, and what they earned.
///
///     decisions ─▶ stops, in order of position ─▶ next
///     log ───────▶ frames up to the stop ─▶ ledger ─▶ chances ─▶ the same as was logged?
///
/// The caller reads every stream up to the sequences of ``next`` and no further, hands in the frames, and calls
/// ``decide()``; when there is no stop left it hands in the rest and calls ``finish(logTime:)``. Decisions of processes that
/// read the streams in another order have stops between which there is no order: ``chains(_:)`` divides decisions so that
/// each part can be replayed in one pass.
public final class ReplayedDecisions {
  /// A decision of the log.
  public struct Logged: Sendable {
    public var event: LoggedDecisionEvent
    /// The event's person.
    public var person: Key128

    public init(_ event: LoggedDecisionEvent, person: Key128) {
      self.event = event
      self.person = person
    }
  }

  /// What a decision was made from.
  public struct Stop: Hashable, Sendable {
    public var position: Position
    /// Log time, microseconds since the epoch.
    public var at: Int64
  }

  private let plan: DecisionPlan
  private let policy: DecisionPolicy?
  private let fingerprint: UInt32
  /// Reads what the frames say; hand frames to it.
  public let learner: DecisionLearner
  private var stops: [(stop: Stop, decisions: [Logged])] = []
  private var reached = 0
  public private(set) var tally = ReplayTally()
  /// What the policy under evaluation would have done, until it is known what the decision earned.
  private var chances: [DecisionID: [Double]] = [:]

  /// - Parameters:
  ///   - policy: under evaluation; nil for the plan's own.
  ///   - decisions: one chain of them; those of other plans are left out.
  ///   - isAuthentic: see ``DecisionLearner``.
  public init(
    _ plan: DecisionPlan, policy: DecisionPolicy? = nil, decisions: [Logged],
    isAuthentic: @escaping @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  ) {
    self.plan = plan
    self.policy = policy
    fingerprint = plan.fingerprint
    learner = DecisionLearner(
      replaying: plan, policy: policy ?? plan.policy, isAuthentic: isAuthentic)
    for decision in Self.inOrder(decisions.filter { $0.event.plan == plan.id }) {
      tally.decisions += 1
      let stop = Stop(position: decision.event.model, at: decision.event.at)
      if decision.event.token.plan != fingerprint {
        tally.otherArms += 1
      } else if decision.event.token.flags.contains(.fallback) {
        tally.fallback += 1
      } else if stops.last?.stop == stop {
        stops[stops.count - 1].decisions.append(decision)
      } else {
        stops.append((stop, [decision]))
      }
    }
  }

  /// Divides decisions into chains: in each one, what was read for a decision covers what was read for those before.
  public static func chains(_ decisions: [Logged]) -> [[Logged]] {
    var chains: [[Logged]] = []
    for decision in inOrder(decisions) {
      let place = chains.firstIndex { chain in
        guard let last = chain.last else { return true }
        return decision.event.model.covers(last.event.model) && decision.event.at >= last.event.at
      }
      if let place { chains[place].append(decision) } else { chains.append([decision]) }
    }
    return chains
  }

  private static func inOrder(_ decisions: [Logged]) -> [Logged] {
    func read(_ position: Position) -> UInt64 { position.sequences.values.reduce(0, &+) }
    return decisions.sorted { a, b in
      let (x, y) = (a.event, b.event)
      return (x.model.generation, read(x.model), x.at, x.token.timeMs, x.token.id)
        < (y.model.generation, read(y.model), y.at, y.token.timeMs, y.token.id)
    }
  }

  /// Where to read to; nil where no decision is left.
  public var next: Stop? { reached < stops.count ? stops[reached].stop : nil }

  /// Makes the decisions of ``next`` again: every stream has been read to there.
  public func decide() {
    guard reached < stops.count else { return }
    let (stop, decisions) = stops[reached]
    reached += 1
    let (snapshot, evaluated) = learner.replay(to: stop.at) {
      ledger -> (PolicySnapshot, PolicySnapshot?) in
      let snapshot = DecisionLearner.snapshot(ledger, at: stop.position, stop.at)
      // What decides is compared with nothing.
      guard let policy, policy != ledger.plan.policy else { return (snapshot, nil) }
      var other = ledger.plan
      other.policy = policy
      other.shadows = []
      let contextual = ledger.contextualModels().suffix(1)
      return (
        snapshot,
        ServedChances(other, ledger.sums, logTime: stop.at)
          .snapshot(at: stop.position, contextual: Array(contextual))
      )
    }
    for decision in decisions { make(decision, snapshot, evaluated) }
  }

  private func make(
    _ logged: Logged, _ snapshot: PolicySnapshot, _ evaluated: PolicySnapshot?
  ) {
    let token = logged.event.token
    let request = DecisionRequest(
      id: token.id, person: logged.person, time: token.time, features: logged.event.features,
      candidates: logged.event.candidates)
    if token.flags.contains(.elsewhere) {
      tally.elsewhere += 1
    } else if token.version == snapshot.version {
      tally.compare(token, snapshot.decide(request).token)
    } else {
      tally.otherVersion += 1
    }
    // Where the plan's own policy decided, what it would have done is what was done.
    let isOwn = !token.flags.contains(.elsewhere) && token.version == snapshot.version
    chances[token.id] =
      isOwn && evaluated == nil
      ? plan.arms.indices.map { token.propensities[$0] }
      : shares(of: evaluated ?? snapshot, request)
  }

  /// What a policy would have done, exactly.
  private func shares(of evaluated: PolicySnapshot, _ request: DecisionRequest) -> [Double] {
    let shares = evaluated.shares(in: request.features.only(evaluated.plan.features))
    guard let candidates = request.candidates.map(Set.init) else { return shares }
    // In the order of the arms: a set has one of its own each time.
    let sum = shares.indices.reduce(0) { candidates.contains($1) ? $0 + shares[$1] : $0 }
    guard sum > 0 else {
      return shares.indices.map { candidates.contains($0) ? 1 / Double(candidates.count) : 0 }
    }
    return shares.indices.map { candidates.contains($0) ? shares[$0] / sum : 0 }
  }

  /// Settles all rewards: the log is read to its end.
  public func finish(logTime: Int64) -> [ReplayedOutcome] {
    let end = logTime + plan.rewardWindow + PlanLedger.grace + PlanLedger.slack + 60_000_000
    return learner.replay(to: end) { $0.takeOutcomes() }.compactMap { outcome in
      chances[outcome.id].map { ReplayedOutcome(outcome, chances: $0) }
    }
  }
}

/// What a decision of the past earned, and what the policy under evaluation would have done in its place.
public struct ReplayedOutcome: Sendable {
  let id: DecisionID
  let facts: DecisionEntry.Facts
  let features: UInt32
  let reward: Int64
  /// Of each arm, with the policy under evaluation.
  let chances: [Double]

  init(_ outcome: PlanLedger.Outcome, chances: [Double]) {
    id = outcome.id
    facts = outcome.facts
    features = outcome.features.digest
    reward = outcome.reward
    self.chances = chances
  }

  /// When it was decided, microseconds since the epoch.
  public var time: Int64 { facts.time }
}
