import Oracles
import Statistics
import Testing

@Suite("Intervals of rates")
struct RateIntervalTests {
  /// `scipy.stats.beta.ppf`, with the ends that are set.
  @Test(
    "intervals of shares are those of the beta posterior, right at nothing and at all",
    arguments: [
      (0, 1, 0.0, 0.8532536836904248),
      (1, 1, 0.14674631630957513, 1.0),
      (0, 20, 0.0, 0.11663898290487539),
      (20, 20, 0.8833610170951246, 1.0),
      (1, 2, 0.06083027592009732, 0.9391697240799026),
      (1, 20, 0.005449032581426599, 0.2108186362492652),
      (3, 20, 0.04413134197515587, 0.348577710858454),
      (19, 20, 0.7891813637507349, 0.9945509674185734),
      (7, 1000, 0.003136359328135388, 0.013694460242354423),
      (30, 100000, 0.0002065248270799778, 0.00042235528449255545),
      (0, 1000000, 0.0, 2.5119393107467838e-06),
      (1, 1000000, 1.0789766246541867e-07, 4.6741920467298275e-06),
      (999999, 1000000, 0.9999953258079533, 0.9999998921023375),
      (480, 960, 0.4684110452877355, 0.5315889547122645),
      (499, 50000, 0.009136842901113705, 0.010879880787329068),
      (1000, 2000, 0.47810018999936277, 0.5218998100006372),
      (2500, 1000000, 0.0024035580764502906, 0.002599321699448877),
      (123456, 654321, 0.1877314089033264, 0.1896274136275318),
    ] as [(Int64, Int64, Double, Double)])
  func shares(part: Int64, whole: Int64, lower: Double, upper: Double) throws {
    let interval = try #require(RateInterval(part, of: whole))
    #expect(interval.rate == Double(part) / Double(whole))
    #expect((interval.lower - lower).magnitude <= 2e-9 * max(lower, 1e-6), "\(interval)")
    #expect((interval.upper - upper).magnitude <= 2e-9 * upper, "\(interval)")
  }

  /// `scipy.stats.gamma.ppf`.
  @Test(
    "what happens more often than once has the interval of a Poisson rate",
    arguments: [
      (2, 1, 0.41560580674333125, 6.4162509970150134),
      (11, 10, 0.584427596122622, 1.9037813625177902),
      (3000, 1000, 2.8940896751288996, 3.1088045853540143),
    ] as [(Int64, Int64, Double, Double)])
  func rates(part: Int64, whole: Int64, lower: Double, upper: Double) throws {
    let interval = try #require(RateInterval(part, of: whole))
    #expect((interval.lower - lower).magnitude <= 1e-9 * lower)
    #expect((interval.upper - upper).magnitude <= 1e-9 * upper)
  }

  @Test("nothing is known without trials, of negative counts, or of what happened without them")
  func nothing() {
    for (part, whole) in [(0, 0), (3, 0), (-1, 10), (1, -10)] as [(Int64, Int64)] {
      #expect(RateInterval(part, of: whole) == nil)
    }
  }

  @Test(
    "on average over rates the interval covers as much as it says", arguments: [5, 20, 80, 300])
  func coverage(trials: Int) throws {
    let intervals = try (0...trials).map {
      try #require(RateInterval(Int64($0), of: Int64(trials)))
    }
    let points = 2_000
    var covered = 0.0
    for point in 0..<points {
      let rate = (Double(point) + 0.5) / Double(points)
      for (part, interval) in intervals.enumerated()
      where interval.lower <= rate && rate <= interval.upper {
        let ways =
          GammaFunction.log(Double(trials + 1)) - GammaFunction.log(Double(part + 1))
          - GammaFunction.log(Double(trials - part + 1))
        covered += Elementary.exp(
          ways + Double(part) * Elementary.log(rate)
            + Double(trials - part) * Elementary.log1p(-rate))
      }
    }
    #expect((covered / Double(points) - RateInterval.mass).magnitude < 0.011)
  }

  @Test("the expansion of many agrees with the exact quantiles")
  func expansion() throws {
    for (part, whole) in [(500, 1_000), (501, 40_000), (90_000, 91_000), (5_000, 9_000_000)]
      as [(Int64, Int64)]
    {
      let interval = try #require(RateInterval(part, of: whole))
      let exact = BetaDistribution(Double(part) + 0.5, Double(whole - part) + 0.5).interval(0.95)
      let deviation = (exact.upper - exact.lower) / 4
      #expect((interval.lower - exact.lower).magnitude < 1e-6 * deviation)
      #expect((interval.upper - exact.upper).magnitude < 1e-6 * deviation)
    }
  }

  @Test("the interval of a difference holds it in nineteen of twenty tries", arguments: [0, 1])
  func difference(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var held = 0
    let tries = 4_000
    for _ in 0..<tries {
      let (a, b) = (0.02 + 0.5 * random.unit(), 0.02 + 0.5 * random.unit())
      let (n, m) = (200, 150)
      let now = try #require(RateInterval(Int64(random.count(of: n, a)), of: Int64(n)))
      let before = try #require(RateInterval(Int64(random.count(of: m, b)), of: Int64(m)))
      let difference = now.difference(from: before)
      #expect(difference.lower <= difference.estimate && difference.estimate <= difference.upper)
      if difference.lower <= a - b, a - b <= difference.upper { held += 1 }
    }
    let share = Double(held) / Double(tries)
    #expect(share > 0.94 && share < 0.965, "\(share)")
  }
}
