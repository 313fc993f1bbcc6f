public import Analyses
public import Events
public import Operators
import Statistics

/// Learns from decisions and what came of them, and makes what decisions are made from.
///
///     decision ──▶ ┌────────┐ what the sums have of it   ┌──────────┐
///     echo     ──▶ │ ledger │ ─────────────────────────▶ │ sums     │ ─▶ chances ─▶ publish
///     reward   ──▶ └────────┘ (taken back when it changes) └────────┘
///
/// One for all plans of a process. Of a plan the chances are worked out anew when something has changed, and otherwise
/// once a second of log time, because what has not come by now says more from second to second.
public final class DecisionLearner: Learner {
  /// Decisions whose rewards may still come that are kept at most, of each plan.
  public static let entryCountMax = 1_000_000

  private let isAuthentic: @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  private let publishModels: @Sendable (DecisionModels) -> Void
  var ledgers: [PlanLedger]
  /// Of each plan, the names of the policies that may decide.
  private let candidates: [[String]]
  private var places: PlanPlaces
  private var snapshots: [PolicySnapshot?]
  private let entryCountMax: Int
  private let settledCountMax: Int
  /// Whether it says nothing before it has caught up with the one whose place it takes.
  private var isSilent = false
  /// Stated rewards of decisions that are not known yet, by the time at which they are given up.
  var waiting: [DecisionID: DecisionEntry.Stated] = [:]

  /// - Parameters:
  ///   - entryCountMax: decisions of each plan whose rewards may still come.
  ///   - settledCountMax: settled ones of each plan that can be taken back at once.
  ///   - isAuthentic: whether the second bytes are the beginning of the MAC of the first ones; see
  ///     ``DecisionToken/init(text:isAuthentic:)``.
  ///   - publish: gets what decisions are made from, from the thread that reads.
  public init(
    _ plans: [DecisionPlan], entryCountMax: Int = DecisionLearner.entryCountMax,
    settledCountMax: Int = PlanLearning.retractableCount,
    isAuthentic: @escaping @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool,
    publish: @escaping @Sendable (DecisionModels) -> Void
  ) {
    self.isAuthentic = isAuthentic
    publishModels = publish
    (self.entryCountMax, self.settledCountMax) = (entryCountMax, settledCountMax)
    ledgers = plans.map {
      PlanLedger($0, entryCountMax: entryCountMax, settledCountMax: settledCountMax)
    }
    candidates = plans.map { $0.candidates.map(\.name) }
    places = PlanPlaces(plans)
    snapshots = plans.map { _ in nil }
  }

  /// Learns from one plan, and keeps a model of a policy that only a replay knows.
  init(
    replaying plan: DecisionPlan, policy: DecisionPolicy,
    isAuthentic: @escaping @Sendable (_ bytes: [UInt8], _ mac: [UInt8]) -> Bool
  ) {
    self.isAuthentic = isAuthentic
    publishModels = { _ in }
    (entryCountMax, settledCountMax) = (Self.entryCountMax, SettledDecisions.countMax)
    ledgers = [
      PlanLedger(plan, entryCountMax: Self.entryCountMax, replaying: policy)
    ]
    candidates = [plan.candidates.map(\.name)]
    places = PlanPlaces([plan])
    snapshots = [nil]
  }

