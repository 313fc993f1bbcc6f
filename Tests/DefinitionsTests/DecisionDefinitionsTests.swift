import Events
import Learning
import Testing

@testable import Definitions

@Suite("Decisions of the file")
struct DecisionDefinitionsTests {
  private static let whole = """
    decisions:
      spring-teaser:
        campaign: spring
        site: shop
        content: post-1
        arms: [a, b, c]
        default: b
        policy: {name: discounted_thompson, memory: 6h}
        reward: {revenue: 50, currency: EUR}
        reward_window: 2d
        activation: {echoed: 30m}
        floor: 0.05
        sticky: true
        holdout: {share: 0.1, serving: default}
        ramp: {from: 0.2, begin: 2026-12-01T09:00:00Z, end: 2026-12-03T09:00:00Z}
        guardrails:
          - {share: 0.8, certainty: 0.99, trials: 1000}
        apprenticeship: {exploration: 0.25, trials: 500}
        shadows:
          plain: bernoulli_thompson
          greedy: {name: epsilon_greedy, epsilon: 0.2}
          table: {name: given, feature: hour, chances: {"9": [1, 0, 0], "10": [0.2, 0.3, 0.5]}}
          flat: {name: given, chances: [0.25, 0.25, 0.5]}
        promotion: lower_bound
        features: [device, hour]
        memory: 14d
      plain:
        campaign: autumn
        arms: [x, y]
        default: x

    """

  @Test("all of a plan is read, and what is left out has its defaults")
  func whole() throws {
    let fixture = try Fixture()
    try fixture.write("decisions.yaml", Self.whole)
    let plans = try Definitions(folder: fixture.folder).decisions
    let hour: Int64 = 3_600_000_000
    let begin = try #require(Timestamp.parse("2026-12-01T09:00:00Z"))
    #expect(
      plans == [
        DecisionPlan(
          id: "spring-teaser", site: "shop", campaign: "spring", content: "post-1",
          arms: ["a", "b", "c"], defaultArm: 1, policy: .discountedThompson(memory: 6 * hour),
          reward: .revenue(unit: 50_000_000, currency: "EUR"), rewardWindow: 48 * hour,
          activation: .echoed(wait: hour / 2), floor: 0.05,
          holdout: DecisionPlan.Holdout(share: 0.1, serving: .defaultArm),
          ramp: DecisionPlan.Ramp(from: 0.2, begin: begin, end: begin + 48 * hour),
          guardrails: [DecisionPlan.Guardrail(share: 0.8, certainty: 0.99, trialsMin: 1000)],
          apprenticeship: DecisionPlan.Apprenticeship(exploration: 0.25, trialsMin: 500),
          isSticky: true,
          shadows: [
            DecisionPlan.Shadow(name: "plain", policy: .bernoulliThompson),
            DecisionPlan.Shadow(name: "greedy", policy: .epsilonGreedy(epsilon: 0.2)),
            DecisionPlan.Shadow(
              name: "table",
              policy: .given(
                GivenChances(feature: "hour", rows: ["9": [1, 0, 0], "10": [0.2, 0.3, 0.5]]))),
            DecisionPlan.Shadow(
              name: "flat", policy: .given(GivenChances(rows: ["": [0.25, 0.25, 0.5]]))),
          ], features: ["device", "hour"], memory: 14 * 24 * hour, promotion: .lowerBound),
        DecisionPlan(id: "plain", site: "default", campaign: "autumn", arms: ["x", "y"]),
      ])
  }

  @Test("a folder without the file decides nothing, and the repository's own is in order")
  func none() throws {
    let fixture = try Fixture()
    #expect(try Definitions(folder: fixture.folder).decisions.isEmpty)
    #expect(try Definitions(folder: Fixture.original).decisions.isEmpty)
  }

  @Test(
    "a mistake is named with file, line, what is allowed and the fix",
    arguments: [
      ("  spring-teaser:", "  Spring:", "decisions.Spring", "a-z"),
      ("campaign: spring", "campain: spring", "campain", "write campaign"),
      ("arms: [a, b, c]", "arms: [b]", "arms", "2 to 255"),
      ("arms: [a, b, c]", "arms: [a, b, b]", "arms", "twice"),
      ("default: b", "default: d", "default", "a, b, c"),
      (
        "name: discounted_thompson", "name: discounted_thomson", "policy.name",
        "discounted_thompson"
      ),
      ("memory: 6h}", "window: 6h}", "policy.window", "name, memory"),
      ("revenue: 50", "revenue: -1", "reward.revenue", "a number from"),
      ("currency: EUR", "currency: euro", "reward.currency", "ISO 4217"),
      ("{echoed: 30m}", "echoed", "activation", "{echoed: 30m}"),
      ("floor: 0.05", "floor: 0.5", "floor", "0.333"),
      ("sticky: true", "sticky: yes", "sticky", "true, false"),
      ("serving: default", "serving: none", "holdout.serving", "uniform, default"),
      ("end: 2026-12-03", "end: 2026-11-03", "ramp.end", "not after begin"),
      ("certainty: 0.99", "certainty: 2", "guardrails[0].certainty", "from 0.5"),
      ("exploration: 0.25, ", "", "apprenticeship.exploration", "is missing"),
      ("plain: bernoulli_thompson", "plain: coin", "shadows.plain", "uniform"),
      ("plain: bernoulli_thompson", "declared: ucb1", "shadows.declared", "another name"),
      ("promotion: lower_bound", "promotion: always", "promotion", "by_person, lower_bound"),
      ("[0.25, 0.25, 0.5]", "[0.25, 0.25]", "flat.chances", "add up to 1"),
      ("[0.25, 0.25, 0.5]", "[0.5, 0.5]", "shadows.flat", "3 chances"),
      ("feature: hour", "feature: day", "shadows.table", "one of the plan's features"),
      ("plain: bernoulli_thompson", "plain: given", "shadows.plain", "chances: [0.2, 0.8]"),
      ("memory: 14d", "memory: 14", "spring-teaser.memory", "a duration"),
    ])
  func mistake(old: String, new: String, key: String, says: String) throws {
    let fixture = try Fixture()
    try fixture.write("decisions.yaml", Self.whole)
    let line = try fixture.replace("decisions.yaml", old, with: new)
    let problems = Definitions.check(folder: fixture.folder)
    let problem = try #require(
      problems.first { $0.key.hasSuffix(key) }, "\(problems.map(\.description))")
    #expect(problem.file == "\(fixture.folder)/decisions.yaml")
    #expect(problem.description.contains(says), "\(problem)")
    let isElsewhere = problem.what.contains("missing")
    #expect(isElsewhere || abs(problem.line - line) <= 1, "\(problem) is not near line \(line)")
  }
}
