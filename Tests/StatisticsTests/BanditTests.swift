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

  @Test("probabilities add up to 1, keep the floor and leave the policy as it was")
  func probabilities() {
    var policy = AdaptiveThompson(arms: 3)
    for round in 0..<300 { policy.learn(arm: round % 3, reward: round % 3 == 1 ? 1 : 0) }
    let before = policy
    var draws = Draws(seed: 3)
    let chances = policy.probabilities(&draws, floor: 0.05)
    #expect((chances.reduce(0, +) - 1).magnitude < 1e-12)
    #expect(chances.allSatisfy { $0 >= 0.05 } && chances[1] > 0.85)
    #expect(policy == before)
  }

  @Test("the default stops to believe in old rewards where the best arm gets worse, and not before")
  func adapts() {
    var policy = AdaptiveThompson(arms: 2)
    var luck = SplitMix64(seed: 5)
    func learn(_ count: Int, rate: Double) {
      for _ in 0..<count { policy.learn(arm: 0, reward: luck.unit() < rate ? 1 : 0) }
    }
    learn(20_000, rate: 0.05)
    #expect(policy.stability > 0.9)
    learn(4_000, rate: 0.01)
    #expect(policy.stability < 0.01)
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
    for environment in [BanditEnvironment.abrupt, .smooth] {
      var (ours, plain) = (0.0, 0.0)
      for seed in UInt64(1_000)..<1_008 {
        ours += environment.regret(of: AdaptiveThompson(arms: 10), seed: seed)
        plain += environment.regret(of: BernoulliThompson(arms: 10), seed: seed)
      }
      #expect(ours < 0.8 * plain, "\(environment): \(ours) of \(plain)")
    }
  }
}