  public var memory: Int64 {
    ledgers.map { $0.plan.memory + $0.plan.rewardWindow }.max() ?? 0
  }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace
  ) {
    guard !ledgers.isEmpty else { return }
    places.begin(frame)
    for number in 0..<counted.count {
      let index = counted.index(number)
      let kind = frame.kind(index)
      if kind == EventKind.decision.rawValue {
        takeOwn(frame, index, at: counted.time(number), moment)
      } else if places.isOfSite(frame.tuple(index)) {
        take(frame, index, EventKind(rawValue: kind) ?? .custom, at: counted.time(number), moment)
      }
    }
  }

  // MARK: What the decision API has said

  private func takeOwn(_ frame: FrameView, _ index: Int, at time: Int64, _ moment: FrameMoment) {
    let payload = frame.payload(index)
    do {
      if frame.name(index) == DecisionPromotion.eventName {
        takePromotion(try DecisionPromotion(payload: payload), at: time)
      } else if frame.name(index) == LoggedRetractionEvent.eventName {
        takeBack(try LoggedRetractionEvent(payload: payload), at: time, moment)
      } else if let reward = try LoggedRewardEvent(payload: payload) {
        let stated = DecisionEntry.Stated(
          value: Int64((reward.value * Double(RewardBins.one)).rounded()), time: time,
          key: frame.key(index))
        state(reward.decision, stated, moment)
      } else {
        let event = try LoggedDecisionEvent(payload: payload, isAuthentic: isAuthentic)
        decide(event, frame.person(index), moment)
      }
    } catch {
      unreadable += 1
    }
  }

  private func takeBack(
    _ retraction: LoggedRetractionEvent?, at time: Int64, _ moment: FrameMoment
  ) {
    switch retraction?.subject {
    case .decision(let id):
      // Of which plan it is is not known before it is read.
      for index in ledgers.indices {
        ledgers[index].retract(id, at: time, logTime: moment.logTime)
      }
    case .person(let person):
      for index in ledgers.indices {
        ledgers[index].retract(person: person, until: time, logTime: moment.logTime)
      }
    case nil: unreadable += 1
    }
  }

  private func takePromotion(_ promotion: DecisionPromotion?, at time: Int64) {
    guard let promotion, let plan = ledgers.firstIndex(where: { $0.plan.id == promotion.plan })
    else {
      unreadable += 1
      return
    }
    ledgers[plan].promote(promotion, at: time)
  }

  private func decide(_ event: LoggedDecisionEvent, _ person: Key128, _ moment: FrameMoment) {
    guard let plan = places.plan(of: event) else {
      unreadable += 1
      return
    }
    guard let facts = facts(of: event.token, plan) else { return }
    ledgers[plan].decide(
      event.token.id, facts, person: person, features: event.features,
      shadows: shadows(of: event, plan),
      chances: ShadowChances(
        event, candidates: candidates[plan], arms: ledgers[plan].plan.arms.count),
      logTime: moment.logTime)
    settleWaiting(event.token.id, plan, moment)
  }

  /// The chance of the chosen arm with each candidate of the plan.
  private func shadows(of event: LoggedDecisionEvent, _ plan: Int) -> [Double] {
    candidates[plan].map { name in
      event.shadows.first { $0.name == name }?.chances[event.token.chosen]
        ?? DecisionEntry.unknownChance
    }
  }

  private func state(_ id: DecisionID, _ stated: DecisionEntry.Stated, _ moment: FrameMoment) {
    if let plan = ledgers.firstIndex(where: { $0.entries[id] != nil }) {
      ledgers[plan].state(id, stated, logTime: moment.logTime)
    } else if let other = waiting[id], (other.time, other.key) >= (stated.time, stated.key) {
      return
    } else if waiting.count < Self.waitingCountMax {
      waiting[id] = stated
    } else {
      unreadable += 1
    }
  }

  private static let waitingCountMax = 100_000

  private func settleWaiting(_ id: DecisionID, _ plan: Int, _ moment: FrameMoment) {
    guard !waiting.isEmpty, let stated = waiting.removeValue(forKey: id) else { return }
    ledgers[plan].state(id, stated, logTime: moment.logTime)
  }

  /// What a token says, in terms of the plan as it is now; nil where its arm is no more.
  private func facts(of token: DecisionToken, _ plan: Int) -> DecisionEntry.Facts? {
    guard let arm = places.arm(token.chosen, of: token.plan, plan) else {
      ledgers[plan].countOtherPlan()
      return nil
    }
    return DecisionEntry.Facts(
      arm: arm, time: token.time, propensity: token.propensities[token.chosen],
      flags: token.flags, version: token.version)
  }

  // MARK: What persons do

  private func take(
    _ frame: FrameView, _ index: Int, _ kind: EventKind, at time: Int64, _ moment: FrameMoment
  ) {
    let (person, tuple) = (frame.person(index), frame.tuple(index))
    var isNamed = false
    for text in DecisionEcho.find(in: frame.payload(index)) {
      guard let token = token(text) else { continue }
      guard let plan = places.plan(of: token.plan) else {
        unreadable += 1
        continue
      }
      isNamed = true
      guard let facts = facts(of: token, plan) else { continue }
      ledgers[plan].echo(
        token.id, facts, person: person, at: time,
        value: value(of: kind, frame, index, ledgers[plan].plan), logTime: moment.logTime)
      settleWaiting(token.id, plan, moment)
    }
    guard !isNamed, kind == .click || kind == .conversion else { return }
    for match in places.matches(tuple) {
      guard let value = value(of: kind, frame, index, ledgers[match.plan].plan) else { continue }
      ledgers[match.plan].touch(
        person, at: time, key: frame.key(index), value: value, arm: match.arm,
        logTime: moment.logTime)
    }
  }

  private func token(_ text: [UInt8]) -> DecisionToken? {
    do throws(DecisionTokenError) {
      return try DecisionToken(text: text, isAuthentic: isAuthentic)
    } catch {
      // A text that is called so and is something else.
      return nil
    }
  }

  /// 65,536ths of a reward; nil for what earns nothing.
  private func value(
    of kind: EventKind, _ frame: FrameView, _ index: Int, _ plan: DecisionPlan
  ) -> Int64? {
    switch plan.reward {
    case .click: return kind == .click ? RewardBins.one : nil
    case .conversion: return kind == .conversion ? RewardBins.one : nil
    case .revenue(let unit, let currency):
      guard kind == .conversion, places.currency(frame.tuple(index)) == currency else { return nil }
      let share = Double(max(0, frame.revenueMicros(index))) / Double(unit)
      return Int64((min(1, share) * Double(RewardBins.one)).rounded())
    }
  }

  // MARK: What is taken back

  /// Takes back what was learned from a decision, as if it had never been made.
  ///
  /// - Returns: false where it is not known, or settled and not among the latest (``SettledDecisions``).
  @discardableResult
  public func retract(_ id: DecisionID) -> Bool {
    for index in ledgers.indices where ledgers[index].retract(id) { return true }
    return false
  }

  /// Takes back what was learned from a person's decisions, those that are settled included, see ``SettledDecisions``.
  public func retract(person: Key128) {
    for index in ledgers.indices { ledgers[index].retract(person: person) }
  }

  public func forget(_ person: Key128, erasedAt: Int64) {
    for index in ledgers.indices { ledgers[index].forget(person: person, logTime: erasedAt) }
  }

  public func successor() -> (any Learner)? {
    guard !isSilent, ledgers.contains(where: { $0.owed.isDue(at: $0.sums.now) }) else { return nil }
    return anew()
  }

  public func anew() -> (any Learner)? {
    let next = DecisionLearner(
      ledgers.map(\.declared), entryCountMax: entryCountMax, settledCountMax: settledCountMax,
      isAuthentic: isAuthentic, publish: publishModels)
    next.ledgers = ledgers.map {
      PlanLedger(
        $0.declared, entryCountMax: entryCountMax, settledCountMax: settledCountMax,
        told: $0.told.adding($0.owed))
    }
    next.isSilent = true
    return next
  }

  func ledger(_ plan: Int) -> PlanLedger { ledgers[plan] }

  /// Tells the first plan's ledger the time and hands it out, without publication.
  func replay<T>(to logTime: Int64, _ body: (inout PlanLedger) -> T) -> T {
    ledgers[0].advance(to: logTime)
    ledgers[0].weigh()
    return body(&ledgers[0])
  }

  // MARK: What is made of it

  /// Decision events that cannot be read, or are of no plan here.
  public internal(set) var unreadable: UInt64 = 0

  public func publish(_ progress: LearningProgress) {
    if progress.isCaughtUp { isSilent = false }
    guard !isSilent else {
      for index in ledgers.indices { ledgers[index].advance(to: progress.logTime) }
      return forgetWaiting(progress.logTime)
    }
    var plans: [String: PolicySnapshot] = [:]
    var learning: [String: PlanLearning] = [:]
    for index in ledgers.indices {
      ledgers[index].advance(to: progress.logTime)
      let snapshot = snapshot(index, progress)
      snapshots[index] = snapshot
      plans[snapshot.plan.id] = snapshot
      learning[snapshot.plan.id] = PlanLearning(
        ledgers[index], snapshot, at: progress.logTime)
    }
    forgetWaiting(progress.logTime)
    publishModels(
      DecisionModels(
        progress: progress, plans: plans, learning: learning, unreadable: unreadable))
  }

  private func snapshot(_ index: Int, _ progress: LearningProgress) -> PolicySnapshot {
    if let last = snapshots[index], last.plan.promoted == ledgers[index].plan.promoted {
      let isDue = ledgers[index].isChanged || progress.logTime >= last.logTime + 1_000_000
      let interval = ledgers[index].modelInterval
      if !isDue || progress.logTime < last.logTime + interval { return last }
    }
    ledgers[index].weigh()
    ledgers[index].looked()
    return Self.snapshot(ledgers[index], at: progress.position, progress.logTime)
  }

  /// What decisions of a plan are made from, where the log has been read to a position.
  static func snapshot(
    _ ledger: PlanLedger, at position: Position, _ logTime: Int64
  ) -> PolicySnapshot {
    let contextual = ledger.contextualModels()
    return ServedChances(ledger.plan, ledger.sums, logTime: logTime)
      .snapshot(at: position, sticky: ledger.sticky, contextual: contextual)
  }

  private func forgetWaiting(_ logTime: Int64) {
    guard !waiting.isEmpty, logTime != .min else { return }
    let window = ledgers.map(\.plan.rewardWindow).max() ?? 0
    waiting = waiting.filter { $0.value.time >= logTime - window - PlanLedger.grace }
  }
}
