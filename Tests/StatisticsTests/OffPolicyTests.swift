import Statistics
import Testing

@testable import quality

@Suite("Off-policy estimates")
struct OffPolicyTests {
  private static let decisions = [
    LoggedDecision(reward: 1, propensity: 0.5, probability: 0.25, predicted: 0.5, expected: 0.4),
    LoggedDecision(reward: 0, propensity: 0.1, probability: 0.8, predicted: 0.25, expected: 0.3),
    LoggedDecision(reward: 1, propensity: 0.25, probability: 0.25, predicted: 1, expected: 0.2),
  ]

  @Test("each estimator is its formula")
  func formulas() throws {
    var estimates = try OffPolicyEstimates(switchThreshold: 5, shrinkage: 10)
    for decision in Self.decisions { try estimates.add(decision) }
    // Weights 0.5, 8 and 1; errors 0.5, −0.25 and 0.
    let direct = 0.3
    func isNear(_ a: Double, _ b: Double) -> Bool { (a - b).magnitude < 1e-12 }
    #expect(isNear(estimates.inversePropensity, 1.5 / 3))
    #expect(isNear(estimates.selfNormalized, 1.5 / 9.5))
    #expect(isNear(estimates.direct, direct))
    #expect(isNear(estimates.doublyRobust, direct + (0.25 - 2) / 3))
    #expect(isNear(estimates.selfNormalizedDoublyRobust, direct + (0.25 - 2) / 9.5))
    #expect(isNear(estimates.switchDoublyRobust, direct + 0.25 / 3))
    let shrunk = 0.5 * 10 / 10.25 * 0.5 - 8 * 10 / 74.0 * 0.25
    #expect(isNear(estimates.optimisticDoublyRobust, direct + shrunk / 3))
    #expect(isNear(estimates.effectiveCount, 9.5 * 9.5 / (0.25 + 64 + 1)))
  }

  @Test("parts are merged to the whole, and what is taken back was never there")
  func sums() throws {
    var whole = try OffPolicyEstimates()
    var first = whole
    var second = whole
    for (index, decision) in Self.decisions.enumerated() {
      try whole.add(decision)
      if index == 0 { try first.add(decision) } else { try second.add(decision) }
    }
    first.merge(second)
    #expect((first.doublyRobust - whole.doublyRobust).magnitude < 1e-15)
    #expect(first.count == whole.count)
    for decision in Self.decisions.dropFirst() { try whole.remove(decision) }
    var alone = try OffPolicyEstimates()
    try alone.add(Self.decisions[0])
    #expect(whole.count == 1)
    #expect((whole.doublyRobust - alone.doublyRobust).magnitude < 1e-12)
    #expect((whole.optimisticDoublyRobust - alone.optimisticDoublyRobust).magnitude < 1e-12)
  }

