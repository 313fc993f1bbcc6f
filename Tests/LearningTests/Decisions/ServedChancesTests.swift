import Events
import Oracles
import Statistics
import Testing

@testable import Learning

@Suite struct ServedChancesTests {
  static func plan(_ change: (inout DecisionPlan) -> Void = { _ in }) -> DecisionPlan {
    var plan = DecisionPlan(
      id: "hero", site: "shop", campaign: "spring", arms: ["a", "b", "c"], defaultArm: 1)
    change(&plan)
    return plan
  }

  /// Of each arm its trials, and how many thousandths of them were rewarded.
  static func sums(_ arms: [(trials: Int, perMille: Int)]) -> RewardBins {
    var sums = RewardBins(arms: arms.count, memory: 30 * 24 * hour)
    for (arm, counts) in arms.enumerated() {
      for trial in 0..<counts.trials {
        let isRewarded = trial * counts.perMille / 1_000 != (trial + 1) * counts.perMille / 1_000
        sums.add(
          arm: arm, time: ten - hour - Int64(trial) * second,
          reward: isRewarded ? RewardBins.one : 0, delay: isRewarded ? second : nil)
      }
    }
    sums.advance(to: ten)
    return sums
  }

  static func served(_ plan: DecisionPlan, _ sums: RewardBins, at time: Int64 = ten)
    -> PolicySnapshot
  {
    ServedChances(plan, sums, logTime: time).snapshot(at: Position(generation: 1))
  }

