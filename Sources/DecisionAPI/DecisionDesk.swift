public import Events
import HTTPServer
public import Learning
public import Metrics

/// Decides for those who ask: from memory, and never later for what becomes of the events.
///
///     request ─▶ plan, newest model ─▶ draw ─▶ token ─▶ answer
///                                        └────▶ event ─▶ the collector's lanes ─▶ log
public struct DecisionDesk: Sendable {
  /// What was decided for a request.
  struct Outcome {
    var plan: DecisionPlan
    /// One for each slot, at least one.
    var decisions: [(decision: Decision, token: String)]
    /// The model; nil where there was none to decide by.
    var model: PolicySnapshot?
    /// Why it was not the model that decided; nil where it was.
    var fallback: String?
  }

  private let plans: [String: DecisionPlan]
  private let models: @Sendable () -> DecisionModels?
  private let signer: DecisionSigner
  private let store: DecisionStore
  private let server: String
  private let profile: @Sendable (Key128) -> [(name: String, value: Double)]
  private let clock: @Sendable () -> Int64
  let metrics: DecisionMetrics

  /// - Parameters:
  ///   - models: the newest; nil before anything is learned.
  ///   - server: names this process in the events of its decisions.
  ///   - profile: what is known of a person, by names that begin with `profile.`; plans name what they want of it
  ///     among their features.
  ///   - clock: microseconds since the epoch.
  public init(
    plans: [DecisionPlan], models: @escaping @Sendable () -> DecisionModels?,
    signer: DecisionSigner,
    store: @escaping DecisionStore, server: String,
    profile: @escaping @Sendable (Key128) -> [(name: String, value: Double)] = { _ in [] },
    registry: MetricRegistry,
    clock: @escaping @Sendable () -> Int64
  ) {
    self.plans = Dictionary(plans.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    self.models = models
    self.signer = signer
    self.store = store
    self.server = server
    self.profile = profile
    self.clock = clock
    metrics = DecisionMetrics(registry)
  }

  /// - Throws: where the site has no such plan.
  func plan(_ id: String, of site: String) throws(Problem) -> DecisionPlan {
    guard let plan = plans[id], plan.site == site else {
      throw Problem(
        .notFound, code: "unknown_decision",
        detail: "This write key's site has no such decision; decisions are declared in"
          + " Streams/decisions.yaml.")
    }
    return plan
  }

  /// Of a site, by id.
  func plans(of site: String) -> [DecisionPlan] {
    plans.values.filter { $0.site == site }.sorted { $0.id < $1.id }
  }

  /// - Parameters:
  ///   - person: as the guest's events name them.
  ///   - candidates: arms to choose among; nil for all.
  func decide(
    _ plan: DecisionPlan, for guest: any DecisionGuest, person: String, context: DecisionFeatures,
    candidates: [String]? = nil, slots: Int = 1
  ) -> Outcome {
    var request = request(plan, for: guest, person: person, context: context)
    var fallback: String?
    if let candidates {
      let known = plan.arms.indices.filter { candidates.contains(plan.arms[$0]) }
      request.candidates = known
      if known.isEmpty {
        request.candidates = nil
        fallback = "none of the candidates is an arm of the decision"
      }
    }
    let models = models()
    let snapshot = models?.plans[plan.id]
    if fallback == nil {
      if models == nil || snapshot == nil {
        fallback = "nothing has been learned yet"
      } else if models?.progress.isCaughtUp == false {
        fallback = "learning has not caught up with the log"
      }
    }
    let decisions: [Decision]
    let model = fallback == nil ? snapshot : nil
    if let model {
      decisions =
        slots == 1 ? [model.decide(request)] : model.decide(request, slots: slots)
    } else {
      decisions = [.fallback(plan, request)]
    }
    let signed = decisions.map { ($0, signer.text(of: $0.token)) }
    for (decision, _) in signed { metrics.decided(plan.id, decision.reason.rawValue) }
    keep(signed, plan, model, request, guest)
    return Outcome(plan: model?.plan ?? plan, decisions: signed, model: model, fallback: fallback)
  }

  /// Keeps what somebody else has decided as if it had been decided here: it is learned from, with the chance that is said.
  ///
  /// - Throws: where the plan has no such arm, or its chance is too small to be kept.
  func keep(
    _ made: DecideRequest.Made, of plan: DecisionPlan, for guest: any DecisionGuest,
    person: String, context: DecisionFeatures
  ) throws(Problem) -> Outcome {
    guard let arm = plan.arms.firstIndex(of: made.arm) else {
      throw Problem(
        .badRequest, code: "unknown_arm",
        detail: "made.arm is none of the decision's arms: \(plan.arms.joined(separator: ", "))")
    }
    let request = request(plan, for: guest, person: person, context: context)
    let models = models()
    let model = models?.progress.isCaughtUp == true ? models?.plans[plan.id] : nil
    guard
      let decision = model?.elsewhere(request, arm: arm, probability: made.probability)
        ?? .elsewhere(
          plan, request, arm: arm, probability: made.probability, shadows: [])
    else {
      throw Problem(
        .badRequest, code: "invalid_value",
        detail: "made.probability is too small to be kept: at least 0.00001")
    }
    let signed = [(decision, signer.text(of: decision.token))]
    metrics.decided(plan.id, decision.reason.rawValue)
    keep(signed, plan, model, request, guest)
    return Outcome(plan: model?.plan ?? plan, decisions: signed, model: model, fallback: nil)
  }

  private func request(
    _ plan: DecisionPlan, for guest: any DecisionGuest, person: String, context: DecisionFeatures
  ) -> DecisionRequest {
    let key = guest.person(person)
    return DecisionRequest(
      id: DecisionID(Key128(low: .random(in: .min ... .max), high: .random(in: .min ... .max))),
      person: key, time: clock(), features: features(context, plan, guest, of: key))
  }

  /// What the plan wants to know of the context, as it may be kept, and of the person's profile.
  private func features(
    _ context: DecisionFeatures, _ plan: DecisionPlan, _ guest: any DecisionGuest,
    of person: Key128
  ) -> DecisionFeatures {
    guard !plan.features.isEmpty else { return .none }
    var features = context.only(plan.features).all.map { feature in
      guard case .text(let text) = feature.value else { return feature }
      return DecisionFeatures.Feature(feature.name, .text(guest.cleaned(text)))
    }
    if plan.features.contains(where: { $0.hasPrefix("profile.") }) {
      // Of two with the same name the last one counts: nobody's context says what a profile is.
      features += profile(person).lazy.filter { plan.features.contains($0.name) }
        .map { DecisionFeatures.Feature($0.name, .number($0.value)) }
    }
    return DecisionFeatures(features)
  }

  /// Hands the events over; whether the log takes them is no concern of who asked: the tokens know it all.
  private func keep(
    _ decisions: [(Decision, String)], _ plan: DecisionPlan, _ model: PolicySnapshot?,
    _ request: DecisionRequest, _ guest: any DecisionGuest
  ) {
    var events: [IncomingEvent] = []
    for (decision, token) in decisions {
      let logged =
        model?.logged(decision, tokenText: token, server: server)
        ?? LoggedDecisionEvent(
          token: decision.token, tokenText: token, plan: plan.id, policy: plan.policy.name,
          model: Position(generation: 0), at: 0, arms: plan.arms, features: decision.features,
          shadows: [], server: server)
      let id = decision.token.id.description
      var event = IncomingEvent(
        kind: .decision,
        key: EventIdentity.dedupeKey(
          site: plan.site, source: LoggedDecisionEvent.source, eventID: id),
        person: request.person, eventTime: request.time, receivedAt: request.time,
        dimensions: DimensionTuple(
          site: plan.site, campaign: plan.campaign, content: plan.content,
          variant: plan.arms[decision.arm]
        ).encoded, id: id, name: LoggedDecisionEvent.eventName, source: LoggedDecisionEvent.source,
        payload: logged.payload)
      if guest.admits(&event) { events.append(event) } else { metrics.keptOut() }
    }
    guard !events.isEmpty else { return }
    let count = events.count
    store(events) { [metrics] storage in metrics.stored(count, storage) }
  }

  /// An event that says what a decision earned.
  ///
  /// - Parameter eventID: the same for every copy of the same report.
  func reward(
    _ reward: LoggedRewardEvent, eventID: String, site: String
  ) async -> DecisionStorage {
    let now = clock()
    let event = IncomingEvent(
      kind: .decision,
      key: EventIdentity.dedupeKey(
        site: site, source: LoggedRewardEvent.source, eventID: eventID),
      person: EventIdentity.personKey(site: site, id: reward.decision.description), eventTime: now,
      receivedAt: now, dimensions: DimensionTuple(site: site).encoded, id: eventID,
      name: LoggedRewardEvent.eventName, source: LoggedRewardEvent.source, payload: reward.payload)
    let storage = await withCheckedContinuation { continuation in
      store([event]) { continuation.resume(returning: $0) }
    }
    metrics.stored(1, storage)
    return storage
  }

  /// An event that says that nothing is to be learned from something.
  func retract(_ retraction: LoggedRetractionEvent, site: String) async -> DecisionStorage {
    let now = clock()
    let id = Key128(low: .random(in: .min ... .max), high: .random(in: .min ... .max)).description
    let event = IncomingEvent(
      kind: .decision,
      key: EventIdentity.dedupeKey(
        site: site, source: LoggedRetractionEvent.source, eventID: id),
      person: EventIdentity.personKey(site: site, id: id), eventTime: now, receivedAt: now,
      dimensions: DimensionTuple(site: site).encoded, id: id,
      name: LoggedRetractionEvent.eventName, source: LoggedRetractionEvent.source,
      payload: retraction.payload)
    let storage = await withCheckedContinuation { continuation in
      store([event]) { continuation.resume(returning: $0) }
    }
    metrics.stored(1, storage)
    return storage
  }

  /// The decision of a token that was signed here.
  func token(_ text: String) throws(DecisionTokenError) -> DecisionToken {
    try signer.token(text)
  }
}
