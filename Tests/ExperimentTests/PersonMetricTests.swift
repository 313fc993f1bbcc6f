import Oracles
import Ports
import Statistics
import Testing
import Views

@testable import Experiments

/// Metrics that only what each person did tells, and guardrails that must not rise.
@Suite("Metrics of persons")
struct PersonMetricTests {
  @Test("names of metrics come back, and what is none is refused")
  func names() {
    for metric in ExperimentMetric.plain + [.goal("Signed Up"), .goal("goal:x")] {
      #expect(ExperimentMetric(name: metric.name) == metric)
    }
    for name in ["", "goal:", "clicks", "goal:" + String(repeating: "x", count: 201)] {
      #expect(ExperimentMetric(name: name) == nil, "\(name)")
    }
  }

  @Test("rows are asked where they tell all, persons where they do not")
  func sources() {
    var plan = ExperimentHistoryTests.plan
    plan.guardrails = [.revenuePerPerson]
    #expect(!plan.isOfPersons)
    for change in [
      { $0.metric = .engagementRate }, { $0.mustNotRise = [.goal("Unsubscribed")] },
      { $0.segments = [.channel, .device] }, { $0.outcomeWindow = 60_000_000 },
    ] as [(inout ExperimentPlan) -> Void] {
      var changed = plan
      change(&changed)
      #expect(changed.isOfPersons)
    }
  }

  @Test("what must not rise stops what wins, as what must not fall does not when it rises")
  func harm() throws {
    var plan = ExperimentHistoryTests.plan
    for (isHarm, action) in [(true, ExperimentVerdict.Action.stopForHarm), (false, .takeTreatment)]
    {
      plan.guardrails = isHarm ? [] : [.goal("Unsubscribed")]
      plan.mustNotRise = isHarm ? [.goal("Unsubscribed")] : []
      var cohorts = SimulatedCohorts(seed: 1, plan: plan)
      cohorts.windows(100) { cohorts in
        cohorts.add("a", 100, click: 0.05, convert: 0.02)
        cohorts.add("b", 100, click: 0.09, convert: 0.06)
      }
      let results = try ExperimentAnalysis.results(of: cohorts.experiment(), cohorts.cohorts)
      #expect(results.decision.action == action)
      let guardrail = results.variants[1].metrics[1]
      #expect(guardrail.metric == .goal("Unsubscribed"))
      #expect(
        guardrail.comparison?.decision == (isHarm ? .treatmentIsWorse : .treatmentIsBetter))
      guard isHarm else { continue }
      #expect(
        results.decision.reasons.first?.hasPrefix(
          "b harms the share of persons with Unsubscribed: ") == true)
    }
  }

  @Test("time in view is compared in seconds")
  func dwell() throws {
    var plan = ExperimentHistoryTests.plan
    plan.metric = .dwellPerPerson
    plan.guardrails = [.engagementRate]
    var cohorts = SimulatedCohorts(seed: 2, plan: plan)
    cohorts.windows(200) { cohorts in
      cohorts.add("a", 100, click: 0.05, convert: 0.1) { Int64(500 + $0.below(1_000)) }
      cohorts.add("b", 100, click: 0.05, convert: 0.1) { Int64(900 + $0.below(1_000)) }
    }
    let results = try ExperimentAnalysis.results(of: cohorts.experiment(), cohorts.cohorts)
    #expect(results.decision.action == .takeTreatment, "\(results.decision)")
    #expect(results.decision.reasons[0].contains(" s of 20000 persons against "))
    // A tenth of them look on for ten seconds on average.
    let value = try #require(results.variants[0].metrics[0].value)
    #expect((value.value - 1).magnitude < 0.05 && value.lower < value.value)
    let comparison = try #require(results.variants[1].metrics[0].comparison)
    #expect(try #require(comparison.liftLower) > 0 && comparison.varianceReduction == nil)
    #expect(results.warnings.contains { $0.contains("CUPED") })
    let rate = try #require(results.variants[0].metrics[1].value)
    #expect((rate.value - 0.1).magnitude < 0.01)
  }
}
