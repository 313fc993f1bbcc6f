import Oracles
import Statistics
import Testing

@Suite("Verdicts")
struct ExperimentVerdictTests {
  private static func test(
    _ control: Double, _ treatment: Double, visitors: Int, seed: UInt64 = 4
  ) throws
    -> SequentialRateTest
  {
    var random = SeededGenerator(seed: seed)
    var test = SequentialRateTest(spending: try ErrorSpending())
    while test.control.visitors < visitors {
      try test.add(
        control: ArmCounts(visitors: 100, conversions: random.count(of: 100, control)),
        treatment: ArmCounts(visitors: 100, conversions: random.count(of: 100, treatment)))
    }
    return test
  }

  private static func monitor(_ visitors: [Int]) throws -> SampleRatioMonitor {
    var monitor = try SampleRatioMonitor(arms: 2)
    for _ in 0..<10 {
      try monitor.add(visitors: visitors, probabilities: [0.5, 0.5])
    }
    return monitor
  }

  @Test("reasons rule each other out in their order")
  func order() throws {
    let fair = try Self.monitor([1_000, 1_000])
    let wins = try Self.test(0.1, 0.15, visitors: 5_000)
    let loses = try Self.test(0.1, 0.06, visitors: 5_000)
    let open = try Self.test(0.1, 0.1, visitors: 500)
    let over = try Self.test(0.1, 0.1, visitors: 19_800, seed: 5)
    let harm = ExperimentVerdict.Guardrail(name: "retention", test: loses)
    var dimensions = try SampleRatioDimensions(arms: 2)
    try dimensions.add("device=phone", visitors: [900, 900], probabilities: [0.5, 0.5])
    try dimensions.add("device=tv", visitors: [600, 600], probabilities: [0.5, 0.5])
    for _ in 0..<20 {
      try dimensions.add("device=tv", visitors: [100, 300], probabilities: [0.5, 0.5])
    }
    let cases: [(ExperimentVerdict, ExperimentVerdict.Action, String)] = [
      (
        ExperimentVerdict(
          sampleRatio: try Self.monitor([1_000, 1_400]), primary: wins, guardrails: [harm]),
        .distrust, "arm 0 has 10000 where 12000 were due"
      ),
      (
        ExperimentVerdict(sampleRatio: fair, failures: dimensions.failures, primary: wins),
        .distrust,
        "visitors with device=tv do not reach"
      ),
      (
        ExperimentVerdict(sampleRatio: fair, primary: wins, guardrails: [harm]), .stopForHarm,
        "the treatment harms retention"
      ),
      (ExperimentVerdict(sampleRatio: fair, primary: wins), .takeTreatment, "is better"),
      (ExperimentVerdict(sampleRatio: fair, primary: loses), .keepControl, "is worse"),
      (
        ExperimentVerdict(sampleRatio: fair, primary: open, oddsRatioOfInterest: 1.3), .goOn,
        "no decision so far"
      ),
      (ExperimentVerdict(sampleRatio: fair, primary: over), .stopForFutility, "% chance"),
    ]
    for (verdict, action, words) in cases {
      #expect(verdict.action == action, "\(verdict.reasons)")
      #expect(verdict.reasons.first?.contains(words) == true, "\(verdict.reasons)")
    }
  }
}
