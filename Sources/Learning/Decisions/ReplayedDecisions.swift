public import Events

/// Makes decisions of the log again, each from what had been read of the log when it was made, and tells what another policy
/// would have earned.
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

  /// How many decisions came out as they were logged.
  public struct Tally: Hashable, Sendable {
    public var decisions = 0
    /// Token for token: arm, chances and all.
    public var same = 0
    public var otherChances = 0
    /// The same chances and another arm.
    public var otherArm = 0
    /// Made by the plan as it was before it was changed: not compared.
    public var otherVersion = 0
    /// Made without a model: not compared.
    public var fallback = 0

    public init() {}
  }

  private let plan: DecisionPlan
  private let policy: DecisionPolicy?
  private let version: UInt32
  private let chances = ReplayedChances()
  /// Reads what the frames say; hand frames to it.
  public let learner: DecisionLearner
  private var stops: [(stop: Stop, decisions: [Logged])] = []
  private var reached = 0
  public private(set) var tally = Tally()

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
    version = plan.version
    learner = DecisionLearner(
      replaying: plan, policy: policy ?? plan.policy, isAuthentic: isAuthentic, chances: chances.of)
    for decision in Self.inOrder(decisions.filter { $0.event.plan == plan.id }) {
      tally.decisions += 1
      let stop = Stop(position: decision.event.model, at: decision.event.at)
      if decision.event.token.flags.contains(.fallback) {
        tally.fallback += 1
      } else if decision.event.token.version != version {
        tally.otherVersion += 1
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
    let (snapshot, evaluated) = learner.replay(to: stop.at) { ledger in
      let snapshot = DecisionLearner.snapshot(ledger, at: stop.position, stop.at)
      guard let policy else { return (snapshot, snapshot) }
      var other = plan
      other.policy = policy
      other.shadows = []
      let contextual = ledger.contextualModels().suffix(1)
      return (
        snapshot,
        ServedChances(other, ledger.sums, logTime: stop.at)
          .snapshot(at: stop.position, contextual: Array(contextual))
      )
    }
    for decision in decisions { compare(decision, snapshot, evaluated) }
  }

  private func compare(
    _ logged: Logged, _ snapshot: PolicySnapshot, _ evaluated: PolicySnapshot
  ) {
    let token = logged.event.token
    let request = DecisionRequest(
      id: token.id, person: logged.person, time: token.time, features: logged.event.features,
      candidates: logged.event.candidates)
    let again = snapshot.decide(request).token
    if again == token {
      tally.same += 1
    } else if again.propensities == token.propensities {
      tally.otherArm += 1
    } else {
      tally.otherChances += 1
    }
    chances.byID[token.id] = [evaluated.decide(request).token.propensities.parts[token.chosen]]
  }

  /// Settles all rewards: the log is read to its end.
  ///
  /// - Returns: what the policy would have earned per decision, and more than was earned.
  public func finish(logTime: Int64) -> ShadowReport {
    let end = logTime + plan.rewardWindow + PlanLedger.grace + PlanLedger.slack + 60_000_000
    return learner.replay(to: end) { $0.shadows.report()[0] }
  }
}

/// The chances that a replay has worked out, until the ledger has the decisions.
private final class ReplayedChances {
  var byID: [DecisionID: [UInt32]] = [:]

  func of(_ id: DecisionID) -> [UInt32]? { byID.removeValue(forKey: id) }
}
