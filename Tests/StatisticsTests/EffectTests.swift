import Oracles
import Statistics
import Testing

@Suite("Effects")
struct EffectTests {
  @Test("before-and-after data of the same people takes out variance and no effect")
  func regressionAdjustment() throws {
    var random = SeededGenerator(seed: 8)
    var arms = [JointMoments(), JointMoments()]
    for _ in 0..<20_000 {
      let before = 10 * random.unit()
      let arm = random.happens(0.5) ? 1 : 0
      arms[arm].add(before + random.unit() + 0.1 * Double(arm), before)
    }
    let adjusted = RegressionAdjustment.arms(control: arms[0], treatment: arms[1])
    let plain = try #require(
      Effect(
        control: ArmSummary(arms[0].first), treatment: ArmSummary(arms[1].first), scale: .absolute))
    let effect = try #require(
      Effect(control: adjusted.control, treatment: adjusted.treatment, scale: .absolute))
    #expect((effect.estimate - 0.1).magnitude < 0.015)
    #expect(effect.standardError < plain.standardError / 8)
  }

  @Test("strata tell apart what a changed allocation mixes up")
  func simpson() throws {
    // The treatment is worse in both epochs, and got most visitors of the good one.
    func arm(_ visitors: Int, _ rate: Double) -> ArmSummary {
      ArmSummary(ArmCounts(visitors: visitors, conversions: Int(Double(visitors) * rate)))
    }
    let strata = [
      (control: arm(9_000, 0.10), treatment: arm(1_000, 0.09)),
      (control: arm(1_000, 0.30), treatment: arm(9_000, 0.28)),
    ]
    let stratified = try #require(Stratification(strata))
    #expect(stratified.isReversed)
    #expect(stratified.coverage == 1)
    let effect = try #require(
      Effect(control: stratified.control, treatment: stratified.treatment, scale: .absolute))
    #expect((effect.estimate + 0.015).magnitude < 1e-9)
    let one = try #require(Stratification([strata[0]]))
    let plain = try #require(
      Effect(control: strata[0].control, treatment: strata[0].treatment, scale: .absolute))
    let same = try #require(
      Effect(control: one.control, treatment: one.treatment, scale: .absolute))
    #expect((plain.standardError - same.standardError).magnitude < 1e-12)
    #expect(Stratification([(control: arm(10, 0.1), treatment: arm(0, 0))]) == nil)
  }

  @Test("power and size of a fixed test are each other's inverse and the textbook's")
  func fixedSize() {
    // Fleiss: 10 % against 12 %, 80 % power at 5 %: 3,841 of each arm without correction.
    let size = FixedSampleSize.visitorsPerArm(
      control: 0.1, treatment: 0.12, power: 0.8, alpha: 0.05)
    #expect((3_835...3_845).contains(size), "\(size)")
    let power = FixedSampleSize.power(
      control: 0.1, treatment: 0.12, visitorsPerArm: size, alpha: 0.05)
    #expect((power - 0.8).magnitude < 1e-3)
    #expect(
      (FixedSampleSize.power(control: 0.1, treatment: 0.1, visitorsPerArm: 100, alpha: 0.05) - 0.05)
        .magnitude < 1e-12)
  }

  @Test("beliefs of rates are those of their beta posteriors")
  func rates() throws {
    // One conversion of one against none of one, uniform priors: P(B > A) = 5/6.
    let small = try BayesianRates(
      control: ArmCounts(visitors: 1, conversions: 0),
      treatment: ArmCounts(visitors: 1, conversions: 1), prior: BetaDistribution(1, 1))
    #expect((small.chanceToWin - 5.0 / 6).magnitude < 1e-9, "\(small.chanceToWin)")
    // E[(B − A)⁺] − E[(A − B)⁺] is the difference of means.
    #expect((small.lossOfControl - small.lossOfTreatment - 1.0 / 3).magnitude < 1e-9)
    let even = try BayesianRates(
      control: ArmCounts(visitors: 1_000, conversions: 3),
      treatment: ArmCounts(visitors: 1_000, conversions: 3))
    #expect((even.chanceToWin - 0.5).magnitude < 1e-9)
    let large = try BayesianRates(
      control: ArmCounts(visitors: 100_000, conversions: 5_000),
      treatment: ArmCounts(visitors: 100_000, conversions: 5_200))
    // The normal approximation: 2.03 standard deviations.
    #expect((large.chanceToWin - 0.9790).magnitude < 2e-3, "\(large.chanceToWin)")
    #expect(large.lossOfTreatment < 2e-5)
  }

  @Test("a sequence of bounded numbers covers their mean at all times together")
  func sequences() throws {
    var misses = (betting: 0, bernstein: 0)
    for seed in 0..<60 {
      var random = SeededGenerator(seed: UInt64(seed) &* 3 &+ 11)
      var betting = try BettingSequence(breaks: 200)
      var bernstein = try EmpiricalBernsteinSequence()
      var isMissed = (betting: false, bernstein: false)
      for _ in 0..<400 {
        let x = random.unit() * random.unit()
        try betting.add(x)
        try bernstein.add(x)
        let one = betting.interval
        let other = bernstein.interval
        if one.lower > 0.25 || one.upper < 0.25 { isMissed.betting = true }
        if other.lower > 0.25 || other.upper < 0.25 { isMissed.bernstein = true }
      }
      misses.betting += isMissed.betting ? 1 : 0
      misses.bernstein += isMissed.bernstein ? 1 : 0
      #expect(betting.interval.upper - betting.interval.lower < 0.2)
    }
    // 3 of 60 are due at most; 3 standard deviations more are 8.
    #expect(misses.betting <= 8 && misses.bernstein <= 8)
  }
}
