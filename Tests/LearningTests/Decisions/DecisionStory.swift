import Analyses
import Dataflow
import Events
import Operators
import Oracles
import Statistics
import Views

@testable import Learning

let second: Int64 = 1_000_000
let minute: Int64 = 60 * second
let hour: Int64 = 60 * minute
/// 2025-11-24T10:00:00Z.
let ten: Int64 = 1_763_978_400 * second

/// Reads frames as a follower does: judged, then handed to a learner.
final class LearnerFeed: Analysis {
  let times = Int64.min..<Int64.max
  let learner: any Learner
  let stream: StreamPlace

  init(_ learner: any Learner, _ stream: StreamPlace) {
    self.learner = learner
    self.stream = stream
  }

  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) throws(AnalysisError) {
    learner.add(frame, counted, at: moment, from: stream)
  }

  func merge(_ other: LearnerFeed) throws(AnalysisError) {}
}

/// Events of a test about decisions, and what is told of them by reading all of them at once.
struct DecisionStory {
  struct Event: Hashable {
    var number: UInt64
    var kind: EventKind
    var person: UInt64
    var time: Int64
    var tuple: DimensionTuple
    var revenue: Int64 = 0
    var name = "event"
    var payload: [UInt8]
    /// The decision that it is of, or names.
    var decision: DecisionID?

    var partition: Int { Int(person % 3) }
  }

  var plan: DecisionPlan
  var events: [Event] = []
  /// By id, as they were made.
  var decisions: [DecisionID: Decision] = [:]
  private var number: UInt64 = 0

  init(_ plan: DecisionPlan) { self.plan = plan }

  static let plan = DecisionPlan(
    id: "hero", site: "shop", campaign: "spring", arms: ["a", "b", "c"], rewardWindow: hour,
    holdout: .init(share: 0.1, serving: .uniform),
    shadows: [.init(name: "first", policy: .fixed)], memory: 30 * 24 * hour)

  static func key(_ person: UInt64) -> Key128 {
    Key128(low: person &* 0x9e37_79b9_7f4a_7c15, high: person)
  }

  var snapshot: PolicySnapshot {
    PolicySnapshot(
      plan: plan, position: Position(generation: 1), logTime: ten,
      propensities: Propensities([5, 3, 2]),
      arms: plan.arms.map { _ in
        PolicySnapshot.Arm(
          trials: 0, effectiveTrials: 0, rewards: 0, mean: 0, lower: 0, upper: 1, isStopped: false)
      }, shadows: [.init(name: "first", chances: [1, 0, 0])],
      isApprentice: false)
  }

  /// - Returns: the decision's id.
  @discardableResult
  mutating func decide(
    _ person: UInt64, at time: Int64, by other: PolicySnapshot? = nil, candidates: [Int]? = nil,
    features: DecisionFeatures = .none
  ) -> DecisionID {
    number += 1
    let id = DecisionID(Key128(low: number &* 0x2545_f491_4f6c_dd1d, high: number))
    let snapshot = other ?? self.snapshot
    let decision = snapshot.decide(
      DecisionRequest(
        id: id, person: Self.key(person), time: time, features: features, candidates: candidates))
    decisions[id] = decision
    let text = decision.token.text(mac: TestMAC.sign)
    events.append(
      Event(
        number: number, kind: .decision, person: person, time: time,
        tuple: DimensionTuple(
          site: plan.site, campaign: plan.campaign, variant: plan.arms[decision.arm]),
        name: LoggedDecisionEvent.eventName,
        payload: snapshot.logged(decision, tokenText: text, server: "s").payload, decision: id))
    return id
  }

