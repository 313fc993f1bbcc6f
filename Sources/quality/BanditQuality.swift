import ArgumentParser
import Statistics

/// Bandits without context: what they lose beside the best arm, beside the policies that libraries have.
struct BanditQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bandits",
    abstract: "Regret of bandits without context, where rates stay and where they drift.")

  @OptionGroup var options: QualityOptions
  @Option(help: "Simulated worlds of each kind.") var worlds = 20

  func run() async throws {
    guard worlds > 0 else { throw QualityError("--worlds is \(worlds): give at least 1") }
    QualityTable.show(
      [Self.measure(worlds: worlds), DelayedRewards.measure(worlds: (worlds + 1) / 2)],
      json: options.json)
  }

  /// Thompson with a uniform prior and UCB1 are what river.bandit and MABWiser have under these names, here in the
  /// same worlds and with the same luck.
  private static let policies: [(name: String, make: @Sendable (Int) -> any BanditPolicy)] = [
    ("ours", { AdaptiveThompson(arms: $0) }),
    ("Thompson", { BernoulliThompson(arms: $0) }),
    ("UCB1", { UpperConfidence(arms: $0, bound: .hoeffding) }),
    ("KL-UCB", { UpperConfidence(arms: $0, bound: .kullbackLeibler) }),
  ]
  private static let libraryPolicies = 1...2

  static func measure(worlds: Int) -> QualityTable {
    var table = QualityTable(
      "Regret in clicks, \(BanditEnvironment.arms) arms, \(BanditEnvironment.horizon) decisions, "
        + "\(worlds) worlds; ± the standard error of ours", columns: policies.map(\.name) + ["±"])
    for environment in BanditEnvironment.allCases {
      let runs = policies.map { policy in
        (0..<worlds).map { world in
          environment.regret(
            of: policy.make(BanditEnvironment.arms), seed: 1_000 + UInt64(world))
        }
      }
      let regrets = runs.map(mean)
      let best = libraryPolicies.map { regrets[$0] }.min() ?? 0
      let share = environment == .stationary ? 1.05 : 0.8
      table.add(
        "regret_\(environment)", environment.rawValue, regrets + [standardError(runs[0])],
        goal: .atMost(share * best, regrets[0]))
    }
    return table
  }

  static func mean(_ regrets: [Double]) -> Double {
    regrets.reduce(0, +) / Double(regrets.count)
  }

  /// Of the mean of independent worlds.
  static func standardError(_ regrets: [Double]) -> Double {
    let (mean, count) = (mean(regrets), Double(regrets.count))
    let squares = regrets.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    return (squares / (count * max(1, count - 1))).squareRoot()
  }
}
