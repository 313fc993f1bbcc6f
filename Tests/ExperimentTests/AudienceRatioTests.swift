import Oracles
import Ports
import Statistics
import Testing
import Views

@testable import Experiments

@Suite("Sample ratios by what is known of persons")
struct AudienceRatioTests {
  private static let minute: Int64 = 60_000_000
  private static let devices = ["desktop", "mobile", "tablet"]
  private static let countries = ["AT", "CH", "DE", "FR"]

  /// Persons of two variants, minute by minute, each of a device and a country.
  ///
  /// - Parameter share: of b, by device.
  private static func arrivals(
    minutes: Int, perMinute: Int, seed: UInt64, share: (_ minute: Int, _ device: String) -> Double
  ) -> [SampleRatioStep] {
    var random = SeededGenerator(seed: seed)
    var steps: [SampleRatioStep] = []
    for number in 0..<minutes {
      var counts: [[SampleRatioStep.Value]: [Int]] = [:]
      for _ in 0..<perMinute {
        let device = devices[random.below(3)]
        let values = [
          SampleRatioStep.Value("device", device),
          SampleRatioStep.Value("country", countries[random.below(4)]),
        ]
        let isB = Double(random.below(1_000_000)) / 1e6 < share(number, device)
        counts[values, default: [0, 0]][isB ? 1 : 0] += 1
      }
      for (values, visitors) in counts.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        steps.append(
          SampleRatioStep(
            start: Int64(number) * minute, values: values, visitors: visitors, probabilities: []))
      }
    }
    return steps
  }

  private static func experiment(_ epochs: [Experiment.Epoch]) -> Experiment {
    Experiment(id: "x", plan: ExperimentHistoryTests.plan, epochs: epochs, status: .running)
  }

  private static let halves = experiment([
    Experiment.Epoch(since: 0, shares: [500_000, 500_000])
  ])

  @Test("the device whose persons do not reach a variant is named, and the decision is distrust")
  func named() throws {
    let steps = Self.arrivals(minutes: 200, perMinute: 60, seed: 1) { $1 == "mobile" ? 0.4 : 0.5 }
    let ratio = try AudienceRatio(steps, of: Self.halves)
    // Those of each country are a little off by that too, which shows later.
    let failures = ratio.dimensions.failures
    let failure = try #require(failures.first)
    #expect(failure.name == "device=mobile" && failure.arm == 0 && failure.score > 5)
    #expect(failures.dropFirst().allSatisfy { $0.name.hasPrefix("country=") })
    var cohorts = SimulatedCohorts(seed: 2)
    cohorts.windows(200) { cohorts in
      cohorts.add("a", 30, click: 0.05)
      cohorts.add("b", 30, click: 0.05)
    }
    let results = try ExperimentAnalysis.results(
      of: Self.halves, cohorts.cohorts, arrivals: steps)
    #expect(results.sampleRatio.basis == .declared && results.sampleRatio.isMismatch)
    #expect(results.decision.action == .distrust)
    #expect(results.decision.reasons.contains { $0.contains("device=mobile") })
  }

  /// At most 0.25 % of experiments: of 400 one on average; six come with a chance of 0.06 %.
  @Test("where all are assigned as declared nobody is named, whenever one looks")
  func fair() throws {
    var alarms = 0
    for seed in 1...400 as ClosedRange<UInt64> {
      let steps = Self.arrivals(minutes: 60, perMinute: 40, seed: seed) { _, _ in 0.5 }
      alarms += try AudienceRatio(steps, of: Self.halves).dimensions.failures.isEmpty ? 0 : 1
    }
    #expect(alarms <= 5)
  }

  @Test("weights that change are followed, and the window in which they do counts nowhere")
  func epochs() throws {
    let change = 100 * Self.minute + 30_000_000
    let steps = Self.arrivals(minutes: 200, perMinute: 60, seed: 3) { minute, _ in
      minute < 100 ? 0.1 : minute == 100 ? 1 : 0.9
    }
    let experiment = Self.experiment([
      Experiment.Epoch(since: 0, shares: [900_000, 100_000]),
      Experiment.Epoch(since: change, shares: [100_000, 900_000]),
    ])
    #expect(try AudienceRatio(steps, of: experiment).dimensions.failures.isEmpty)
    // Without the change all of them are off.
    let unchanged = Self.experiment([Experiment.Epoch(since: 0, shares: [900_000, 100_000])])
    #expect(try AudienceRatio(steps, of: unchanged).dimensions.failures.count == 7)
  }
}
