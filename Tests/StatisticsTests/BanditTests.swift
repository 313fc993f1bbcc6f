import Testing

@testable import Statistics
@testable import quality

@Suite("Bandits")
struct BanditTests {
  static let policies: [@Sendable (Int) -> any BanditPolicy] = [
    { AdaptiveThompson(arms: $0) }, { BernoulliThompson(arms: $0) },
    { BernoulliThompson(arms: $0, memory: 2_000) }, { TopTwoThompson(arms: $0) },
    { UpperConfidence(arms: $0, bound: .hoeffding) },
    { UpperConfidence(arms: $0, bound: .kullbackLeibler) }, { EpsilonGreedy(arms: $0) },
    { GaussianThompson(arms: $0) },
  ]

  @Test(
    "every policy comes to show the best arm most, and decides the same from the same seed",
    arguments: policies.indices)
  func findsBest(index: Int) {
    func shown() -> [Int] {
      var policy = Self.policies[index](4)
      var draws = Draws(seed: 7)
      var luck = SplitMix64(seed: 8)
      let rates = [0.1, 0.3, 0.2, 0.6]
      return (0..<4_000).map { _ in
        let arm = policy.choose(&draws)
        policy.learn(arm: arm, reward: luck.unit() < rates[arm] ? 1 : 0)
        return arm
      }
    }
    let first = shown()
    #expect(first.suffix(1_000).count { $0 == 3 } >= 450)
    #expect(first.allSatisfy { (0..<4).contains($0) })
    #expect(shown() == first)
  }

  @Test("one arm is always shown", arguments: policies.indices)
  func oneArm(index: Int) {
    var policy = Self.policies[index](1)
    var draws = Draws(seed: 1)
    for reward in [0.0, 1, 0.5, -3, .infinity] {
      #expect(policy.choose(&draws) == 0)
      policy.learn(arm: 0, reward: reward)
    }
  }

  @Test("chances are those with which a policy chooses", arguments: policies.indices)
  func chances(index: Int) {
    var policy = Self.policies[index](4)
    var luck = SplitMix64(seed: 12)
    let rates = [0.1, 0.12, 0.09, 0.12]
    for round in 0..<800 {
      policy.learn(arm: round % 4, reward: luck.unit() < rates[round % 4] ? 1 : 0)
    }
    var draws = Draws(seed: 3)
    let count = 20_000
    var chosen = [0.0, 0, 0, 0]
    for _ in 0..<count { chosen[policy.choose(&draws)] += 1 / Double(count) }
    let chances = policy.chances()
    #expect((chances.reduce(0, +) - 1).magnitude < 1e-12)
    for arm in 0..<4 {
      #expect((chances[arm] - chosen[arm]).magnitude < 0.012, "\(chances) \(chosen)")
    }
  }

  @Test(
    "what is learned from a batch is nearly what is learned one by one", arguments: policies.indices
  )
  func batches(index: Int) {
    var (single, batched) = (Self.policies[index](3), Self.policies[index](3))
    var luck = SplitMix64(seed: 14)
    let rates = [0.05, 0.06, 0.07]
    for _ in 0..<100 {
      var batch = RewardBatch(arms: 3)
      for round in 0..<30 {
        let (arm, reward) = (round % 3, luck.unit() < rates[round % 3] ? 1.0 : 0)
        single.learn(arm: arm, reward: reward)
        batch.trials[arm] += 1
        batch.rewards[arm] += reward
        batch.squares[arm] += reward * reward
      }
      batched.learn(batch)
    }
    for (a, b) in zip(single.chances(), batched.chances()) {
      #expect((a - b).magnitude < 0.02, "\(single.chances()) \(batched.chances())")
    }
  }

  @Test("the default stops to believe in old rewards where the best arm gets worse, and not before")
  func adapts() {
    var policy = AdaptiveThompson(arms: 2)
    var luck = SplitMix64(seed: 5)
    func learn(_ count: Int, rate: Double) {
      for _ in 0..<count { policy.learn(arm: 0, reward: luck.unit() < rate ? 1 : 0) }
    }
    learn(20_000, rate: 0.05)
    #expect(policy.stability > 0.8)
    learn(4_000, rate: 0.01)
    #expect(policy.stability < 0.01)
  }

  @Test(
    "trials whose rewards are on the way make the default surer of what it believes, and say nothing else"
  )
  func pending() {
    func chances(_ trials: [Double], _ rewards: [Double], _ pending: [Double]) -> [Double] {
      var policy = AdaptiveThompson(arms: 3)
      var batch = RewardBatch(arms: 3)
      batch.trials = trials
      batch.rewards = rewards
      batch.pending = pending
      policy.learn(batch)
      return policy.chances()
    }
    let known = chances([400, 400, 400], [12, 16, 20], [0, 0, 0])
    let surer = chances([400, 400, 400], [12, 16, 20], [800, 800, 800])
    #expect(surer[2] > known[2] + 0.05 && surer[0] < known[0], "\(known) \(surer)")
    let alike = chances([400, 400, 400], [16, 16, 16], [800, 800, 800])
    for chance in alike { #expect((chance - 1.0 / 3).magnitude < 1e-9, "\(alike)") }
  }

  @Test(
    "an arm that is not known yet is taken for one like the others, not for one that always earns")
  func prior() {
    var policy = AdaptiveThompson(arms: 4)
    var batch = RewardBatch(arms: 4)
    batch.trials = [5_000, 5_000, 5_000, 0]
    batch.rewards = [100, 110, 160, 0]
    policy.learn(batch)
    let chances = policy.chances()
    #expect(chances[3] > 0.1 && chances[3] < 0.6, "\(chances)")
  }

  @Test("KL-UCB's bound is the rate at the stated divergence", arguments: [0.0, 0.02, 0.5, 0.99])
  func upperBound(mean: Double) {
    let information = 0.01
    let upper = UpperConfidence.upper(mean, information: information)
    #expect(upper >= mean && upper < 1)
    let divergence =
      (mean > 0 ? mean * Elementary.log(mean / upper) : 0)
      + (1 - mean) * Elementary.log((1 - mean) / (1 - upper))
    #expect((divergence - information).magnitude < 1e-9)
  }

  @Test("draws have the moments of their distributions")
  func draws() {
    var draws = Draws(seed: 11)
    let count = 20_000
    func mean(_ value: (inout Draws) -> Double) -> Double {
      (0..<count).reduce(0.0) { sum, _ in sum + value(&draws) } / Double(count)
    }
    #expect((mean { $0.unit() } - 0.5).magnitude < 0.01)
    #expect(mean { $0.normal() }.magnitude < 0.03)
    for shape in [0.2, 1, 7.5] {
      #expect((mean { $0.gamma(shape) } / shape - 1).magnitude < 0.06, "\(shape)")
    }
    #expect((mean { $0.beta(2, 6) } - 0.25).magnitude < 0.01)
    #expect((mean { $0.beta(0.3, 60) } - 0.3 / 60.3).magnitude < 0.001)
  }

  @Test("where rates drift the default loses less than four fifths of what plain Thompson does")
  func drift() {
    for environment in [BanditEnvironment.abrupt, .smooth, .replaced] {
      var (ours, plain) = (0.0, 0.0)
      for seed in UInt64(1_000)..<1_005 {
        ours += environment.regret(of: AdaptiveThompson(arms: 10), seed: seed)
        plain += environment.regret(of: BernoulliThompson(arms: 10), seed: seed)
      }
      #expect(ours < 0.8 * plain, "\(environment): \(ours) of \(plain)")
    }
  }
}