  mutating func echo(_ id: DecisionID, _ kind: EventKind, _ person: UInt64, at time: Int64) {
    number += 1
    let text = decisions[id]?.token.text(mac: TestMAC.sign) ?? ""
    events.append(
      Event(
        number: number, kind: kind, person: person, time: time,
        tuple: DimensionTuple(site: plan.site, campaign: "other"),
        payload: Array(#"{"type":"track","properties":{"x":[1],"decision":"\#(text)"}}"#.utf8),
        decision: id))
  }

  mutating func touch(
    _ person: UInt64, _ kind: EventKind, variant: String = "", at time: Int64, revenue: Int64 = 0,
    currency: String = ""
  ) {
    number += 1
    events.append(
      Event(
        number: number, kind: kind, person: person, time: time,
        tuple: DimensionTuple(
          site: plan.site, campaign: plan.campaign, variant: variant, currency: currency),
        revenue: revenue, payload: Array("{}".utf8)))
  }

  mutating func state(_ id: DecisionID, _ value: Double, at time: Int64) {
    number += 1
    events.append(
      Event(
        number: number, kind: .decision, person: number, time: time,
        tuple: DimensionTuple(site: plan.site), name: LoggedRewardEvent.eventName,
        payload: LoggedRewardEvent(decision: id, value: value).payload, decision: id))
  }

  mutating func retract(_ subject: LoggedRetractionEvent.Subject, at time: Int64) {
    number += 1
    events.append(
      Event(
        number: number, kind: .decision, person: number, time: time,
        tuple: DimensionTuple(site: plan.site), name: LoggedRetractionEvent.eventName,
        payload: LoggedRetractionEvent(subject).payload))
  }

  /// - Returns: what was said.
  @discardableResult
  mutating func promote(_ policy: String, at time: Int64) -> DecisionPromotion {
    number += 1
    let promotion = DecisionPromotion(
      plan: plan.id, version: plan.version, policy: policy, since: time, cause: .person)
    events.append(
      Event(
        number: number, kind: .decision, person: number, time: time,
        tuple: DimensionTuple(site: plan.site), name: DecisionPromotion.eventName,
        payload: promotion.payload))
    return promotion
  }

  /// Everything that may happen, within an hour and a half before `end`.
  static func random(_ seed: UInt64, plan: DecisionPlan = plan, end: Int64 = ten) -> DecisionStory {
    var random = SeededGenerator(seed: seed)
    var story = DecisionStory(plan)
    for _ in 0..<120 {
      let person = UInt64(1 + random.below(25))
      let time = end - 50 * minute + random.time(upTo: 40 * minute)
      let id = story.decide(person, at: time)
      if random.once(in: 2) { story.echo(id, .impression, person, at: time + second) }
      if random.once(in: 4) {
        story.echo(id, .click, person, at: time + random.time(upTo: 9 * minute))
      }
      if random.once(in: 12) {
        // Somebody who was given the link.
        story.echo(id, .click, person + 100, at: time + random.time(upTo: 9 * minute))
      }
      for _ in 0..<(random.once(in: 10) ? 2 : 0) {
        story.state(id, Double(random.below(5)) / 4, at: time + random.time(upTo: 5 * minute))
      }
    }
    for _ in 0..<60 {
      story.touch(
        UInt64(1 + random.below(25)), random.pick([.click, .click, .view, .conversion]),
        variant: random.pick(["", "a", "b", "z"]), at: end - random.time(upTo: 50 * minute),
        revenue: random.time(upTo: 3_000_000), currency: random.pick(["EUR", "USD", ""]))
    }
    return story
  }

  // MARK: Reading

  /// What a learner comes to that reads the events, divided into three streams by person, in this order and in frames
  /// of these sizes, and is told at last that it is `end`.
  ///
  /// - Parameters:
  ///   - given: who learns; a new learner where none is given.
  ///   - storedAt: of each frame, from its events.
  ///   - between: is called after each frame.
  func learn(
    _ events: [Event], perFrame: Int = 7, until end: Int64 = ten, by given: DecisionLearner? = nil,
    storedAt: ([Event]) -> Int64 = { _ in ten }, between: (DecisionLearner) -> Void = { _ in },
    publish: @escaping @Sendable (DecisionModels) -> Void = { _ in }
  ) throws -> DecisionLearner {
    let learner =
      given ?? DecisionLearner([plan], isAuthentic: TestMAC.isAuthentic, publish: publish)
    let feeds = (0..<3).map {
      LearnerFeed(learner, StreamPlace(generation: 1, partition: $0))
    }
    let judges = (0..<3).map { _ in Judge() }
    var sequences: [UInt64] = [0, 0, 0]
    var waiting: [[Event]] = [[], [], []]
    func flush(_ partition: Int) throws {
      guard !waiting[partition].isEmpty else { return }
      sequences[partition] += 1
      let frame = Self.frame(waiting[partition], storedAt(waiting[partition]))
      let stored = storedAt(waiting[partition])
      waiting[partition] = []
      try frame.withUnsafeBytes { bytes in
        try judges[partition].judge.add(
          bytes, sequence: sequences[partition], storedAt: stored, to: feeds[partition])
      }
      between(learner)
    }
    for event in events {
      waiting[event.partition].append(event)
      if waiting[event.partition].count >= perFrame { try flush(event.partition) }
    }
    for partition in 0..<3 { try flush(partition) }
    learner.publish(
      LearningProgress(position: Position(generation: 1), logTime: end, isCaughtUp: true))
    return learner
  }

  /// Of a noncopyable value, for an array.
  final class Judge {
    var judge = StreamJudge(
      PipelineSpec(name: "test", allowedLateness: 24 * hour), groups: 0..<KeyGroup.count)
  }

  static func frame(_ events: [Event], _ storedAt: Int64) -> [UInt8] {
    var encoder = FrameEncoder()
    for event in events {
      encoder.append(
        IncomingEvent(
          kind: event.kind,
          key: Key128(low: event.number &* 0x9e37_79b9_7f4a_7c15, high: event.number),
          person: key(event.person), eventTime: event.time, receivedAt: storedAt,
          dimensions: event.tuple.encoded, revenueMicros: event.revenue, id: "\(event.number)",
          name: event.name, source: "test", payload: event.payload))
    }
    return encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 0,
        producerSequence: 1))
  }
}

