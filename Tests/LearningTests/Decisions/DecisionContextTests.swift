import Events
import Oracles
import Testing

@testable import Learning
@testable import Statistics

@Suite struct DecisionContextTests {
  static let policies = DecisionPolicy.all.filter(\.isContextual)

  static func plan(_ policy: DecisionPolicy) -> DecisionPlan {
    var plan = DecisionStory.plan
    plan.policy = policy
    plan.features = ["device", "hour"]
    plan.shadows = [.init(name: "linear", policy: .squareCB)]
    plan.holdout = nil
    return plan
  }

  static func context(_ device: String, hour: Int = 12) -> DecisionFeatures {
    DecisionFeatures([.init("device", .text(device)), .init("hour", .number(Double(hour)))])
  }

  /// What happens to a ledger.
  enum Step {
    case decision(DecisionID, DecisionEntry.Facts, DecisionFeatures)
    case click(DecisionID, DecisionEntry.Facts)

    func apply(to ledger: inout PlanLedger) {
      switch self {
      case .decision(let id, let facts, let features):
        ledger.decide(
          id, facts, person: id.key, features: features,
          shadows: [DecisionEntry.unknownChance, 0.3],
          logTime: ten)
      case .click(let id, let facts):
        ledger.echo(
          id, facts, person: id.key, at: facts.time + second, value: RewardBins.one, logTime: ten)
      }
    }
  }

  /// Arm a is clicked on phones, arm b on desktops, arm c seldom.
  static func steps(_ count: Int, seed: UInt64, version: UInt32 = 1) -> [Step] {
    var random = SeededGenerator(seed: seed)
    return (1...count).flatMap { number -> [Step] in
      let isPhone = random.once(in: 2)
      let arm = random.below(3)
      let id = DecisionID(Key128(low: random.next(), high: UInt64(number)))
      let facts = DecisionEntry.Facts(
        arm: arm, time: ten - random.time(upTo: 50 * minute), propensity: 1.0 / 3, flags: [],
        version: version)
      let rate = [isPhone ? 8 : 1, isPhone ? 1 : 8, 1][arm]
      let decision = Step.decision(
        id, facts, context(isPhone ? "phone" : "desktop", hour: random.below(24)))
      return random.below(10) < rate ? [decision, .click(id, facts)] : [decision]
    }
  }

  static func ledger(_ plan: DecisionPlan, _ steps: [Step]) -> PlanLedger {
    var ledger = PlanLedger(plan, entryCountMax: 100_000)
    for step in steps { step.apply(to: &ledger) }
    ledger.advance(to: ten)
    ledger.weigh()
    return ledger
  }

  static func snapshot(_ ledger: PlanLedger) -> PolicySnapshot {
    DecisionLearner.snapshot(ledger, at: Position(generation: 1), ten)
  }

  @Test(
    "A policy with context shows in each context the arm that is best there", arguments: policies)
  func learns(policy: DecisionPolicy) {
    let snapshot = Self.snapshot(Self.ledger(Self.plan(policy), Self.steps(300, seed: 1)))
    let phone = snapshot.propensities(in: Self.context("phone"))
    let desktop = snapshot.propensities(in: Self.context("desktop"))
    #expect(phone[0] > 0.5 && desktop[1] > 0.5, "\(phone) \(desktop)")
    #expect(phone.parts.allSatisfy { $0 >= 655 })
    var request = DecideTests.request(1)
    request.features = Self.context("phone")
    let decision = snapshot.decide(request)
    #expect(decision.token.propensities == phone && decision.shadows[0].name == "linear")
    #expect(decision.shadows[0].chances[0] > 0.4)
    let parts = snapshot.model.contributions(Self.context("phone"), arm: 0)
    #expect((parts == nil) == (policy == .kernelGap || policy == .logisticThompson))
    if let parts { #expect(parts[0].name == "device" && parts[0].value > 0.1, "\(parts)") }
    let said = snapshot.contributions(of: Self.context("phone"), to: 0)
    #expect(said[0].name == "device" && said[0].chance > 0.1, "\(said)")
    #expect(said.allSatisfy { ($0.reward == nil) == (parts == nil) })
    let opposite = snapshot.contributions(of: Self.context("phone"), to: 1)
    #expect(opposite[0].chance < 0)
  }

  @Test(
    "What a policy with context has learned does not depend on the order in which it was read",
    arguments: policies)
  func anyOrder(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    let steps = Self.steps(60, seed: 2)
    let expected = Self.snapshot(Self.ledger(plan, steps)).propensities(in: Self.context("phone"))
    var random = SeededGenerator(seed: 9)
    for _ in 0..<3 {
      let ledger = Self.ledger(plan, steps.shuffled(using: &random))
      #expect(Self.snapshot(ledger).propensities(in: Self.context("phone")) == expected)
    }
  }

  @Test("What is taken back of it is as if it had never been", arguments: policies)
  func retracted(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    let (kept, gone) = (Self.steps(50, seed: 3), Self.steps(30, seed: 4))
    var ledger = Self.ledger(plan, kept + gone)
    for case .decision(let id, _, _) in gone { ledger.retract(id) }
    for device in ["phone", "desktop"] {
      let context = Self.context(device)
      #expect(
        Self.snapshot(ledger).propensities(in: context)
          == Self.snapshot(Self.ledger(plan, kept)).propensities(in: context))
    }
  }

