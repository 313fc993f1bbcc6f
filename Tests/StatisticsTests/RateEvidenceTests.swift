import Oracles
import Testing

@testable import Statistics

@Suite("Evidence of rates")
struct RateEvidenceTests {
  @Test(
    "an odds ratio's likelihood has the mean 1 over what equal arms may do",
    arguments: [(1, 1, 1), (3, 5, 4), (20, 10, 7), (200, 300, 90)])
  func martingale(m: Int, k: Int, s: Int) {
    let table = Hypergeometric(drawn: m, others: k, conversions: s)
    for theta in [-1.5, -0.3, -0.01, 0.05, 0.7, 1.5]
    // Beyond, what matters is in tails that the table does not have.
    where theta.magnitude * table.variance.squareRoot() < 3 {
      var mean = 0.0
      for (offset, probability) in table.probabilities.enumerated() {
        let x = table.low + offset
        let block = VisitorBlocks.Block(
          control: ArmCounts(visitors: k, conversions: s - x),
          treatment: ArmCounts(visitors: m, conversions: x))
        mean += probability * Elementary.exp(ConditionalOdds(block).log(theta))
      }
      #expect((mean - 1).magnitude < 1e-9, "\(theta): \(mean)")
    }
  }

  @Test("evidence of pairs in closed form has the mean 1 over fair coins")
  func pairs() {
    for discordant in [1, 2, 7, 40] {
      var mean = 0.0
      for wins in 0...discordant {
        let n = Double(discordant)
        let j = Double(wins)
        let ways = -GammaFunction.logBeta(j + 1, n - j + 1) - Elementary.log(n + 1)
        let value = RateEvidence.logValue(discordant: discordant, lead: 2 * wins - discordant)
        mean += Elementary.exp(ways - n * Elementary.ln2 + value)
      }
      #expect((mean - 1).magnitude < 1e-10)
    }
  }

  private static func run(
    control: Double, treatment: Double, visitors: Int, seed: UInt64,
    each: (RateEvidence) -> Void = { _ in }
  ) throws -> RateEvidence {
    var random = SeededGenerator(seed: seed)
    var evidence = RateEvidence()
    while evidence.control.visitors < visitors {
      try evidence.add(
        control: ArmCounts(visitors: 100, conversions: random.count(of: 100, control)),
        treatment: ArmCounts(visitors: 100, conversions: random.count(of: 100, treatment)))
      each(evidence)
    }
    return evidence
  }

  @Test("a p-value never rises, and a difference drives it down")
  func pValues() throws {
    var last = 1.0
    let evidence = try Self.run(control: 0.1, treatment: 0.13, visitors: 8_000, seed: 3) {
      #expect($0.pValue <= last)
      last = $0.pValue
    }
    #expect(evidence.pValue < 0.001)
    #expect(evidence.logValueOfMore > evidence.logValueOfLess)
  }

  @Test("of equal arms few have evidence of 20 at any time")
  func errors() throws {
    var positives = 0
    for seed in 0..<150 {
      let evidence = try Self.run(
        control: 0.2, treatment: 0.2, visitors: 3_000, seed: UInt64(seed) &* 13)
      positives += evidence.pValue <= 0.05 ? 1 : 0
    }
    // 5 % would be 7.5; 3 standard deviations more are 15.
    #expect(positives <= 15)
  }

  @Test("odds ratios that are not excluded cover the true one at all times together")
  func coverage() throws {
    let right = 0.25 / 0.75 / (0.2 / 0.8)
    var misses = 0
    for seed in 0..<60 {
      var isMissed = false
      _ = try Self.run(control: 0.2, treatment: 0.25, visitors: 2_000, seed: UInt64(seed) &+ 500) {
        let interval = $0.oddsRatios(alpha: 0.05)
        if interval.lower > right || interval.upper < right { isMissed = true }
      }
      misses += isMissed ? 1 : 0
    }
    #expect(misses <= 8)
    let evidence = try Self.run(control: 0.2, treatment: 0.25, visitors: 20_000, seed: 1)
    let interval = evidence.oddsRatios(alpha: 0.05)
    #expect(interval.lower > 1.15 && interval.upper < 1.55, "\(interval)")
  }

  @Test("nothing is excluded before anyone came")
  func nothing() {
    let evidence = RateEvidence()
    #expect(evidence.pValue == 1)
    #expect(evidence.oddsRatios(alpha: 0.05).lower == 0)
    #expect(evidence.oddsRatios(alpha: 0.05).upper == .infinity)
  }
}