  @Test(
    "Every policy shows the better arm more, keeps the floor, and is the same after what was added is taken back",
    arguments: DecisionPolicy.all.filter { !$0.isContextual })
  func policies(policy: DecisionPolicy) {
    let plan = Self.plan {
      $0.policy = policy
      $0.floor = 0.02
    }
    for seed in 1...8 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      var sums = Self.sums([(3_000, 20), (3_000, 20), (3_000, 60)])
      let before = Self.served(plan, sums)
      #expect(before.propensities.parts.reduce(0, +) == before.propensities.whole)
      switch policy {
      case .uniform, .given: #expect(before.propensities == Propensities(uniform: 3))
      case .fixed: #expect(before.propensities == Propensities(only: 1, of: 3))
      case .ucb1: #expect(before.propensities.parts.allSatisfy { $0 >= 1_311 })
      default:
        #expect(before.propensities[2] > 0.45, "\(before.propensities)")
        #expect(before.propensities.parts.allSatisfy { $0 >= 1_311 })
      }
      let parts = (0..<200).map { _ in
        let time = ten - random.time(upTo: 5 * hour)
        let isRewarded = random.once(in: 2)
        return (
          arm: random.below(3), time: time, reward: isRewarded ? RewardBins.one : 0,
          delay: isRewarded ? random.time(upTo: hour) : nil as Int64?
        )
      }
      for part in parts {
        sums.add(arm: part.arm, time: part.time, reward: part.reward, delay: part.delay)
      }
      let disturbed = Self.served(plan, sums)
      if policy != .uniform && policy != .fixed && policy != .ucb1 {
        #expect(disturbed.arms != before.arms)
      }
      for part in parts.shuffled(using: &random) {
        sums.add(arm: part.arm, time: part.time, reward: part.reward, delay: part.delay, sign: -1)
      }
      let after = Self.served(plan, sums)
      #expect(
        after.propensities == before.propensities && after.arms == before.arms, "seed \(seed)")
    }
  }

  @Test("Before anything is known every arm has the same chance", arguments: DecisionPolicy.all)
  func empty(policy: DecisionPolicy) {
    let plan = Self.plan { $0.policy = policy }
    let snapshot = Self.served(plan, RewardBins(arms: 3, memory: hour), at: .min)
    if policy == .fixed {
      #expect(snapshot.propensities == Propensities(only: 1, of: 3))
    } else {
      let parts = snapshot.propensities.parts
      #expect(parts.allSatisfy { (21_844...21_847).contains($0) }, "\(parts)")
    }
    #expect(snapshot.arms.allSatisfy { $0.trials == 0 && $0.lower < 0.01 && $0.upper > 0.99 })
  }

  @Test(
    "A guardrail stops an arm that is certain to be worse than its share of the default, and no other"
  )
  func guardrails() {
    let plan = Self.plan {
      $0.guardrails = [.init(share: 0.8, certainty: 0.99, trialsMin: 500)]
      $0.floor = 0.05
    }
    let snapshot = Self.served(plan, Self.sums([(4_000, 30), (4_000, 100), (4_000, 90)]))
    #expect(snapshot.arms.map(\.isStopped) == [true, false, false])
    #expect(snapshot.propensities.parts[0] == 0 && snapshot.propensities[2] >= 0.05)
    let few = Self.served(plan, Self.sums([(400, 30), (4_000, 100), (4_000, 90)]))
    #expect(few.arms.map(\.isStopped) == [false, false, false])
  }

  @Test("An apprentice shows the default arm until the policy is estimated to earn as much")
  func apprentice() {
    let plan = Self.plan { $0.apprenticeship = .init(exploration: 0.3, trialsMin: 1_000) }
    let early = Self.served(plan, Self.sums([(100, 100), (600, 50), (100, 100)]))
    #expect(early.isApprentice && early.propensities == Propensities([1, 8, 1]))
    let plain = Self.plan {
      $0.apprenticeship = plan.apprenticeship
      $0.policy = .uniform
    }
    let worse = Self.served(plain, Self.sums([(3_000, 20), (3_000, 50), (3_000, 20)]))
    let better = Self.served(plan, Self.sums([(3_000, 20), (3_000, 50), (3_000, 90)]))
    #expect(!better.isApprentice && better.propensities[2] > 0.9)
    #expect(worse.isApprentice && worse.propensities[1] > 0.75)
  }

  @Test("A ramp gives the policy a share that rises, and the rest to the default arm")
  func ramp() {
    let plan = Self.plan { $0.ramp = .init(from: 0.2, begin: ten - hour, end: ten + hour) }
    let sums = Self.sums([(3_000, 20), (3_000, 20), (3_000, 90)])
    let shares = [ten - 2 * hour, ten, ten + 2 * hour].map {
      Self.served(plan, sums, at: $0).propensities[2]
    }
    let whole = Self.served(Self.plan(), sums).propensities[2]
    #expect((shares[0] - 0.2 * whole).magnitude < 0.001, "\(shares)")
    #expect((shares[1] - 0.6 * whole).magnitude < 0.001 && shares[2] == whole)
  }

  @Test("Decisions whose reward is still to come do not count against an arm")
  func delays() {
    // Rewards come after twenty minutes; arm c was shown in the last ten alone.
    func snapshot(shown: Int) -> PolicySnapshot {
      var sums = RewardBins(arms: 3, memory: 30 * 24 * hour)
      for trial in 0..<6_000 {
        let isRewarded = trial % 20 < 2
        sums.add(
          arm: trial % 2, time: ten - 4 * hour + Int64(trial) * 2 * second,
          reward: isRewarded ? RewardBins.one : 0, delay: isRewarded ? 20 * minute : nil)
      }
      for trial in 0..<shown {
        sums.add(
          arm: 2, time: ten - 600 * second + Int64(trial) * 600 / Int64(shown) * second, reward: 0,
          delay: nil)
      }
      sums.advance(to: ten)
      return Self.served(Self.plan(), sums)
    }
    let few = snapshot(shown: 30)
    #expect(few.arms[2].trials == 30 && few.arms[2].effectiveTrials < 1)
    #expect(few.propensities[2] > 0.2, "\(few.propensities)")
    // So many will tell what the arm is worth without more of them.
    let many = snapshot(shown: 600)
    #expect(many.arms[2].trials == 600 && many.arms[2].effectiveTrials < 20)
    #expect(many.propensities[2] < few.propensities[2] / 2, "\(many.propensities)")
  }

  @Test("Shadows are told beside what is served, and change nothing of it")
  func shadows() {
    let sums = Self.sums([(3_000, 20), (3_000, 20), (3_000, 90)])
    let plan = Self.plan {
      $0.shadows = [.init(name: "u", policy: .uniform), .init(name: "f", policy: .fixed)]
    }
    let snapshot = Self.served(plan, sums)
    #expect(snapshot.propensities == Self.served(Self.plan(), sums).propensities)
    #expect(snapshot.shadows.map(\.name) == ["u", "f"])
    #expect(snapshot.shadows[1].chances == [0, 1, 0])
  }
}
