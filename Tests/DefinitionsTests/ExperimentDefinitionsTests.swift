import Events
import Experiments
import Testing
import Views

@testable import Definitions

@Suite("Experiments of the file")
struct ExperimentDefinitionsTests {
  private static let whole = """
    experiments:
      spring-subject:
        campaign: spring
        site: shop
        variants: [a, b]
        control: a
        metric: revenue_per_person
        guardrails: [conversion_rate]
        must_not_rise: ["goal:Unsubscribed"]
        currency: EUR
        minimal_effect: 0.02
        planned_persons: 50000
        alpha: 0.01
        segments: [content, channel, device]
        cohort: 1h
        outcome_window: 2h
        status: stopped
        allocation:
          - since: 2026-12-01T09:00:00Z
            weights: {a: 0.1, b: 0.1}
          - since: 2026-12-02T09:00:00Z
            weights: {b: 0.75, a: 0.25}
        stopped_at: 2026-12-20T09:00:00Z
        decision: {variant: b, reason: more of it}
      plain:
        campaign: autumn
        variants: [x, y, z]
        control: z
        status: running
        allocation: [{since: 2026-12-01T09:00:00Z, weights: {x: 0.3, y: 0.3, z: 0.3}}]

    """

  private static func time(_ text: String) throws -> Int64 { try #require(Timestamp.parse(text)) }

  @Test("all of an experiment is read, and what is left out has its defaults")
  func whole() throws {
    let fixture = try Fixture()
    try fixture.write("experiments.yaml", Self.whole)
    let experiments = try Definitions(folder: fixture.folder).experiments
    let plan = ExperimentPlan(
      site: "shop", campaign: "spring", variants: ["a", "b"], control: "a",
      metric: .revenuePerPerson, guardrails: [.conversionRate],
      mustNotRise: [.goal("Unsubscribed")], currency: "EUR", minimalEffect: 0.02,
      plannedPersons: 50_000, alpha: 0.01, segments: [.channel, .content, .device], cohort: .hour,
      outcomeWindow: 7_200_000_000)
    let first = try Self.time("2026-12-01T09:00:00Z")
    #expect(
      experiments == [
        Experiment(
          id: "spring-subject", plan: plan,
          epochs: [
            Experiment.Epoch(since: first, shares: [100_000, 100_000]),
            Experiment.Epoch(
              since: try Self.time("2026-12-02T09:00:00Z"), shares: [250_000, 750_000]),
          ],
          status: .stopped(
            at: try Self.time("2026-12-20T09:00:00Z"),
            Experiment.Decision(variant: "b", reason: "more of it"))),
        Experiment(
          id: "plain",
          plan: ExperimentPlan(campaign: "autumn", variants: ["x", "y", "z"], control: "z"),
          epochs: [Experiment.Epoch(since: first, shares: [300_000, 300_000, 300_000])],
          status: .running),
      ])
  }

  @Test(
    "a mistake is named with file, line, what is allowed and the fix",
    arguments: [
      ("  spring-subject:", "  Spring:", "experiments.Spring", "a-z"),
      ("campaign: spring", "campain: spring", "campain", "write campaign"),
      ("variants: [a, b]", "variants: [a]", "variants", "2 to 20"),
      ("control: a", "control: c", "control", "a, b"),
      ("metric: revenue_per_person", "metric: revenue", "metric", "revenue_per_person"),
      ("[conversion_rate]", "[revenue_per_person]", "guardrails", "has revenue_per_person"),
      ("currency: EUR", "currency: euro", "currency", "ISO 4217"),
      ("alpha: 0.01", "alpha: 1", "alpha", "0.2"),
      ("planned_persons: 50000", "planned_persons: 5", "planned_persons", "from 100 to"),
      ("[content, channel, device]", "[content, weather]", "segments", "channel, content"),
      ("goal:Unsubscribed", "conversion_rate", "must_not_rise", "has conversion_rate"),
      ("goal:Unsubscribed", "bounces", "must_not_rise", "goal:EVENT NAME"),
      ("outcome_window: 2h", "outcome_window: 20d", "outcome_window", "a duration"),
      ("cohort: 1h", "cohort: 2h", "cohort", "10s, 1m, 1h, 1d"),
      ("status: stopped", "status: over", "status", "draft, running, stopped"),
      ("status: stopped", "status: running", "stopped_at", "remove it"),
      ("    stopped_at: 2026-12-20T09:00:00Z\n", "", "stopped_at", "is missing"),
      ("{variant: b,", "{variant: c,", "decision.variant", "a, b"),
      ("since: 2026-12-02", "since: 2026-11-02", "allocation[1].since", "in order"),
      ("since: 2026-12-02T09:00:00Z", "since: tomorrow", "allocation[1].since", "RFC 3339"),
      ("{a: 0.1, b: 0.1}", "{a: 0.1}", "allocation[0].weights.b", "is missing"),
      ("b: 0.75, a: 0.25", "b: 0.75, a: 0.5", "allocation[1].weights", "come to 1.25"),
      ("a: 0.1, b: 0.1", "a: 0.1, b: 0.00000015", "allocation[0].weights.b", "millionths"),
    ])
  func mistake(old: String, new: String, key: String, says: String) throws {
    let fixture = try Fixture()
    try fixture.write("experiments.yaml", Self.whole)
    let line = try fixture.replace("experiments.yaml", old, with: new)
    let problems = Definitions.check(folder: fixture.folder)
    let problem = try #require(
      problems.first { $0.key.hasSuffix(key) }, "\(problems.map(\.description))")
    #expect(problem.file == "\(fixture.folder)/experiments.yaml")
    #expect(problem.description.contains(says), "\(problem)")
    let isElsewhere = problem.what.contains("missing") || problem.what.contains("stands beside")
    #expect(isElsewhere || abs(problem.line - line) <= 1, "\(problem) is not near line \(line)")
  }
}
