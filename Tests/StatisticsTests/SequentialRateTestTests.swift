import Oracles
import Testing

@testable import Statistics

@Suite("Sequential tests of rates")
struct SequentialRateTestTests {
  @Test(
    "conversions of a block fall to an arm as Fisher's exact distribution says",
    arguments: [(3, 5, 4), (8, 8, 1), (1, 9, 5), (40, 60, 70), (2, 2, 4), (500, 300, 9)])
  func hypergeometric(m: Int, k: Int, s: Int) {
    func ways(_ n: Int, _ j: Int) -> Double {
      -GammaFunction.logBeta(Double(j + 1), Double(n - j + 1)) - Elementary.log(Double(n + 1))
    }
    let table = Hypergeometric(drawn: m, others: k, conversions: s)
    var mean = 0.0
    var second = 0.0
    for (offset, probability) in table.probabilities.enumerated() {
      let x = table.low + offset
      let right = Elementary.exp(ways(m, x) + ways(k, s - x) - ways(m + k, s))
      #expect((probability - right).magnitude < 1e-12)
      mean += probability * Double(x)
      second += probability * Double(x * x)
    }
    #expect((mean - table.mean).magnitude < 1e-10)
    #expect((second - mean * mean - table.variance).magnitude < 1e-8)
  }

  @Test("error is spent along visitors and information, never falls, and comes to α")
  func spending() throws {
    let spending = try ErrorSpending(alpha: 0.05, plan: 20_000)
    #expect(spending.spent(at: 0) == 0)
    #expect(spending.spent(at: 20) == 0)
    #expect((spending.spent(at: 20_000) - 0.042).magnitude < 1e-12)
    // A tenth of what is left.
    #expect((spending.spent(at: 20_000, information: 50) - 0.0428).magnitude < 1e-12)
    #expect((spending.spent(at: 0, information: 1e9) - 0.005).magnitude < 1e-12)
    #expect(spending.spent(at: 20_000, information: 5) == spending.spent(at: 20_000))
    #expect((spending.spent(at: 1e40) - 0.05).magnitude < 1e-6)
    var last = 0.0
    var visitors = 10.0
    while visitors < 1e9 {
      let spent = spending.spent(at: visitors, information: visitors / 10)
      #expect(spent >= last && spent <= 0.05)
      #expect(spent >= spending.spent(at: visitors))
      last = spent
      visitors *= 1.1
    }
    #expect(throws: ExperimentError.self) { try ErrorSpending(alpha: 0) }
    #expect(throws: ExperimentError.self) { try ErrorSpending(plan: 10) }
  }

  /// How often equal arms are found to differ, at a rate that wanders and an allocation that changes.
  private static func falsePositives(
    runs: Int, seed: UInt64, rate: Double, plan: Double = 10_000
  ) throws -> Int {
    var positives = 0
    for run in 0..<runs {
      var random = SeededGenerator(seed: seed &+ UInt64(run) &* 0x9e37)
      var test = SequentialRateTest(spending: try ErrorSpending(alpha: 0.2, plan: plan))
      var now = rate
      var share = 0.5
      while test.control.visitors + test.treatment.visitors < 20_000, test.decision == nil {
        now = min(0.9, max(rate / 4, now * (0.9 + 0.2 * random.unit())))
        share = min(0.9, max(0.1, share + 0.1 * (random.unit() - 0.5)))
        let size = 1 + Int(60 * random.unit())
        let treated = random.count(of: size, share)
        try test.add(
          control: ArmCounts(
            visitors: size - treated, conversions: random.count(of: size - treated, now)),
          treatment: ArmCounts(visitors: treated, conversions: random.count(of: treated, now)))
      }
      #expect(
        test.errorSpent <= test.spending.spent(
          at: test.visitors, information: test.information) + 1e-12)
      positives += test.decision == nil ? 0 : 1
    }
    return positives
  }

  @Test(
    "equal arms differ no more often than α, whatever rate and allocation do",
    arguments: [0.01, 0.3])
  func errors(rate: Double) throws {
    // Of 600 at 20 % all told, 16.4 % by the plan: 3 standard deviations above are 126.
    let positives = try Self.falsePositives(runs: 600, seed: 17, rate: rate)
    #expect(positives <= 126, "\(positives)")
    // It would be far too careful otherwise.
    #expect(positives >= 60, "\(positives)")
  }

  @Test("nor do they by a plan of a few hundred visitors", arguments: [100.0, 500])
  func smallPlans(plan: Double) throws {
    let positives = try Self.falsePositives(runs: 300, seed: 18, rate: 0.3, plan: plan)
    // Of 300 at 20 % 60, and 3 standard deviations above are 81.
    #expect(positives <= 81, "\(positives)")
    #expect(positives >= 20, "\(positives)")
    let spending = try ErrorSpending(alpha: 0.05, plan: plan)
    var last = 0.0
    for visitors in stride(from: 31.0, to: 20_000, by: 7) {
      let spent = spending.spent(at: visitors)
      #expect(spent >= last && spent <= 0.05)
      last = spent
    }
  }

  @Test("a difference of a fifth at a rate of 10 % is found in some 4,300 visitors of each arm")
  func power() throws {
    var sum = 0.0
    for run in 0..<100 {
      var random = SeededGenerator(seed: UInt64(run) &* 31 &+ 7)
      var test = SequentialRateTest(spending: try ErrorSpending())
      while test.decision == nil, test.control.visitors < 20_000 {
        try test.add(
          control: ArmCounts(visitors: 20, conversions: random.count(of: 20, 0.1)),
          treatment: ArmCounts(visitors: 20, conversions: random.count(of: 20, 0.12)))
      }
      #expect(test.decision == .treatmentIsBetter)
      sum += test.decidedAt ?? 20_000
    }
    // The deviation of a mean of 100 is some 250.
    #expect((3_400...5_100).contains(sum / 100), "\(sum / 100)")
  }

  @Test("arms that are swapped give the opposite decision at the same time")
  func symmetry() throws {
    var random = SeededGenerator(seed: 5)
    var one = SequentialRateTest(spending: try ErrorSpending())
    var other = one
    while one.decision == nil {
      let control = ArmCounts(visitors: 9, conversions: random.count(of: 9, 0.2))
      let treatment = ArmCounts(visitors: 9, conversions: random.count(of: 9, 0.3))
      try one.add(control: control, treatment: treatment)
      try other.add(control: treatment, treatment: control)
    }
    #expect(one.decision == .treatmentIsBetter)
    #expect(other.decision == .treatmentIsWorse)
    #expect(one.decidedAt == other.decidedAt)
    #expect((one.score + other.score).magnitude < 1e-9)
    let odds = one.oddsRatio
    #expect(odds.lower > 0.99 && odds.lower < odds.estimate && odds.estimate < odds.upper)
  }

  @Test("a first step as large as an experiment is decided as it stands")
  func oneStep() throws {
    var test = SequentialRateTest(spending: try ErrorSpending())
    try test.add(
      control: ArmCounts(visitors: 1_000_000, conversions: 50_000),
      treatment: ArmCounts(visitors: 500_000, conversions: 26_500))
    #expect(test.decision == .treatmentIsBetter)
    #expect(test.errorSpent < 0.05)
  }

  @Test("impossible counts are refused with their arm")
  func refusals() throws {
    var test = SequentialRateTest(spending: try ErrorSpending())
    #expect(throws: ExperimentError.counts(arm: "treatment", visitors: 3, conversions: 4)) {
      try test.add(
        control: ArmCounts(visitors: 3, conversions: 1),
        treatment: ArmCounts(visitors: 3, conversions: 4))
    }
  }
}
