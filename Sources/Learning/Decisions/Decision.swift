public import Events
import Statistics

/// What is asked for.
public struct DecisionRequest: Hashable, Sendable {
  public var id: DecisionID
  /// As the events of the person have it: ``EventIdentity/personKey(site:id:)``.
  public var person: Key128
  /// Microseconds since the epoch.
  public var time: Int64
  public var features: DecisionFeatures
  /// Arms to choose among; nil for all.
  public var candidates: [Int]?
  /// The arm that the person has had, where the plan is sticky and the caller knows better than the snapshot.
  public var earlier: Int?

  public init(
    id: DecisionID, person: Key128, time: Int64, features: DecisionFeatures = .none,
    candidates: [Int]? = nil, earlier: Int? = nil
  ) {
    self.id = id
    self.person = person
    self.time = time
    self.features = features
    self.candidates = candidates
    self.earlier = earlier
  }
}

/// What was decided, and from which chances.
public struct Decision: Hashable, Sendable {
  /// Why it is this arm.
  public enum Reason: String, CaseIterable, Sendable {
    /// Drawn from the chances of the policy.
    case policy
    /// The person takes no part.
    case holdout
    /// The arm that the person had before.
    case repeated
    /// There was no model to decide by.
    case fallback
    /// Somebody else decided.
    case elsewhere
  }

  public var token: DecisionToken
  public var reason: Reason
  /// The arms that were to choose among; nil for all.
  public var candidates: [Int]?
  /// What is kept with it.
  public var features: DecisionFeatures
  public var shadows: [LoggedDecisionEvent.Shadow]

  public var arm: Int { token.chosen }

  /// Of a plan without a model: its default arm.
  public static func fallback(_ plan: DecisionPlan, _ request: DecisionRequest) -> Decision {
    decide(
      plan, plan.fingerprint, plan.version, request,
      Propensities(only: plan.defaultArm, of: plan.arms.count), .fallback, .fallback, [])
  }

  /// What somebody else decided, with a chance that they know. The others share the rest equally: nothing is estimated
  /// from their chances.
  ///
  /// - Parameters:
  ///   - version: of the plan as it is served.
  ///   - probability: above 0, at most 1.
  /// - Returns: nil where the probability is too small to be kept.
  public static func elsewhere(
    _ plan: DecisionPlan, _ request: DecisionRequest, arm: Int, probability: Double,
    shadows: [LoggedDecisionEvent.Shadow]
  ) -> Decision? {
    let others = (1 - probability) / Double(max(1, plan.arms.count - 1))
    let propensities = Propensities(
      plan.arms.indices.map { $0 == arm ? probability : max(0, others) })
    guard propensities.parts[arm] > 0 else { return nil }
    let features = request.features.only(plan.features)
    return Decision(
      token: DecisionToken(
        id: request.id, plan: plan.fingerprint, timeMs: request.time / 1_000, chosen: arm,
        propensities: propensities, version: plan.version, features: features.digest,
        flags: plan.holdsOut(request.person) ? [.elsewhere, .holdout] : .elsewhere),
      reason: .elsewhere, features: features, shadows: shadows)
  }

  fileprivate static func decide(
    _ plan: DecisionPlan, _ fingerprint: UInt32, _ version: UInt32, _ request: DecisionRequest,
    _ propensities: Propensities, _ reason: Reason, _ flags: DecisionToken.Flags,
    _ shadows: [LoggedDecisionEvent.Shadow]
  ) -> Decision {
    let features = request.features.only(plan.features)
    var (propensities, shadows) = (propensities, shadows)
    if let candidates = request.candidates {
      propensities = propensities.restricted(to: candidates)
      shadows = shadows.map { $0.restricted(to: candidates) }
    }
    let chosen: Int
    if plan.isSticky {
      var draws = Draws(seed: plan.personHash(request.person, "sticky"))
      chosen = propensities.race(&draws)
    } else {
      var draws = Draws(seed: request.id.seed)
      chosen = propensities.draw(&draws)
    }
    return Decision(
      token: DecisionToken(
        id: request.id, plan: fingerprint, timeMs: request.time / 1_000, chosen: chosen,
        propensities: propensities, version: version, features: features.digest, flags: flags),
      reason: reason, candidates: request.candidates, features: features, shadows: shadows)
  }
}

extension PolicySnapshot {
  /// Decides: the same request and the same snapshot give the same decision, on every machine.
  ///
  /// Cost: below a microsecond for ten arms.
  public func decide(_ request: DecisionRequest) -> Decision {
    let features = request.features.only(plan.features)
    var served = propensities(in: features)
    var reason = Decision.Reason.policy
    var flags: DecisionToken.Flags = []
    if let holdout = plan.holdout, plan.holdsOut(request.person) {
      (reason, flags) = (.holdout, .holdout)
      switch holdout.serving {
      case .uniform: served = Propensities(uniform: plan.arms.count)
      case .defaultArm: served = Propensities(only: plan.defaultArm, of: plan.arms.count)
      }
    }
    if plan.isSticky, let earlier = request.earlier ?? sticky?[request.person],
      isStillServed(earlier, request)
    {
      reason = .repeated
      flags.insert(.repeated)
      served = Propensities(only: earlier, of: plan.arms.count)
    }
    return Decision.decide(
      plan, fingerprint, version, request, served, reason, flags, shadows(in: features))
  }

  /// What somebody else decided.
  public func elsewhere(
    _ request: DecisionRequest, arm: Int, probability: Double
  ) -> Decision? {
    .elsewhere(
      plan, request, arm: arm, probability: probability,
      shadows: shadows(in: request.features.only(plan.features)))
  }

  private func isStillServed(_ arm: Int, _ request: DecisionRequest) -> Bool {
    guard plan.arms.indices.contains(arm), !arms[arm].isStopped else { return false }
    return request.candidates?.contains(arm) ?? true
  }

  /// Decides for several slots: each gets another arm, as long as there are some.
  public func decide(_ request: DecisionRequest, slots: Int) -> [Decision] {
    var request = request
    let first = request.id
    var left = Array(Set(request.candidates ?? Array(plan.arms.indices))).sorted()
      .filter { plan.arms.indices.contains($0) }
    var decisions: [Decision] = []
    while decisions.count < slots, !left.isEmpty {
      request.id = first.slot(decisions.count)
      request.candidates = left
      let decision = decide(request)
      decisions.append(decision)
      left.removeAll { $0 == decision.arm }
      request.earlier = nil
    }
    return decisions
  }

  /// The decision as an event's payload has it.
  ///
  /// - Parameters:
  ///   - tokenText: the decision's token as text, signed.
  ///   - server: which process decided.
  public func logged(
    _ decision: Decision, tokenText: String, server: String
  ) -> LoggedDecisionEvent {
    LoggedDecisionEvent(
      token: decision.token, tokenText: tokenText, plan: plan.id, policy: plan.policy.name,
      model: position, at: logTime, arms: plan.arms, candidates: decision.candidates,
      features: decision.features, shadows: decision.shadows, server: server)
  }
}
