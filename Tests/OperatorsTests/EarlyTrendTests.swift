import Testing

@testable import Dataflow

@Suite("Early rows of trends")
struct EarlyTrendTests {
  @Test("come where something was counted, at most twice a second, and not where they are too many")
  func cadence() {
    var early = EarlyTrends()
    let most = EarlyTrends.sumCountMax
    // Whether something was counted before, log time, sums in state, and whether rows are due.
    let steps: [(Bool, Int64, Int, Bool)] = [
      (false, 0, 1, false), (true, 0, 1, true), (false, 10_000_000, 1, false),
      (true, 499_999, 1, false), (false, 500_000, most + 1, false), (false, 500_000, most, true),
      (false, 9_000_000, 1, false),
    ]
    for (index, step) in steps.enumerated() {
      if step.0 { early.counted() }
      let isDue = early.take(at: step.1, sumCount: step.2)
      #expect(isDue == step.3, "step \(index)")
    }
  }
}
