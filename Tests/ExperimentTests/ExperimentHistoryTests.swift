import Events
import Ports
import Testing
import Views

@testable import Experiments

/// `decide` and `evolve`, without any store.
@Suite("Experiments as facts")
struct ExperimentHistoryTests {
  static let plan = ExperimentPlan(campaign: "spring", variants: ["a", "b"], control: "a")
  static let half = [500_000, 500_000]

  static func history(_ commands: [ExperimentCommand]) throws -> Experiment? {
    var experiment: Experiment?
    for (time, command) in commands.enumerated() {
      for event in try Experiment.decide(command, experiment, id: "x") {
        experiment = Experiment.evolve(experiment, event, at: Int64(time + 1), id: "x")
      }
    }
    return experiment
  }

  @Test("from a draft to the end, each step is one event")
  func life() throws {
    var other = Self.plan
    other.minimalEffect = 0.1
    let experiment = try #require(
      try Self.history([
        .declare(Self.plan, shares: [100_000, 100_000]), .change(other, shares: Self.half),
        .start, .change(other, shares: [200_000, 800_000]),
        .stop(Experiment.Decision(variant: "b", reason: "it is better")),
      ]))
    #expect(experiment.plan == other)
    #expect(
      experiment.epochs == [
        Experiment.Epoch(since: 3, shares: Self.half),
        Experiment.Epoch(since: 4, shares: [200_000, 800_000]),
      ])
    #expect(
      experiment.status
        == .stopped(at: 5, Experiment.Decision(variant: "b", reason: "it is better")))
  }

  @Test("what is so already is no event")
  func same() throws {
    let running = try Self.history([.declare(Self.plan, shares: Self.half), .start])
    for command in [ExperimentCommand.start, .change(Self.plan, shares: Self.half)] {
      #expect(try Experiment.decide(command, running, id: "x").isEmpty)
    }
    let decision = Experiment.Decision(variant: "b", reason: "")
    let stopped = try Self.history([
      .declare(Self.plan, shares: Self.half), .start, .stop(decision),
    ])
    #expect(try Experiment.decide(.stop(decision), stopped, id: "x").isEmpty)
  }

  @Test("what can't be done as it is now is a conflict that says what to do instead")
  func conflicts() throws {
    let draft: [ExperimentCommand] = [.declare(Self.plan, shares: Self.half)]
    let running = draft + [.start]
    let stop = ExperimentCommand.stop(Experiment.Decision(variant: "b", reason: ""))
    var other = Self.plan
    other.metric = .conversionRate
    let cases: [([ExperimentCommand], ExperimentCommand, String)] = [
      (draft, draft[0], "there already"), (draft, stop, "start it first"),
      (running, .change(other, shares: Self.half), "only weights and status can change"),
      (running + [stop], .start, "stopped for ever"),
      (running + [stop], .change(Self.plan, shares: [1, 1]), "stopped for ever"),
    ]
    for (history, command, words) in cases {
      let experiment = try Self.history(history)
      do throws(ExperimentRefusal) {
        _ = try Experiment.decide(command, experiment, id: "x")
        Issue.record("\(command) was taken")
      } catch {
        guard case .conflict(let detail) = error else {
          Issue.record("\(error)")
          continue
        }
        #expect(detail.contains(words))
      }
    }
    let error = #expect(throws: ExperimentRefusal.self) {
      try Experiment.decide(
        .stop(Experiment.Decision(variant: "c", reason: "")), try Self.history(running), id: "x")
    }
    #expect(
      error
        == .invalid(
          path: "$.decision.variant", detail: "\"c\" is none of its variants", allowed: ["a", "b"]))
    #expect(throws: ExperimentRefusal.unknown("there is no experiment x")) {
      try Experiment.decide(.start, nil, id: "x")
    }
  }

  @Test("every event is the same after it was a fact")
  func facts() throws {
    var plan = Self.plan
    plan.site = "shop"
    plan.variants = ["a", "b \"ü\"", "c"]
    plan.metric = .revenuePerPerson
    plan.guardrails = [.clickRate, .conversionRate]
    plan.currency = "EUR"
    plan.minimalEffect = 0.025
    plan.plannedPersons = 123_456
    plan.alpha = 0.01
    plan.mustNotRise = [.goal("Unsubscribed"), .dwellPerPerson]
    plan.segments = [.channel, .content, .country]
    plan.cohort = .hour
    plan.outcomeWindow = 90_000_000
    let shares = [333_333, 333_334, 1]
    let declared = ExperimentEvent.declared(plan, shares: shares)
    let experiment = Experiment.evolve(nil, declared, at: 1, id: "x")
    let events: [ExperimentEvent] = [
      declared, .changed(plan, shares: shares), .started, .allotted(shares: [0, 1, 999_999]),
      .stopped(Experiment.Decision(variant: "c", reason: "because\nof \"it\"")),
    ]
    for event in events {
      let fact = ExperimentFacts.fact(
        event, of: "x", variants: plan.variants, time: 5, eventID: "e")
      #expect(try ExperimentFacts.event(fact, experiment) == event, "\(fact.type)")
    }
  }
}
