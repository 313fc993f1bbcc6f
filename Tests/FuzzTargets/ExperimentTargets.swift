import Events
@testable import Experiments

/// Declarations and changes of experiments, as the API takes them.
enum ExperimentTargets {
  private static let draft =
    #"{"id":"x","campaign":"spring","variants":["a","b"],"control":"a","weights":{"a":0.5,"b":0.25}}"#

  static let all: [FuzzTarget] = [
    FuzzTarget(
      "experiment",
      seeds: [
        pair(draft, #"{"weights":{"a":0.1,"b":0.9},"revision":1}"#),
        pair(draft, #"{"status":"stopped","decision":{"variant":"b","reason":"more"}}"#),
        pair(draft, #"{"alpha":0.01,"segments":["content"],"guardrails":["conversion_rate"]}"#),
        pair(
          draft,
          #"{"metric":"goal:a","must_not_rise":["dwell_per_person"],"outcome_window_seconds":60,"segments":["device"]}"#
        ),
      ], words: words(ExperimentFormat.patchMembers, ["0.000001", "1e-6", "\"click_rate\""]),
      run: run)
  ]

  @Sendable private static func run(_ input: UnsafeRawBufferPointer) throws(BrokenLaw) {
    let (first, second) = halves(input)
    do throws(ExperimentRefusal) {
      let (id, command) = try ExperimentFormat.declaration(Array(first))
      guard case .declare(let plan, let shares) = command,
        let event = try Experiment.decide(command, nil, id: id).first
      else { throw ExperimentRefusal.conflict("a declaration declares") }
      let fact = ExperimentFacts.fact(
        event, of: id, variants: plan.variants, time: 1, eventID: "e")
      let read = try ExperimentFacts.event(fact, nil)
      precondition(read == event, "a fact comes back as it was")
      guard var experiment = Experiment.evolve(nil, event, at: 1, id: id) else {
        preconditionFailure("what was declared is there")
      }
      let (change, _) = try ExperimentFormat.change(Array(second), of: experiment)
      for event in try Experiment.decide(change, experiment, id: id) {
        guard let changed = Experiment.evolve(experiment, event, at: 2, id: id) else {
          preconditionFailure("what was decided can follow")
        }
        experiment = changed
      }
      for allocation in [Allocation(shares: shares)] + Assigner(experiment).allocations {
        let sum = allocation.stretches.reduce(0) { $0 + $1.to - $1.from }
        precondition(sum > 0 && sum <= Allocation.parts, "somebody takes part, nobody twice")
      }
    } catch {
      // It is said what is wrong with it.
    }
  }
}
