import Testing

@testable import Statistics
@testable import quality

/// Contexts of two features, of which each of three arms likes another direction.
private struct LinearWorld {
  var luck: SplitMix64
  var draws: Draws

  init(seed: UInt64) {
    luck = SplitMix64(seed: seed)
    draws = Draws(seed: seed &+ 1)
  }

  mutating func context() -> [Double] { [luck.unit() * 40 - 20, 1_000 + luck.unit()] }

  static func rate(_ context: [Double], _ arm: Int) -> Double {
    let place = context[0] / 20
    return [0.5 + 0.4 * place, 0.5 - 0.4 * place, 0.55][arm]
  }

  mutating func examples(_ count: Int) -> [(features: [Double], arm: Int, reward: Double)] {
    (0..<count).map { index in
      let features = context()
      let arm = index % 3
      return (features, arm, luck.unit() < Self.rate(features, arm) ? 1 : 0)
    }
  }

  /// What is lost beside the best arm in each quarter of the decisions.
  mutating func regret<Policy: ContextualPolicy>(
    of policy: inout Policy, decisions: Int, settle: (inout Policy) -> Void
  ) -> [Double] {
    var regret = [Double](repeating: 0, count: 4)
    for number in 0..<decisions {
      let features = context()
      let chances = policy.probabilities(features: features, arms: 3)
      let arm = draws.index(weights: chances)
      let rates = (0..<3).map { Self.rate(features, $0) }
      regret[4 * number / decisions] += (rates.max() ?? 0) - rates[arm]
      let reward = luck.unit() < rates[arm] ? 1.0 : 0
      policy.learn(features: features, arm: arm, reward: reward, propensity: chances[arm])
      settle(&policy)
    }
    return regret
  }
}

private func expectNear(
  _ value: Double, _ wanted: Double, sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect((value - wanted).magnitude < 1e-12, sourceLocation: sourceLocation)
}

private struct AnyCase: CustomTestStringConvertible {
  let testDescription: String
  let make: @Sendable () -> any ContextualPolicy
}

@Suite("Contextual bandits")
struct ContextualBanditTests {
  private static let cases: [AnyCase] = [
    .init(testDescription: "LinUCB") { LinUCB(dimensions: 2) },
    .init(testDescription: "linear Thompson") { LinearThompson(dimensions: 2) },
    .init(testDescription: "SquareCB") { SquareCB(dimensions: 2) },
    .init(testDescription: "ε-greedy") { ContextualGreedy(dimensions: 2) },
    .init(testDescription: "logistic Thompson") { LogisticThompson(dimensions: 2) },
    .init(testDescription: "kernel") { KernelGapBandit(dimensions: 2, kernelFeatures: 32) },
  ]

  private static let linear: [AnyCase] = Array(cases.prefix(4))

  @Test(
    "every policy learns a linear world, and loses ever less than showing arms by chance",
    arguments: cases)
  private func learns(subject: AnyCase) {
    func run<Policy: ContextualPolicy>(_ start: Policy) -> [Double] {
      var policy = start
      var world = LinearWorld(seed: 4)
      return world.regret(of: &policy, decisions: 2_000) { policy in
        if var settling = policy as? any RetractablePolicy {
          settling.settle()
          policy = settling as! Policy
        }
      }
    }
    let regret = run(subject.make())
    // By chance it is 0.31 a decision.
    #expect(regret[3] < 0.3 * 500 * 0.31, "\(regret)")
    #expect(run(subject.make()) == regret)
  }

