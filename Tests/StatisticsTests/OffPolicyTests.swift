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

  @Test(
    "the figures of the Open Bandit Pipeline are ours to 1e-6, and intervals cover the truth",
    .enabled(if: SharedData.folder != nil, SharedData.absent))
  func golden() throws {
    let tables = try OffPolicyQuality.measure(try #require(SharedData.folder))
    #expect(tables.count >= 3)
    for table in tables { #expect(table.isMet, "\(table.members)") }
  }
}
