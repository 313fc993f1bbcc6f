import Events
import Oracles
import Testing

@testable import Learning

@Suite struct DecideTests {
  static func snapshot(_ plan: DecisionPlan, _ chances: [Double], stopped: Int? = nil)
    -> PolicySnapshot
  {
    PolicySnapshot(
      plan: plan, position: Position(generation: 1), logTime: 0,
      propensities: Propensities(chances),
      arms: plan.arms.indices.map {
        PolicySnapshot.Arm(
          trials: 0, effectiveTrials: 0, rewards: 0, mean: 0, lower: 0, upper: 1,
          isStopped: $0 == stopped)
      }, shadows: [], isApprentice: false)
  }

  static func request(_ number: UInt64, person: UInt64 = 1) -> DecisionRequest {
    DecisionRequest(
      id: DecisionID(Key128(low: number &* 0x9e37_79b9_7f4a_7c15, high: number)),
      person: Key128(low: person &* 0x2545_f491_4f6c_dd1d, high: person),
      time: 1_763_978_400_000_000)
  }

  static let plan = DecisionPlan(
    id: "hero", site: "shop", campaign: "spring", arms: ["a", "b", "c"], defaultArm: 1)

  @Test("The same request and snapshot give the same decision, and arms come with their chances")
  func decides() {
    let snapshot = Self.snapshot(Self.plan, [6, 3, 1])
    var seen = [0, 0, 0]
    for number in 1...20_000 as ClosedRange<UInt64> {
      let decision = snapshot.decide(Self.request(number))
      seen[decision.arm] += 1
      #expect(decision == snapshot.decide(Self.request(number)))
      #expect(decision.token.propensities == snapshot.propensities && decision.reason == .policy)
    }
    #expect((seen[0] - 12_000).magnitude < 400 && (seen[2] - 2_000).magnitude < 200, "\(seen)")
  }

  @Test("A share of persons takes no part, always the same ones, and says so")
  func holdouts() {
    var plan = Self.plan
    for serving in [DecisionPlan.Holdout.Serving.defaultArm, .uniform] {
      plan.holdout = .init(share: 0.2, serving: serving)
      let snapshot = Self.snapshot(plan, [1, 0, 0])
      var held = 0
      for person in 1...5_000 as ClosedRange<UInt64> {
        let decision = snapshot.decide(Self.request(person, person: person))
        let again = snapshot.decide(Self.request(person + 9_000, person: person))
        #expect(decision.reason == again.reason)
        guard decision.reason == .holdout else {
          #expect(decision.arm == 0 && decision.token.flags.isEmpty)
          continue
        }
        held += 1
        #expect(decision.token.flags == .holdout)
        #expect(
          decision.token.propensities
            == (serving == .uniform ? Propensities(uniform: 3) : Propensities(only: 1, of: 3)))
      }
      #expect((held - 1_000).magnitude < 120, "\(held)")
    }
  }

  @Test(
    "A sticky plan gives a person the same arm, until a guardrail stops it or it is no candidate")
  func sticky() {
    var plan = Self.plan
    plan.isSticky = true
    let snapshot = Self.snapshot(plan, [1, 1, 1])
    var arms: Set<Int> = []
    for person in 1...200 as ClosedRange<UInt64> {
      let first = snapshot.decide(Self.request(person, person: person))
      arms.insert(first.arm)
      var later = Self.request(person + 1_000, person: person)
      #expect(snapshot.decide(later).arm == first.arm)
      // The chances have changed since.
      later.earlier = first.arm
      let moved = Self.snapshot(plan, first.arm == 0 ? [0, 1, 1] : [1, 0, 0])
      let decision = moved.decide(later)
      #expect(decision.arm == first.arm && decision.reason == .repeated)
      #expect(decision.token.flags == .repeated && decision.token.propensities[first.arm] == 1)
      let stopped = Self.snapshot(
        plan, first.arm == 0 ? [0, 1, 1] : [1, 0, 0], stopped: first.arm)
      #expect(stopped.decide(later).arm != first.arm)
      later.candidates = [0, 1, 2].filter { $0 != first.arm }
      #expect(snapshot.decide(later).arm != first.arm)
    }
    #expect(arms == [0, 1, 2])
  }

  @Test("Slots get different arms, each with an id of its own, and only among the candidates")
  func slots() {
    let snapshot = Self.snapshot(Self.plan, [8, 1, 1])
    for number in 1...200 as ClosedRange<UInt64> {
      var request = Self.request(number)
      let all = snapshot.decide(request, slots: 5)
      #expect(Set(all.map(\.arm)) == [0, 1, 2] && all.count == 3)
      #expect(all[1].token.id == request.id.slot(1) && all[2].token.propensities[all[2].arm] == 1)
      #expect(all[1].token.propensities.parts[all[0].arm] == 0)
      request.candidates = [2, 1, 1, 7]
      #expect(Set(snapshot.decide(request, slots: 3).map(\.arm)) == [1, 2])
      #expect(snapshot.decide(request, slots: 1).map(\.arm) == [snapshot.decide(request).arm])
    }
  }

  @Test("Without a model the default arm is given, and the token says so")
  func fallback() {
    let decision = Decision.fallback(Self.plan, Self.request(1))
    #expect(decision.arm == 1 && decision.reason == .fallback && decision.token.flags == .fallback)
  }

  @Test("Only the features that the plan names are kept, and their digest is in the token")
  func features() {
    var plan = Self.plan
    plan.features = ["device"]
    var request = Self.request(1)
    request.features = DecisionFeatures([.init("device", .text("tv")), .init("mail", .text("x"))])
    let snapshot = Self.snapshot(plan, [1, 1, 1])
    let decision = snapshot.decide(request)
    #expect(decision.features.all == [.init("device", .text("tv"))])
    #expect(decision.token.features == decision.features.digest && decision.token.features != 0)
    let text = decision.token.text(mac: TestMAC.sign)
    let logged = snapshot.logged(decision, tokenText: text, server: "s")
    #expect(
      logged.arms == plan.arms && logged.policy == "thompson" && logged.token == decision.token)
  }

  @Test(
    "A plan that differs in anything has another version, and with other arms another fingerprint")
  func versions() {
    var plans = [Self.plan]
    func add(_ change: (inout DecisionPlan) -> Void) {
      var plan = Self.plan
      change(&plan)
      plans.append(plan)
    }
    add { $0.floor = 0.02 }
    add { $0.policy = .topTwoThompson(share: 0.5) }
    add { $0.policy = .topTwoThompson(share: 0.6) }
    add { $0.reward = .revenue(unit: 1, currency: "EUR") }
    add { $0.activation = .echoed(wait: 5) }
    add { $0.holdout = .init(share: 0.1, serving: .uniform) }
    add { $0.ramp = .init(from: 0.1, begin: 0, end: 1) }
    add { $0.guardrails = [.init(share: 0.8, certainty: 0.9, trialsMin: 10)] }
    add { $0.apprenticeship = .init(exploration: 0.1, trialsMin: 10) }
    add { $0.isSticky = true }
    add { $0.shadows = [.init(name: "s", policy: .ucb1)] }
    add { $0.memory = 5 }
    add { $0.defaultArm = 0 }
    #expect(Set(plans.map(\.version)).count == plans.count)
    #expect(Set(plans.map(\.fingerprint)).count == 1)
    add { $0.arms = ["a", "b"] }
    #expect(plans.last?.fingerprint != Self.plan.fingerprint)
  }
}