  @Test("chances add up to 1 for any number of arms and any features", arguments: cases)
  private func chances(subject: AnyCase) {
    var policy = subject.make()
    var world = LinearWorld(seed: 9)
    let contexts: [[Double]] = [
      [0, 0], [1e300, -1e300], [.nan, .infinity], [], [1, 2, 3], [-20, 1_000],
    ]
    func check() {
      for context in contexts {
        for arms in [1, 2, 3, 7] {
          let chances = policy.probabilities(features: context, arms: arms)
          #expect(chances.count == arms)
          #expect((chances.reduce(0, +) - 1).magnitude < 1e-9, "\(context) \(chances)")
          #expect(chances.allSatisfy { $0 >= 0 })
        }
      }
    }
    check()
    for (features, arm, reward) in world.examples(100) {
      policy.learn(features: features, arm: arm, reward: reward, propensity: 1.0 / 3)
    }
    for context in contexts {
      policy.learn(features: context, arm: 1, reward: .infinity, propensity: 1)
    }
    if var settling = policy as? any RetractablePolicy {
      settling.settle()
      policy = settling
    }
    check()
  }

  @Test("what is unlearned never was, to the bit of every chance", arguments: linear)
  private func unlearns(subject: AnyCase) throws {
    var world = LinearWorld(seed: 3)
    let examples = world.examples(200)
    var kept = try #require(subject.make() as? any RetractablePolicy)
    var retracted = kept
    for (index, (features, arm, reward)) in examples.enumerated() {
      retracted.learn(features: features, arm: arm, reward: reward, propensity: 1)
      guard index % 3 != 1 else { continue }
      kept.learn(features: features, arm: arm, reward: reward, propensity: 1)
    }
    retracted.settle()
    for (features, arm, reward) in examples.enumerated().filter({ $0.offset % 3 == 1 }).map(
      \.element)
    {
      retracted.unlearn(features: features, arm: arm, reward: reward, propensity: 1)
    }
    kept.settle()
    retracted.settle()
    for _ in 0..<20 {
      let context = world.context()
      #expect(
        kept.probabilities(features: context, arms: 3)
          == retracted.probabilities(features: context, arms: 3))
    }
  }

  @Test("the order of examples does not matter, to the bit of every chance", arguments: linear)
  private func orderless(subject: AnyCase) throws {
    var world = LinearWorld(seed: 6)
    let examples = world.examples(200)
    var forth = try #require(subject.make() as? any RetractablePolicy)
    var back = forth
    for (features, arm, reward) in examples {
      forth.learn(features: features, arm: arm, reward: reward, propensity: 1)
    }
    for (features, arm, reward) in examples.reversed() {
      back.learn(features: features, arm: arm, reward: reward, propensity: 1)
    }
    forth.settle()
    back.settle()
    for _ in 0..<20 {
      let context = world.context()
      #expect(
        forth.probabilities(features: context, arms: 3)
          == back.probabilities(features: context, arms: 3))
    }
  }

  @Test("sums of two logs are those of both, and taking all back leaves nothing")
  func sums() {
    var world = LinearWorld(seed: 8)
    let examples = world.examples(60)
    var all = RegressionSums(dimensions: 2)
    var halves = [all, all]
    for (index, example) in examples.enumerated() {
      all.add(example.features, reward: example.reward)
      halves[index % 2].add(example.features, reward: example.reward)
    }
    halves[0] += halves[1]
    #expect(halves[0] == all)
    for example in examples.shuffled() {
      all.subtract(example.features, reward: example.reward)
    }
    #expect(all == RegressionSums(dimensions: 2))
  }

  @Test("ridge regression is the solution of its normal equations")
  func ridge() {
    var arms = LinearArms(dimensions: 1)
    // Features −1 and 1, rewards 0 and 1: standardised they are themselves.
    for _ in 0..<50 {
      arms.add([-1], arm: 0, reward: 0)
      arms.add([1], arm: 0, reward: 1)
    }
    arms.settle()
    let effect = 50.0 / 101
    let unsure = 0.5 * (2.0 / 101).squareRoot()
    let unknown = 0.5 * 2.0.squareRoot()
    let (means, deviations) = arms.predictions([1], arms: 2, deviations: true)
    expectNear(means[0], 0.5 + effect)
    expectNear(deviations[0], unsure)
    expectNear(means[1], 0.5)
    expectNear(deviations[1], unknown)
    let parts = arms.contributions([1], arm: 0)
    #expect(parts.count == 2)
    expectNear(parts[1], effect)
  }

  @Test("no unit of features or rewards matters to linear policies")
  func units() {
    var world = LinearWorld(seed: 12)
    let examples = world.examples(300)
    var plain = LinearThompson(dimensions: 2)
    var scaled = plain
    for (features, arm, reward) in examples {
      plain.learn(features: features, arm: arm, reward: reward, propensity: 1)
      scaled.learn(
        features: features.map { $0 * 256 }, arm: arm, reward: reward * 64, propensity: 1)
    }
    plain.settle()
    scaled.settle()
    let context = world.context()
    let chances = zip(
      plain.probabilities(features: context, arms: 3),
      scaled.probabilities(features: context.map { $0 * 256 }, arms: 3))
    for (one, other) in chances { #expect((one - other).magnitude < 1e-4) }
  }

  @Test("the greatest of normal variables is found as often as draws say")
  func contest() {
    let (means, deviations) = ([0.0, 0.3, -1, 0.31], [1.0, 0.002, 2, 0])
    let chances = NormalContest.chances(means: means, deviations: deviations)
    var draws = Draws(seed: 2)
    var counts = [Double](repeating: 0, count: means.count)
    let rounds = 40_000
    for _ in 0..<rounds {
      let values = means.indices.map { means[$0] + deviations[$0] * draws.normal() }
      counts[values.firstIndex(of: values.max() ?? 0) ?? 0] += 1 / Double(rounds)
    }
    for index in means.indices {
      #expect((chances[index] - counts[index]).magnitude < 0.015, "\(chances) \(counts)")
    }
    let third = 1.0 / 3
    let equal = NormalContest.chances(means: [1, 1, 1], deviations: [0, 0, 0])
    #expect(equal == [third, third, third])
    #expect(NormalContest.chances(means: [1, 2], deviations: [0, 0]) == [0, 1])
  }

  @Test("chances by the inverse gap are never 0, and ever greedier")
  func inverseGap() {
    let mild = InverseGap.chances(means: [0.2, 0.5, 0.1], greed: 10)
    expectNear(mild[0], 1 / 6.0)
    expectNear(mild[2], 1 / 7.0)
    expectNear(mild[1], 1 - 1 / 6.0 - 1 / 7.0)
    let greedy = InverseGap.chances(means: [0.2, 0.5, 0.1], greed: 1_000)
    #expect(greedy.allSatisfy { $0 > 0 } && greedy[1] > 0.99)
  }
}

