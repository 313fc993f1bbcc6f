import Oracles
import Ports
import Statistics
import Testing
import Views

@testable import Experiments

@Suite("Sample ratios by logged chances")
struct LoggedRatioTests {
  private static let windows = 60

  /// A bandit that moves from 30 % for b to 80 %: who it assigned, with its chances.
  ///
  /// - Parameter lost: of the persons who get b, the share that is never seen.
  private static func bandit(
    lost: Double, seed: UInt64
  ) -> (cohorts: SimulatedCohorts, steps: [SampleRatioStep]) {
    var random = SeededGenerator(seed: seed)
    var cohorts = SimulatedCohorts(seed: seed)
    var steps: [SampleRatioStep] = []
    var window = 0
    cohorts.windows(windows) { cohorts in
      let chance = 0.3 + 0.5 * Double(window) / Double(windows)
      window += 1
      var visitors = [0, 0]
      for _ in 0..<400 {
        let isB = Double(random.below(1_000_000)) / 1e6 < chance
        if isB, Double(random.below(1_000_000)) / 1e6 < lost { continue }
        visitors[isB ? 1 : 0] += 1
      }
      cohorts.rows.append(
        ExperimentCohort(
          start: cohorts.next, variant: "a",
          exposures: Exposures(persons: Int64(visitors[0]), clickers: Int64(visitors[0] / 10))))
      cohorts.rows.append(
        ExperimentCohort(
          start: cohorts.next, variant: "b",
          exposures: Exposures(persons: Int64(visitors[1]), clickers: Int64(visitors[1] / 10))))
      steps.append(
        SampleRatioStep(
          start: cohorts.next, values: [SampleRatioStep.Value("channel", "mail")],
          visitors: visitors, probabilities: [1 - chance, chance]))
    }
    return (cohorts, steps)
  }

  private static func results(
    _ cohorts: SimulatedCohorts, _ steps: [SampleRatioStep]
  ) throws -> ExperimentResults {
    try ExperimentAnalysis.results(of: cohorts.experiment(), cohorts.cohorts, arrivals: steps)
  }

  @Test(
    "a bandit's changing chances are no mismatch by what it logs, and are one by declared weights")
  func bandit() throws {
    var alarms = 0
    for seed in 1...200 as ClosedRange<UInt64> {
      let (cohorts, steps) = Self.bandit(lost: 0, seed: seed)
      let logged = try Self.results(cohorts, steps)
      #expect(logged.sampleRatio.basis == .logged)
      alarms += logged.sampleRatio.isMismatch ? 1 : 0
      guard seed == 1 else { continue }
      #expect(logged.decision.action != .distrust)
      let declared = try Self.results(cohorts, [])
      #expect(declared.sampleRatio.basis == .declared && declared.sampleRatio.isMismatch)
      #expect(declared.decision.action == .distrust)
    }
    // In 1 % at most; six of 200 come with a chance of 2 %.
    #expect(alarms <= 5)
  }

  @Test("persons who are lost behind a variant are found, and the channel is named")
  func lost() throws {
    let (cohorts, steps) = Self.bandit(lost: 0.1, seed: 3)
    let results = try Self.results(cohorts, steps)
    #expect(results.sampleRatio.basis == .logged && results.sampleRatio.isMismatch)
    #expect(results.decision.action == .distrust)
    #expect(results.sampleRatio.failures.map(\.name) == ["channel=mail"])
  }

  @Test("chances that few persons say are no check of the others")
  func few() throws {
    let (cohorts, steps) = Self.bandit(lost: 0, seed: 5)
    let results = try Self.results(cohorts, Array(steps.prefix(Self.windows / 4)))
    #expect(results.sampleRatio.basis == .declared)
  }
}
