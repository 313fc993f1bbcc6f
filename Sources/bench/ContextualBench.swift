import ArgumentParser
import Statistics

/// What a decision in a context and what is learned of it cost: chances of all arms, then one example. One thread, its
/// processor time.
struct ContextualBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "contextual", abstract: "Microseconds of contextual bandits, per decision.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Features of a context.") var features = 32
  @Option(help: "Decisions per measurement.") var decisions = 2_000

  func run() throws {
    guard features > 0, decisions > 0 else {
      throw ValidationError("--features and --decisions are at least 1")
    }
    var table = Report("Contextual bandits on one core, \(features) features")
    for arms in [10, 26] {
      measure(&table, "kernel_\(arms)", KernelGapBandit(dimensions: features), arms, goal: "≤ 100")
      measure(&table, "squarecb_\(arms)", SquareCB(dimensions: features), arms, goal: "≤ 100")
      measure(&table, "linucb_\(arms)", LinUCB(dimensions: features), arms)
      measure(&table, "linear_thompson_\(arms)", LinearThompson(dimensions: features), arms)
      measure(&table, "logistic_thompson_\(arms)", LogisticThompson(dimensions: features), arms)
      settle(&table, "linear_settle_\(arms)", arms)
    }
    table.print(json: report.json)
  }

  private func measure(
    _ table: inout Report, _ name: String, _ start: some ContextualPolicy, _ arms: Int,
    goal: String = ""
  ) {
    var policy = start
    var draws = Draws(seed: 42)
    let contexts = contexts(&draws)
    // Twice: the first time models grow, and the kernel's scale is measured.
    var (deciding, learning) = (0.0, 0.0)
    for _ in 0..<2 {
      (deciding, learning) = (0, 0)
      for context in contexts {
        let started = CPUTime.thread()
        let chances = policy.probabilities(features: context, arms: arms)
        let decided = CPUTime.thread()
        let arm = draws.index(weights: chances)
        policy.learn(
          features: context, arm: arm, reward: draws.unit(), propensity: chances[arm])
        deciding += decided - started
        learning += CPUTime.thread() - decided
      }
      if let settling = policy as? any RetractablePolicy { policy = Self.settled(settling, policy) }
    }
    let scale = 1e6 / Double(contexts.count)
    table.add("\(name)_decide", deciding * scale, "µs", goal: goal)
    table.add("\(name)_learn", learning * scale, "µs", goal: goal)
  }

  private func settle(_ table: inout Report, _ name: String, _ arms: Int) {
    var policy = SquareCB(dimensions: features)
    var draws = Draws(seed: 42)
    for (index, context) in contexts(&draws).enumerated() {
      policy.learn(features: context, arm: index % arms, reward: draws.unit(), propensity: 1)
    }
    let started = CPUTime.thread()
    for _ in 0..<10 { policy.settle() }
    table.add(name, (CPUTime.thread() - started) * 1e5, "µs")
  }

  private func contexts(_ draws: inout Draws) -> [[Double]] {
    var contexts: [[Double]] = []
    for _ in 0..<max(decisions, 2_048) {
      contexts.append((0..<features).map { _ in draws.normal() })
    }
    return contexts
  }

  private static func settled<Policy>(
    _ policy: some RetractablePolicy, _ unsettled: Policy
  ) -> Policy {
    var policy = policy
    policy.settle()
    return policy as? Policy ?? unsettled
  }
}
