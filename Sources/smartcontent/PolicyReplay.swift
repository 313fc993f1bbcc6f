import ArgumentParser
import Dataflow
import DecisionAPI
import Definitions
import Learning
import LogFollowing
import Ports

/// What `smartcontent replay --policy` does: the decisions of a plan are made again, and a policy is judged by what they earned.
struct PolicyReplay {
  private let definitions: Definitions
  private let plan: DecisionPlan
  private let policy: DecisionPolicy
  private let stretch: DecisionReplay.Stretch
  private let signer: DecisionSigner

  /// - Parameters:
  ///   - plan: its id; nil where there is only one.
  ///   - policy: as decisions.yaml has it, or the name of one of the plan's shadows; nil for the plan's own.
  init(
    _ definitions: Definitions, plan id: String?, policy text: String?,
    stretch: DecisionReplay.Stretch
  ) throws {
    let ids = definitions.decisions.map(\.id).joined(separator: ", ")
    guard !definitions.decisions.isEmpty, let signer = try DecisionOptions.signer(definitions)
    else {
      throw ValidationError("decisions.yaml declares no decisions that could be made again")
    }
    let named = id.map { id in definitions.decisions.filter { $0.id == id } }
    let plans = named ?? definitions.decisions
    guard plans.count == 1 else {
      throw ValidationError(
        id.map { "--decision \($0) is not declared; there are \(ids)" }
          ?? "there are several decisions; name one with --decision: \(ids)")
    }
    if let until = stretch.until, until < stretch.from {
      throw ValidationError("--from is after --until")
    }
    self.definitions = definitions
    self.signer = signer
    self.stretch = stretch
    plan = plans[0]
    let shadow = plans[0].shadows.first { $0.name == text }?.policy
    policy =
      try shadow ?? text.map { try DecisionPolicyDefinitions.parse($0) } ?? plans[0].policy
    guard policy.fits(plans[0]) else {
      throw ValidationError(
        "--policy has not one chance for each of the \(plans[0].arms.count) arms of \(plans[0].id), or goes by"
          + " something that is none of its features")
    }
  }

  func run(log: any EventLog, generations: [LogGeneration]) throws {
    guard let spec = LearningParts.spec(definitions) else {
      throw ValidationError("pipelines.yaml declares no pipeline by whose rules events count")
    }
    let progress = ProgressLine("decisions of \(plan.id)", unit: "frames")
    var count: UInt64 = 0
    let replay = DecisionReplay(
      FollowedLog(spec: spec, generations: { generations }, log: log),
      isAuthentic: { [signer] in signer.isAuthentic($0, $1) }
    ) { frames in
      count += frames
      progress.update(done: count, total: count)
    }
    let outcome: DecisionReplay.Outcome
    do throws(LogReadingError) {
      outcome = try replay.run(plan, policy: policy, over: stretch)
      progress.end()
    } catch {
      progress.end()
      StandardError.say("smartcontent replay: \(Self.text(error))\n")
      throw ExitCode(3)
    }
    let report = PolicyReplayReport(plan: plan, policy: policy, outcome: outcome)
    print(report.text)
    if report.isUnchanged, outcome.tally.same != outcome.tally.compared {
      throw ExitCode.failure
    }
  }

  private static func text(_ error: LogReadingError) -> String {
    switch error {
    case .log(let error): LogErrorText.of(error)
    case .analysis(let stream, let error): "\(stream): \(error)"
    }
  }
}