extension DecisionStory {
  /// The sums, told plainly: each decision by itself, from the whole list.
  func sums(_ events: [Event], until end: Int64 = ten) -> (RewardBins, [RewardBins.Cell]) {
    var sums = RewardBins(arms: plan.arms.count, memory: plan.memory)
    sums.advance(to: end)
    var held = [RewardBins.Cell](repeating: RewardBins.Cell(), count: plan.arms.count)
    // Who was decided for or has named it.
    var persons: [DecisionID: Set<UInt64>] = [:]
    for event in events where event.name != LoggedRewardEvent.eventName {
      if let id = event.decision { persons[id, default: []].insert(event.person) }
    }
    for (id, decision) in decisions where persons[id] != nil {
      let own = events.filter { $0.decision == id }
      let time = decision.token.time
      let reward = reward(of: id, own, events, persons)
      if case .echoed(let wait) = plan.activation, reward.value == 0,
        !own.contains(where: { $0.kind != .decision && $0.time <= time + wait })
      {
        continue
      }
      let delay = reward.value > 0 ? max(0, reward.first - time) : nil
      if decision.token.flags.contains(.holdout) {
        held[decision.arm].add(trials: 1, reward: reward.value, sign: 1)
      } else {
        sums.add(arm: decision.arm, time: time, reward: reward.value, delay: delay)
      }
    }
    return (sums, held)
  }

  private func reward(
    of id: DecisionID, _ own: [Event], _ events: [Event], _ persons: [DecisionID: Set<UInt64>]
  ) -> (value: Int64, first: Int64) {
    var last: (event: Event, value: Double)?
    for event in own {
      guard let value = stated(event) else { continue }
      if let last, (last.event.time, last.event.number) > (event.time, event.number) { continue }
      last = (event, value)
    }
    if let last { return (Int64((last.value * 65_536).rounded()), last.event.time) }
    guard let time = decisions[id]?.token.time else { return (0, 0) }
    let ends = time + plan.rewardWindow
    let named = own.filter { $0.kind != .decision && $0.time <= ends }
    let touches = events.filter { touch in
      guard touch.decision == nil, persons[id]?.contains(touch.person) ?? false,
        touch.time >= time, touch.time <= ends
      else { return false }
      let variant = touch.tuple.variant
      let latest = decisions.filter { other, decision in
        (persons[other]?.contains(touch.person) ?? false) && decision.token.time <= touch.time
          && (variant.isEmpty || variant == plan.arms[decision.arm])
      }.max { ($0.value.token.time, $0.key) < ($1.value.token.time, $1.key) }
      return latest?.key == id
    }
    let values = (named + touches).compactMap { event in value(of: event).map { ($0, event.time) } }
    return (min(65_536, values.map(\.0).reduce(0, +)), values.map(\.1).min() ?? .max)
  }

  private func stated(_ event: Event) -> Double? {
    guard event.name == LoggedRewardEvent.eventName else { return nil }
    do {
      return try event.payload.withUnsafeBytes { try LoggedRewardEvent(payload: $0) }?.value
    } catch {
      return nil
    }
  }

  private func value(of event: Event) -> Int64? {
    switch plan.reward {
    case .click: event.kind == .click ? 65_536 : nil
    case .conversion: event.kind == .conversion ? 65_536 : nil
    case .revenue(let unit, let currency):
      event.kind == .conversion && event.tuple.currency == currency
        ? Int64((min(1, Double(event.revenue) / Double(unit)) * 65_536).rounded()) : nil
    }
  }
}