@Suite("Features of contexts")
struct FeatureSpaceTests {
  @Test("numbers, flags and texts have their features, whatever their order")
  func vector() {
    let space = FeatureSpace(dimensions: 4_096)
    let context: [(name: String, value: FeatureSpace.Value)] = [
      ("age", .number(41)), ("member", .flag(true)), ("device", .text("phone")),
      ("broken", .number(.nan)),
    ]
    let vector = space.vector(context)
    #expect(vector == space.vector(context.reversed()))
    #expect(vector[space.feature(of: "age")].magnitude == 41)
    #expect(vector[space.feature(of: "member")].magnitude == 1)
    #expect(vector[space.feature(of: "device", text: "phone")].magnitude == 1)
    #expect(vector.count { $0 != 0 } == 3)
  }

  @Test("features of names are for ever, for models and logs depend on them")
  func golden() {
    let space = FeatureSpace()
    #expect(space.dimensions == 64)
    #expect(
      [space.feature(of: "age"), space.feature(of: "device", text: "phone")] == [60, 50])
  }

  @Test("a text and a name that spell the same are two features")
  func separates() {
    let space = FeatureSpace(dimensions: 4_096)
    #expect(space.feature(of: "ab") != space.feature(of: "a", text: "b"))
    #expect(space.feature(of: "a", text: "bc") != space.feature(of: "ab", text: "c"))
  }
}