  @Test("a decision that can't have been logged is refused, with its field and what is allowed")
  func refusals() throws {
    var estimates = try OffPolicyEstimates()
    let wrong = [
      LoggedDecision(reward: 1, propensity: 0, probability: 0.5),
      LoggedDecision(reward: 1, propensity: 0.5, probability: 1.5),
      LoggedDecision(reward: .nan, propensity: 0.5, probability: 0.5),
    ]
    for decision in wrong {
      #expect(throws: OffPolicyError.self) { try estimates.add(decision) }
    }
    #expect(estimates == (try OffPolicyEstimates()))
    var sequence = try OffPolicySequence(weightMax: 2)
    #expect(throws: OffPolicyError.decision("weight", 5, allowed: "at most 2.0")) {
      try sequence.add(LoggedDecision(reward: 1, propensity: 0.1, probability: 0.5))
    }
    #expect(throws: OffPolicyError.self) { try OffPolicySequence(weightMax: 0) }
  }

  /// A log of three arms in two contexts, in which the policy under evaluation is mostly right.
  private struct Simulation {
    static let logging = [0.6, 0.3, 0.1]
    static let wanted = [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]
    let rates: [[Double]]
    var robust: DoublyRobustSequence
    var weighted: OffPolicySequence
    private var trials = [[1.0, 1, 1], [1.0, 1, 1]]
    private var earned: [[Double]]

    init(_ rates: [[Double]]) throws {
      self.rates = rates
      earned = rates.map { $0.map { _ in 0.5 } }
      robust = try DoublyRobustSequence(scale: 8)
      weighted = try OffPolicySequence(weightMax: 8)
    }

    var truth: Double {
      (0..<2).reduce(0) { sum, context in
        sum + zip(Self.wanted[context], rates[context]).reduce(0) { $0 + $1.0 * $1.1 } / 2
      }
    }

    mutating func step(_ draws: inout Draws) throws {
      let (context, luck) = (draws.unit() < 0.5 ? 0 : 1, draws.unit())
      let arm = luck < 0.6 ? 0 : luck < 0.9 ? 1 : 2
      let reward = draws.unit() < rates[context][arm] ? 1.0 : 0
      try robust.add(
        arm: arm, reward: reward, propensities: Self.logging, probabilities: Self.wanted[context],
        predicted: zip(earned[context], trials[context]).map { $0 / $1 })
      try weighted.add(
        LoggedDecision(
          reward: reward, propensity: Self.logging[arm], probability: Self.wanted[context][arm]))
      trials[context][arm] += 1
      earned[context][arm] += reward
    }
  }

  @Test(
    "intervals cover what the policy would earn at all looks together, with a model and without",
    arguments: [[[0.02, 0.05, 0.03], [0.04, 0.01, 0.02]], [[0.5, 0.6, 0.7], [0.8, 0.4, 0.5]]])
  func coverage(rates: [[Double]]) throws {
    var draws = Draws(seed: 4)
    var missed = (robust: 0, weighted: 0)
    var width = (robust: 0.0, weighted: 0.0)
    for _ in 0..<200 {
      var simulation = try Simulation(rates)
      for _ in 0..<2_000 { try simulation.step(&draws) }
      // Ends only come nearer: the last ones cover if all did.
      let truth = simulation.truth
      let (robust, weighted) = (simulation.robust, simulation.weighted)
      if robust.lower > truth || robust.upper < truth { missed.robust += 1 }
      if weighted.lower > truth || weighted.upper < truth { missed.weighted += 1 }
      width.robust += (robust.upper - robust.lower) / 200
      width.weighted += (weighted.upper - weighted.lower) / 200
    }
    // 1 in 20 at most: of 200 more than 18 come in one of 50 such tests.
    #expect(missed.robust <= 18 && missed.weighted <= 18, "\(missed)")
    // With the rare rewards the model says next to nothing.
    #expect(width.robust < (rates[0][0] < 0.1 ? 1.2 : 0.9) * width.weighted, "\(width)")
  }

  @Test("a lower bound needs no greatest number, and is never above the mean but seldom")
  func heavyTails() throws {
    var draws = Draws(seed: 8)
    var missed = 0
    var last = 0.0
    for _ in 0..<100 {
      var sequence = try LowerBoundSequence(alpha: 0.05, scale: 100)
      // 100 in one of 200, else 0: the mean is a half.
      for _ in 0..<20_000 { try sequence.add(draws.unit() < 0.005 ? 100 : 0) }
      if sequence.lower > 0.5 { missed += 1 }
      last += sequence.lower / 100
    }
    // 5 at most are to be expected; more than 12 come once in 300 such tests.
    #expect(missed <= 12, "\(missed)")
    #expect(last > 0.1, "\(last)")
    #expect(throws: OffPolicyError.self) { try LowerBoundSequence(alpha: 0) }
    #expect(throws: OffPolicyError.self) { try LowerBoundSequence(alpha: 0.1, scale: 0.5) }
    var sequence = try LowerBoundSequence(alpha: 0.1)
    #expect(throws: OffPolicyError.self) { try sequence.add(-0.1) }
    #expect(try sequence == LowerBoundSequence(alpha: 0.1))
  }

  @Test("an arm that was never shown makes intervals wider, and not wrong")
  func unshown() throws {
    var robust = try DoublyRobustSequence(scale: 2)
    var draws = Draws(seed: 2)
    for _ in 0..<4_000 {
      try robust.add(
        arm: 0, reward: draws.unit() < 0.5 ? 1 : 0, propensities: [1, 0],
        probabilities: [0.5, 0.5], predicted: [0.5, 0.9])
    }
    #expect(robust.lower > 0.15 && robust.lower < 0.25, "\(robust.lower)")
    #expect(robust.upper > 0.75 && robust.upper < 0.85, "\(robust.upper)")
    #expect(throws: OffPolicyError.self) {
      try robust.add(
        arm: 1, reward: 1, propensities: [1, 0], probabilities: [0, 1], predicted: [0, 0])
    }
  }

  @Test(
    "the figures of the Open Bandit Pipeline are ours to 1e-6, and intervals cover the truth",
    .enabled(if: SharedData.folder != nil, SharedData.absent))
  func golden() throws {
    let tables = try OffPolicyQuality.measure(try #require(SharedData.folder))
    #expect(tables.count >= 3)
    for table in tables { #expect(table.isMet, "\(table.members)") }
  }
}
