import Testing

@testable import Statistics
@testable import quality

@Suite("Kernel bandit")
struct KernelGapBanditTests {
  @Test("products of random features are the kernel")
  func kernel() {
    let features = RandomFeatures(dimensions: 3, count: 1_024, width: 2)
    var luck = SplitMix64(seed: 1)
    for _ in 0..<20 {
      let one = (0..<3).map { _ in luck.unit() * 4 - 2 }
      let other = (0..<3).map { _ in luck.unit() * 4 - 2 }
      var (first, second): ([SIMD4<Double>], [SIMD4<Double>]) = ([], [])
      features.append(one, to: &first)
      features.append(other, to: &second)
      let product = zip(first, second).reduce(0.0) { $0 + ($1.0 * $1.1).sum() }
      let distance = zip(one, other).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      #expect((product - Elementary.exp(-distance / 8)).magnitude < 0.1)
    }
  }

  @Test("a cosine of turns is one")
  func cosine() {
    let turns = SIMD4<Double>(0, 0.25, -7.5, 1_000.125)
    let wanted = SIMD4<Double>(1, 0, -1, 0.5.squareRoot())
    let distance = RandomFeatures.cosine(ofTurns: turns) - wanted
    for lane in 0..<4 { #expect(distance[lane].magnitude < 1e-7) }
  }

  @Test("an example at a time comes to the solution of the normal equations")
  func recursiveRidge() {
    var luck = SplitMix64(seed: 2)
    let ridge = 0.3
    var model = RecursiveRidge(fours: 3, ridge: ridge)
    var rows: [(x: [SIMD4<Double>], target: Double)] = []
    for _ in 0..<40 {
      let x = (0..<3).map { _ in
        SIMD4(luck.unit(), luck.unit() - 1, luck.unit() * 3, luck.unit() - 0.5)
      }
      let target = x[0][0] - 2 * x[1][2] + luck.unit()
      rows.append((x, target))
      model.learn(x, target: target)
    }
    // The gradient of Σ (target − wx)² + ridge w² is 0.
    for column in 0..<12 {
      var gradient = ridge * model.weights[column / 4][column % 4]
      for row in rows {
        gradient += (model.predict(row.x) - row.target) * row.x[column / 4][column % 4]
      }
      #expect(gradient.magnitude < 1e-8, "\(column)")
    }
  }

  /// The best of two arms is where the signs of two features are alike, and the other one elsewhere.
  private static func crossed(
    _ policy: inout some ContextualPolicy, decisions: Int
  ) -> (early: Int, late: Int) {
    var luck = SplitMix64(seed: 5)
    var draws = Draws(seed: 6)
    var errors = (early: 0, late: 0)
    for number in 0..<decisions {
      let context = [luck.unit() * 2 - 1, luck.unit() * 200 - 100]
      let best = (context[0] > 0) == (context[1] > 0) ? 0 : 1
      let chances = policy.probabilities(features: context, arms: 2)
      let arm = draws.index(weights: chances)
      if arm != best {
        if number < decisions / 2 { errors.early += 1 } else { errors.late += 1 }
      }
      policy.learn(
        features: context, arm: arm, reward: arm == best ? 1 : 0, propensity: chances[arm])
    }
    return errors
  }

  @Test("learns what no weighted sum of features can tell")
  func crossed() {
    var kernel = KernelGapBandit(dimensions: 2, kernelFeatures: 64)
    let errors = Self.crossed(&kernel, decisions: 1_200)
    #expect(errors.late < 60, "\(errors)")
    #expect(errors.late < errors.early, "\(errors)")
  }

  @Test("the same examples make the same model, also from a copy on the way")
  func snapshots() {
    var luck = SplitMix64(seed: 3)
    let examples = (0..<200).map { number in
      (features: [luck.unit(), luck.unit() * 1_000], arm: number % 3, reward: luck.unit())
    }
    func learn(_ policy: inout KernelGapBandit, _ range: Range<Int>) {
      for example in examples[range] {
        policy.learn(
          features: example.features, arm: example.arm, reward: example.reward, propensity: 0.5)
      }
    }
    var whole = KernelGapBandit(dimensions: 2, kernelFeatures: 16)
    learn(&whole, 0..<200)
    var start = KernelGapBandit(dimensions: 2, kernelFeatures: 16)
    learn(&start, 0..<77)
    var copy = start
    learn(&copy, 77..<200)
    #expect(copy == whole)
    #expect(start != whole)
  }

  @Test("units of features don't matter, nor do features that never differ")
  func units() {
    var plain = KernelGapBandit(dimensions: 3, kernelFeatures: 16)
    var scaled = plain
    var luck = SplitMix64(seed: 4)
    for number in 0..<100 {
      let (one, other) = (luck.unit(), luck.unit())
      let arm = number % 2
      let reward = (one > 0.5) == (arm == 0) ? 1.0 : 0
      plain.learn(features: [one, other, 0], arm: arm, reward: reward, propensity: 0.5)
      scaled.learn(features: [one * 1_024, other, 7], arm: arm, reward: reward, propensity: 0.5)
    }
    let one = plain.predictions([0.3, 0.4, 0], arms: 3)
    let other = scaled.predictions([0.3 * 1_024, 0.4, 7], arms: 3)
    for (left, right) in zip(one, other) { #expect((left - right).magnitude < 1e-9) }
  }
}

/// What the table of the quality page says, on what can be learned in a test's time.
@Suite(
  "Quality of contextual bandits", .enabled(if: SharedData.folder != nil, SharedData.absent))
struct ContextualQualityTests {
  @Test(
    "poisonous mushrooms are told from others with at most 30 errors in 600, learning on the way")
  func mushrooms() throws {
    let folder = try #require(SharedData.folder)
    let set = try #require(
      try ClassificationSet.all(below: folder).first { $0.name == "mushroom" })
    #expect(set.classes == 2)
    let policy = KernelGapBandit(dimensions: set.dimensions)
    #expect(set.prefix(600).error(of: policy, seed: 0) <= 0.05)
  }
}
