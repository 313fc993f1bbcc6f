import ArgumentParser
import Experiments
import Ports
import Views

/// What an answer about an experiment costs, from its cohorts to the decision: of two variants in two channels, and
/// of four with guardrails. One thread, its processor time.
struct ExperimentBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "experiments", abstract: "Time of an experiment's results, by its cohorts.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Windows of exposures.") var cohorts = 10_000
  @Option(help: "Persons of each variant and channel in each of them.") var persons = 20

  func run() throws {
    var table = Report("Results of an experiment with \(cohorts) cohorts")
    var plan = ExperimentPlan(
      campaign: "spring", variants: ["a", "b"], control: "a", plannedPersons: 400_000)
    try add(&table, "two_variants", plan)
    plan.metric = .revenuePerPerson
    try add(&table, "two_variants_revenue", plan)
    plan.metric = .clickRate
    plan.variants = ["a", "b", "c", "d"]
    plan.guardrails = [.conversionRate, .revenuePerPerson]
    try add(&table, "four_variants_guarded", plan)
    table.print(json: report.json)
  }

  private func add(_ table: inout Report, _ name: String, _ plan: ExperimentPlan) throws {
    let share = Allocation.parts / plan.variants.count
    let experiment = Experiment(
      id: "bench", plan: plan,
      epochs: [Experiment.Epoch(since: 0, shares: plan.variants.map { _ in share })],
      status: .running)
    let rows = rows(plan)
    let input = ExperimentCohorts(cohorts: rows, watermark: .max, outcomeWindow: 0)
    _ = try ExperimentAnalysis.results(of: experiment, input)
    let rounds = 5
    let started = CPUTime.thread()
    for _ in 0..<rounds { _ = try ExperimentAnalysis.results(of: experiment, input) }
    let seconds = (CPUTime.thread() - started) / Double(rounds)
    table.add(name, seconds * 1_000, "ms")
    // All but the newest cohort were asked for before.
    let settled = SettledAnalyses()
    var before = input
    before.watermark = Int64(cohorts - 1) * plan.cohort.length
    _ = try settled.results(of: experiment, before)
    let again = CPUTime.thread()
    _ = try settled.results(of: experiment, input)
    let more = CPUTime.thread() - again
    table.add(name + "_again", more * 1_000, "ms", goal: "≤ 20")
  }

  private func rows(_ plan: ExperimentPlan) -> [ExperimentCohort] {
    var random: UInt64 = 42
    func count(of number: Int, perThousand: UInt64) -> Int64 {
      var count: Int64 = 0
      for _ in 0..<number {
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        if (random >> 33) % 1_000 < perThousand { count += 1 }
      }
      return count
    }
    var rows: [ExperimentCohort] = []
    for cohort in 0..<cohorts {
      for variant in plan.variants {
        for channel in ["mail", "web"] {
          let converters = count(of: persons, perThousand: 30)
          rows.append(
            ExperimentCohort(
              start: Int64(cohort) * plan.cohort.length, variant: variant, channel: channel,
              currency: plan.currency,
              exposures: Exposures(
                persons: Int64(persons), clickers: count(of: persons, perThousand: 50),
                converters: converters, revenueCentsSquared: converters * 1_000_000,
                revenueMicros: converters * 10_000_000),
              baselines: Baselines(prior: 2 * converters, priorSquared: 4 * converters)))
        }
      }
    }
    return rows
  }
}
