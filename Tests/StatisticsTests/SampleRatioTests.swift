import Oracles
import Statistics
import Testing

@Suite("Sample ratio")
struct SampleRatioTests {
  /// Whether it alarms by so many steps of 200 visitors.
  private static func alarm(
    _ seed: UInt64, steps: Int, weights: (inout SeededGenerator) -> [Double],
    real: ([Double]) -> [Double]
  ) throws -> Int? {
    var random = SeededGenerator(seed: seed)
    var monitor = try SampleRatioMonitor(arms: 3)
    for step in 1...steps {
      let logged = weights(&random)
      let shares = real(logged)
      let total = shares.reduce(0, +)
      var counts = [0, 0, 0]
      for _ in 0..<200 {
        let unit = random.unit() * total
        counts[unit < shares[0] ? 0 : unit < shares[0] + shares[1] ? 1 : 2] += 1
      }
      try monitor.add(visitors: counts, probabilities: logged)
      if monitor.isMismatch { return step * 200 }
    }
    return nil
  }

  @Test(
    "an allocation that is kept to alarms in one of a hundred at most, under changing weights too")
  func falseAlarms() throws {
    var alarms = 0
    for seed in 0..<200 {
      let at = try Self.alarm(UInt64(seed), steps: 250) { random in
        (0..<3).map { _ in 0.2 + random.unit() }
      } real: {
        $0
      }
      alarms += at == nil ? 0 : 1
    }
    // 2 are due at most; 3 standard deviations more are 6.
    #expect(alarms <= 6)
  }

  @Test("an arm that loses a twentieth of its visitors is found, whatever the weights do")
  func losses() throws {
    for seed in 0..<20 {
      let at = try Self.alarm(UInt64(seed) &+ 100, steps: 1_000) { random in
        (0..<3).map { _ in 0.2 + random.unit() }
      } real: {
        [$0[0], $0[1] * 0.95, $0[2]]
      }
      #expect(try #require(at) <= 200_000)
    }
  }

  @Test("an arm that can't get visitors and does is found at once, and the worst arm is named")
  func impossible() throws {
    var monitor = try SampleRatioMonitor(arms: 3)
    try monitor.add(visitors: [50, 50, 0], probabilities: [1, 1, 0])
    #expect(!monitor.isMismatch)
    try monitor.add(visitors: [0, 0, 1], probabilities: [1, 1, 0])
    #expect(monitor.isMismatch)
    var other = try SampleRatioMonitor(arms: 2)
    try other.add(visitors: [900, 1_100], probabilities: [0.5, 0.5])
    #expect(other.worstArm.arm == 0 || other.worstArm.arm == 1)
    #expect((other.worstArm.score.magnitude - 100 / 500.0.squareRoot()).magnitude < 1e-9)
  }

  @Test("the dimension at fault is named, and none where the allocation is kept to")
  func dimensions() throws {
    var random = SeededGenerator(seed: 3)
    var dimensions = try SampleRatioDimensions(arms: 2, valuesMax: 12)
    for step in 0..<400 {
      for value in 0..<12 {
        let share = value == 7 ? 0.4 : 0.5
        let first = random.count(of: 50, share)
        try dimensions.add(
          "browser=\(value)", visitors: [first, 50 - first], probabilities: [0.5, 0.5])
      }
      if step == 0 { #expect(dimensions.failures.isEmpty) }
    }
    #expect(dimensions.failures.map(\.name) == ["browser=7"])
    #expect(try #require(dimensions.failures.first).score.magnitude > 5)
    try dimensions.add("browser=12", visitors: [1, 1], probabilities: [0.5, 0.5])
    #expect(dimensions.unwatched == 1)
  }

  @Test("arms and probabilities that do not fit are refused")
  func refusals() throws {
    var monitor = try SampleRatioMonitor(arms: 2)
    #expect(throws: ExperimentError.armCount(3, expected: 2)) {
      try monitor.add(visitors: [1, 2, 3], probabilities: [1, 1])
    }
    for probabilities in [[0.0, 0], [-1, 2], [.nan, 1]] {
      #expect(throws: ExperimentError.self) {
        try monitor.add(visitors: [1, 1], probabilities: probabilities)
      }
    }
    #expect(throws: ExperimentError.self) { try SampleRatioMonitor(arms: 1) }
  }
}
