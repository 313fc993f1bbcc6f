import Testing

@testable import Dataflow

@Suite("Early rows of trends")
struct EarlyTrendTests {
  @Test("come where something was counted, with every commit while they are few")
  func cadence() {
    var early = EarlyTrends()
    // Whether something was counted before, log time, tuples in state, and whether rows are due.
    let steps: [(Bool, Int64, Int, Bool)] = [
      (false, 0, 1, false), (true, 0, 1, true), (false, 10_000_000, 1, false),
      (true, 49_999, 1, false), (false, 50_000, 2000, true), (true, 100_000, 2000, false),
      (false, 110_000, 2000, true), (false, 9_000_000, 1, false),
    ]
    for (index, step) in steps.enumerated() {
      if step.0 { early.counted() }
      let isDue = early.take(at: step.1, rowCount: step.2)
      #expect(isDue == step.3, "step \(index)")
    }
  }

  @Test("are at most 100 ms apart up to three thousand tuples, and take a fifth of the time beyond")
  func cost() {
    #expect(EarlyTrends.interval(rowCount: 0) == 50_000)
    #expect(EarlyTrends.interval(rowCount: 3000) <= 100_000)
    for rowCount in [5_000, 50_000] {
      let interval = EarlyTrends.interval(rowCount: rowCount)
      #expect(interval == Int64(rowCount) * EarlyTrends.rowCost * EarlyTrends.share)
    }
  }

  @Test("are not written of more tuples than a commit takes in half a second")
  func many() {
    var early = EarlyTrends()
    early.counted()
    let tooMany = early.take(at: 0, rowCount: EarlyTrends.rowCountMax + 1)
    let most = early.take(at: 0, rowCount: EarlyTrends.rowCountMax)
    #expect(!tooMany && most)
  }

  @Test("wait where the commit has many final ones")
  func besideFinals() {
    var early = EarlyTrends()
    early.counted()
    early.wrote(10_000, at: 0)
    let before = early.take(at: 299_999, rowCount: 1)
    let then = early.take(at: 300_000, rowCount: 1)
    #expect(!before && then)
    early.counted()
    early.wrote(0, at: 9_000_000)
    let beside = early.take(at: 9_000_000, rowCount: 1)
    #expect(beside)
  }
}
