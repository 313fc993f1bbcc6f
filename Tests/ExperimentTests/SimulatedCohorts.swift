import Oracles
import Ports
import Views

@testable import Experiments

/// Cohorts of persons who do what a test says, window by window.
struct SimulatedCohorts {
  static let outcomeWindow: Int64 = 3_600_000_000

  var random: SeededGenerator
  var rows: [ExperimentCohort] = []
  let plan: ExperimentPlan
  private(set) var next: Int64 = 0

  init(seed: UInt64, plan: ExperimentPlan = ExperimentHistoryTests.plan) {
    random = SeededGenerator(seed: seed)
    self.plan = plan
  }

  mutating func happens(_ chance: Double) -> Bool {
    Double(random.next() >> 11) * 0x1p-53 < chance
  }

  /// One window of a variant's persons, of which each clicks and converts at these chances; who converts engages too,
  /// reaches the goals, and looks on for a tenth of a second for each ten cents.
  mutating func add(
    _ variant: String, _ persons: Int, click: Double, convert: Double = 0.02,
    cents: (inout SeededGenerator) -> Int64 = { _ in 1_000 }, channel: String = "",
    traffic: String = ""
  ) {
    var exposures = Exposures(persons: Int64(persons))
    var money = Exposures()
    var actions = CohortActions(goals: plan.goals.map { _ in 0 })
    for _ in 0..<persons {
      if happens(click) { exposures.clickers += 1 }
      guard happens(convert) else { continue }
      exposures.converters += 1
      let amount = cents(&random)
      let tenths = min(amount / 10, CohortActions.dwellTenthsMax)
      actions.engagers += 1
      for goal in actions.goals.indices { actions.goals[goal] += 1 }
      actions.dwellers += tenths > 0 ? 1 : 0
      actions.dwellTenths += tenths
      actions.dwellTenthsSquared += tenths * tenths
      money.revenueMicros += amount * 10_000
      money.revenueCentsSquared += amount * amount
    }
    rows.append(
      ExperimentCohort(
        start: next, variant: variant, channel: channel, traffic: traffic, exposures: exposures,
        actions: actions))
    if !money.isZero {
      rows.append(
        ExperimentCohort(
          start: next, variant: variant, channel: channel, traffic: traffic, currency: "USD",
          exposures: money))
    }
  }

  /// The window is full.
  mutating func advance() { next += plan.cohort.length }

  mutating func windows(_ count: Int, _ body: (inout Self) -> Void) {
    for _ in 0..<count {
      body(&self)
      advance()
    }
  }

  /// Everything is old enough.
  var cohorts: ExperimentCohorts {
    ExperimentCohorts(
      cohorts: rows, watermark: next + Self.outcomeWindow, outcomeWindow: Self.outcomeWindow)
  }

  func experiment(
    _ epochs: [Experiment.Epoch] = [Experiment.Epoch(since: 0, shares: [500_000, 500_000])]
  ) -> Experiment {
    Experiment(id: "x", plan: plan, epochs: epochs, status: .running)
  }
}