  @Test(
    "What is taken back after it was settled is as if it had never been, with every policy",
    arguments: policies)
  func retractedLate(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    let kept = Self.steps(50, seed: 3, version: plan.version)
    let gone = Self.steps(30, seed: 4, version: plan.version)
    var (ledger, expected) = (Self.ledger(plan, kept + gone), Self.ledger(plan, kept))
    for time in [ten + 3 * hour, ten + 4 * hour] {
      ledger.advance(to: time)
      expected.advance(to: time)
    }
    #expect(ledger.entryCount == 0 && ledger.shadows != expected.shadows)
    for case .decision(let id, _, _) in gone {
      let isKnown = ledger.retract(id)
      #expect(isKnown)
    }
    #expect(ledger.counts.retracted == 30 && ledger.pendingRetractions == 30)
    ledger.looked()
    // What is a sum has changed at once; what depends on the order learns again, and says so until then.
    #expect(ledger.pendingRetractions == 30 && ledger.isRerunning && ledger.sums == expected.sums)
    for step in 1...10 { ledger.advance(to: ten + 4 * hour + Int64(step) * second) }
    ledger.looked()
    #expect(ledger.pendingRetractions == 0 && !ledger.isRerunning && ledger.rerunCount == 1)
    #expect(ledger.shadows == expected.shadows && ledger.soFar == expected.soFar)
    for device in ["phone", "desktop"] {
      let context = Self.context(device)
      #expect(
        Self.snapshot(ledger).propensities(in: context)
          == Self.snapshot(expected).propensities(in: context))
    }
    // Once more it is not known any more.
    for case .decision(let id, _, _) in gone {
      let isKnown = ledger.retract(id)
      #expect(!isKnown)
    }
  }

  @Test(
    "Of settled decisions as many can be taken back as there is room for; what is older stays learned"
  )
  func room() {
    var settled = SettledDecisions(countMax: 16)
    var gone: [DecisionID] = []
    let ids = (0..<40).map { DecisionID(Key128(low: UInt64($0), high: 1)) }
    for id in ids {
      gone += settled.add(
        SettledDecisions.Settled(
          id: id, persons: [id.key],
          part: .init(arm: 0, time: ten, reward: 0, delay: nil, isHeldOut: false), score: nil,
          example: nil)
      ).map(\.id)
    }
    #expect(
      gone == Array(ids.prefix(gone.count)) && settled.all.map(\.id) == ids.suffix(40 - gone.count))
    #expect(settled.all.count >= 16 && settled.all.count <= 18)
    let first = settled.takeBack(ids[0], at: ten)
    let last = settled.takeBack(ids[39], at: ten)
    #expect(first?.id == nil && last?.id == ids[39])
    let again = settled.takeBack(ids[39], at: ten)
    #expect(gone.allSatisfy { settled.forGood.mayContain($0.key) })
    #expect(ids.suffix(16).count { settled.forGood.mayContain($0.key) } == 0)
    #expect(settled.decisions(of: ids[38].key, until: .max) == [ids[38]] && again?.id == nil)
  }

  @Test(
    "Decisions that are settled are still known, and those whose own event was lost are not learned from"
  )
  func settled() {
    let plan = Self.plan(.logisticThompson)
    let steps = Self.steps(80, seed: 5)
    var ledger = Self.ledger(plan, steps)
    let before = Self.snapshot(ledger).propensities(in: Self.context("phone"))
    ledger.advance(to: ten + 3 * hour)
    #expect(ledger.entryCount == 0)
    #expect(Self.snapshot(ledger).propensities(in: Self.context("phone")) == before)
    let clicks = steps.filter { if case .click = $0 { true } else { false } }
    let lost = Self.snapshot(Self.ledger(plan, clicks))
    let parts = lost.propensities(in: Self.context("phone")).parts
    #expect(parts.allSatisfy { (21_844...21_847).contains($0) }, "\(parts)")
    #expect(lost.arms.map(\.trials).reduce(0, +) == Int64(clicks.count))
  }

  @Test(
    "What is taken back while others learn again, in many steps, is as if it had never been, and the same however often somebody looks",
    arguments: [DecisionPolicy.logisticThompson, .squareCB])
  func retractedInSteps(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    let kept = Self.steps(900, seed: 6, version: plan.version)
    let gone = Self.steps(60, seed: 7, version: plan.version)
    let late = Self.steps(40, seed: 8, version: plan.version)
    let settled = ten + 4 * hour
    func ids(_ steps: [Step]) -> [DecisionID] {
      steps.compactMap { if case .decision(let id, _, _) = $0 { id } else { nil } }
    }
    var ledgers = [1, 3, 13].map { _ in Self.ledger(plan, kept + gone + late) }
    for (place, pace) in [1, 3, 13].enumerated() {
      ledgers[place].advance(to: settled)
      for tenth in 0...260 {
        let now = settled + Int64(tenth) * second / 10
        if tenth == 10 { for id in ids(gone) { ledgers[place].retract(id, logTime: now) } }
        // After the first ones are closed: these wait for the next time.
        if tenth == 80 { for id in ids(late) { ledgers[place].retract(id, logTime: now) } }
        if tenth % pace == 0 { ledgers[place].advance(to: now) }
        if tenth == 117 {
          #expect(ledgers[place].pendingRetractions >= 40 && ledgers[place].isRerunning)
        }
      }
    }
    var expected = Self.ledger(plan, kept)
    expected.advance(to: settled + 26 * second)
    for var ledger in ledgers {
      ledger.advance(to: settled + 26 * second)
      ledger.looked()
      #expect(ledger.rerunCount == 2 && ledger.pendingRetractions == 0)
      #expect(ledger.shadows == expected.shadows)
      for device in ["phone", "desktop"] {
        #expect(
          Self.snapshot(ledger).propensities(in: Self.context(device))
            == Self.snapshot(expected).propensities(in: Self.context(device)))
      }
    }
  }

  @Test("Retractions of what was settled too long ago are counted")
  func tooLate() {
    var ledger = PlanLedger(DecisionStory.plan, entryCountMax: 100_000)
    let ids = (1...24_000).map {
      DecisionID(Key128(low: UInt64($0) &* 0x9e37_79b9_7f4a_7c15, high: UInt64($0)))
    }
    for (number, id) in ids.enumerated() {
      let facts = DecisionEntry.Facts(
        arm: number % 3, time: ten - Int64(24_000 - number) * 1_000, propensity: 1.0 / 3, flags: [],
        version: 1)
      ledger.decide(
        id, facts, person: id.key, features: Self.context("phone"), shadows: [], logTime: ten)
    }
    ledger.advance(to: ten + 4 * hour)
    let early = ledger.retract(ids[0])
    let latest = ledger.retract(ids[23_999])
    #expect(!early && latest && ledger.counts.retractedTooLate == 1)
    ledger.retract(person: ids[1].key)
    ledger.retract(person: ids[23_998].key)
    ledger.retract(DecisionID(Key128(low: 5, high: 5)))
    #expect(ledger.counts.retractedTooLate == 2 && ledger.counts.retracted == 2)
  }

  @Test(
    "A young arm is not thought worse because its rewards are still to come", arguments: policies)
  func delayed(policy: DecisionPolicy) {
    let plan = Self.plan(policy)
    var ledger = PlanLedger(plan, entryCountMax: 100_000)
    var random = SeededGenerator(seed: 11)
    func unit(_ random: inout SeededGenerator) -> Double { Double(random.next() >> 11) * 0x1p-53 }
    // Arms a and c were shown for 50 minutes and earn 0.3 and 0.1, arm b for the last five and earns 0.6; rewards take 8
    // minutes on average.
    for number in 1...1_500 {
      let age = random.time(upTo: 50 * minute) + second
      let arm = age < 5 * minute ? 1 : number % 3 == 0 ? 2 : 0
      let id = DecisionID(Key128(low: random.next(), high: UInt64(number)))
      let facts = DecisionEntry.Facts(
        arm: arm, time: ten - age, propensity: 0.5, flags: [], version: 1)
      ledger.decide(
        id, facts, person: id.key, features: Self.context(number % 2 == 0 ? "phone" : "desktop"),
        shadows: [], logTime: ten)
      let delay = Int64(-8.0 * Double(minute) * Elementary.log(1 - unit(&random)))
      guard unit(&random) < [0.3, 0.6, 0.1][arm], delay < age else { continue }
      ledger.echo(
        id, facts, person: id.key, at: facts.time + delay, value: RewardBins.one, logTime: ten)
    }
    ledger.advance(to: ten)
    ledger.weigh()
    for device in ["phone", "desktop"] {
      let chances = Self.snapshot(ledger).propensities(in: Self.context(device))
      #expect(chances[1] > chances[0], "\(chances)")
    }
  }
}
