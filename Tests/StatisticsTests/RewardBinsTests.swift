import Oracles
import Testing

@testable import Statistics

@Suite("Sums of rewards")
struct RewardBinsTests {
  static let second: Int64 = 1_000_000
  static let now: Int64 = 1_763_978_400 * second

  /// A decision of a test, and its reward.
  struct Part {
    var arm: Int
    var time: Int64
    var reward: Int64
    var delay: Int64?
  }

  static func parts(_ random: inout SeededGenerator, count: Int, span: Int64) -> [Part] {
    (0..<count).map { _ in
      let isRewarded = random.once(in: 3)
      return Part(
        arm: random.below(3), time: now - random.time(upTo: span),
        reward: isRewarded ? 1 + random.time(upTo: RewardBins.one) : 0,
        delay: isRewarded ? random.time(upTo: 4_000 * second) : nil)
    }
  }

  static func add(_ part: Part, to sums: inout RewardBins, sign: Int64 = 1) {
    sums.add(arm: part.arm, time: part.time, reward: part.reward, delay: part.delay, sign: sign)
  }

  @Test(
    "whatever is added and taken back in whatever order, and whenever time is told, the sums are those of the rest"
  )
  func retracts() {
    for seed in 1...40 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed)
      let span = 10_000 * Self.second
      let memory = seed % 2 == 0 ? 6_000 * Self.second : 50_000 * Self.second
      let (kept, gone) = (
        Self.parts(&random, count: 200, span: span), Self.parts(&random, count: 100, span: span)
      )
      var expected = RewardBins(arms: 3, memory: memory)
      expected.advance(to: Self.now)
      for part in kept { Self.add(part, to: &expected) }

      var sums = RewardBins(arms: 3, memory: memory)
      for part in (kept + gone).shuffled(using: &random) {
        Self.add(part, to: &sums)
        if random.once(in: 5) { sums.advance(to: Self.now - random.time(upTo: span)) }
      }
      for part in gone.shuffled(using: &random) {
        Self.add(part, to: &sums, sign: -1)
        if random.once(in: 5) { sums.advance(to: Self.now - random.time(upTo: span)) }
      }
      sums.advance(to: Self.now)
      #expect(sums == expected, "seed \(seed)")
      #expect(sums.bins.map(\.start) == sums.bins.map(\.start).sorted())
    }
  }

  @Test(
    "bins are ten seconds long for at least twenty minutes, then ten minutes, and go with the memory"
  )
  func lengths() {
    var sums = RewardBins(arms: 1, memory: 7_200 * Self.second)
    for step in 0..<1_000 {
      let time = Self.now + Int64(step) * 10 * Self.second
      sums.advance(to: time)
      sums.add(arm: 0, time: time, reward: 0, delay: nil)
    }
    let now = sums.now
    for bin in sums.bins {
      let age = now - bin.start
      #expect(bin.start % bin.length == 0)
      if age < 1_200 * Self.second { #expect(bin.length == RewardBins.fine) }
      if age >= 1_800 * Self.second { #expect(bin.length == RewardBins.coarse) }
      #expect(age < 7_200 * Self.second + RewardBins.coarse)
    }
    #expect((720...780).contains(sums.totals[0].trials), "\(sums.totals[0].trials)")
    #expect(sums.bins.count < 200)
  }

  @Test(
    "the delay curve is the distribution of delays, though only those that have come are seen",
    arguments: [1, 2, 3])
  func delays(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let span = 40_000 * Self.second
    var sums = RewardBins(arms: 1, memory: 10 * span)
    sums.advance(to: Self.now)
    // Log-uniform from 10 s to 10,000 s.
    func delay() -> Double {
      10 * Elementary.exp(Double(random.below(1_000_000)) / 1e6 * Elementary.log(1_000))
    }
    for _ in 0..<8_000 {
      // Twice as many of late, as where traffic rises.
      let time = Self.now - random.time(upTo: random.once(in: 2) ? span : span / 2)
      let delay = Int64(delay() * 1e6)
      let hasCome = time + delay <= Self.now
      sums.add(
        arm: 0, time: time, reward: hasCome ? RewardBins.one : 0, delay: hasCome ? delay : nil)
    }
    let curve = DelayCurve(sums)
    for age in [5, 20, 60, 300, 1_000, 4_000, 9_000, 30_000] as [Double] {
      let truth = min(1, max(0, Elementary.log(age / 10) / Elementary.log(1_000)))
      let share = curve.share(at: Int64(age * 1e6))
      #expect((share - truth).magnitude < 0.03, "\(age): \(share), \(truth)")
    }
    #expect(curve.share(at: 0) == 0 && curve.share(at: -5) == 0 && curve.share(at: .max / 4) == 1)
  }

  @Test("while no reward has come nothing is held to be late")
  func noDelays() {
    var sums = RewardBins(arms: 2, memory: 1_000_000 * Self.second)
    sums.advance(to: Self.now)
    sums.add(arm: 0, time: Self.now - 60 * Self.second, reward: 0, delay: nil)
    #expect(DelayCurve(sums).share(at: 60 * Self.second) == 1)
    #expect(RewardEvidence(sums).totals.trials == [1, 0])
  }

  @Test("buckets of delays follow each other, from none to years")
  func buckets() {
    #expect(DelayCurve.bucket(-5) == 0 && DelayCurve.bucket(999_999) == 0)
    #expect(DelayCurve.bucket(1_000_000) == 1 && DelayCurve.bucket(.max) == 49)
    for bucket in 1..<DelayCurve.bucketCount - 1 {
      #expect(DelayCurve.bucket(DelayCurve.ends[bucket] - 1) == bucket)
      #expect(DelayCurve.bucket(DelayCurve.ends[bucket]) == bucket + 1)
    }
  }

  @Test("evidence fades with its age, or ends with its window")
  func fades() {
    var sums = RewardBins(arms: 1, memory: 1_000_000 * Self.second)
    sums.advance(to: Self.now)
    for hours in 1...10 as ClosedRange<Int64> {
      let time = Self.now - hours * 3_600 * Self.second
      sums.add(arm: 0, time: time, reward: RewardBins.one, delay: 0)
    }
    let window = RewardEvidence(sums, window: 5 * 3_600 * Self.second).totals
    #expect((4...5).contains(window.trials[0]) && window.rewards == window.trials)
    let fading = RewardEvidence(sums, fading: 3_600 * Self.second).totals
    // Σ e^−k from 1 on.
    #expect((fading.rewards[0] / 0.582 - 1).magnitude < 0.1, "\(fading.rewards)")
  }
}
