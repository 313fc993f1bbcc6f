import ArgumentParser
import Statistics

/// Contextual bandits on classification sets: reward 1 for the right class, one pass in file order, nothing told of the
/// other classes.
struct ContextualQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "contextual",
    abstract: "Errors of contextual bandits on one pass, beside Vowpal Wabbit's.")

  @OptionGroup var options: QualityOptions
  @Option(help: "Passes with other luck each, whose errors are averaged.") var seeds = 5
  @Flag(help: "Measure the linear policies as well: some minutes.") var linear = false

  func run() async throws {
    guard seeds > 0 else { throw QualityError("--seeds is \(seeds): give at least 1") }
    QualityTable.show(
      try Self.measure(options.data, seeds: seeds, linear: linear), json: options.json)
  }

  /// Of Vowpal Wabbit 9 with a learning rate of 0.5, the better of linear and quadratic, and with everything chosen in
  /// hindsight: mean errors from the data's README.
  private static let published: [String: (policy: Double, hindsight: Double)] = [
    "letter": (0.697, 0.672), "mushroom": (0.005, 0.005), "nursery": (0.055, 0.055),
    "optdigits": (0.239, 0.171), "pendigits": (0.170, 0.152),
  ]

  private static let linearPolicies:
    [(name: String, make: @Sendable (Int) -> any RetractablePolicy)] = [
      ("SquareCB", { SquareCB(dimensions: $0) }),
      ("LinUCB", { LinUCB(dimensions: $0) }),
      ("LinearThompson", { LinearThompson(dimensions: $0) }),
      ("ε-greedy", { ContextualGreedy(dimensions: $0) }),
    ]

  static func measure(_ path: String, seeds: Int, linear: Bool) throws -> [QualityTable] {
    let others = linear ? linearPolicies : []
    var errors = QualityTable(
      "Mean error of one pass",
      columns: ["ours", "VW", "VW, hindsight", "uniform"] + others.map(\.name))
    var costs = QualityTable("Decision and update, µs of processor time", columns: ["ours"])
    for set in try ClassificationSet.all(below: path) {
      var error = 0.0
      var seconds = 0.0
      for seed in 0..<seeds {
        let started = CPUTime.thread()
        error +=
          set.error(
            of: KernelGapBandit(dimensions: set.dimensions), seed: UInt64(seed)) / Double(seeds)
        seconds += CPUTime.thread() - started
      }
      let known = published[set.name]
      let rest = others.map { other in
        let policy: any RetractablePolicy = other.make(set.dimensions)
        return set.linearError(of: policy)
      }
      let uniform = 1 - 1 / Double(set.classes)
      errors.add(
        "contextual_\(set.name)", "\(set.name), \(set.classes) arms",
        [error, known?.policy, known?.hindsight, uniform] + rest,
        goal: known.map { .atMost($0.hindsight, error) })
      let cost = 1e6 * seconds / Double(seeds * set.rows.count)
      costs.add("contextual_cost_\(set.name)", set.name, [cost], goal: .atMost(100, cost))
    }
    return [errors, costs]
  }
}

/// A set whose rows are contexts and whose classes are arms.
struct ClassificationSet {
  let name: String
  private(set) var rows: [(features: [Double], arm: Int)] = []
  private(set) var classes = 0

  var dimensions: Int { rows.first?.features.count ?? 0 }

  /// Every file whose first column is `y` and whose others are features.
  static func all(below path: String) throws -> [ClassificationSet] {
    let folder = try DataFolder(path)
    let sets = try (folder.files(ending: ".csv") + folder.files(ending: ".csv.gz"))
      .compactMap { try ClassificationSet($0) }
    guard !sets.isEmpty else {
      throw QualityError(
        "no file below \(path) has y as its first column: give sets of classes with --data DIR")
    }
    return sets.sorted { $0.name < $1.name }
  }

  /// - Returns: Nothing of a file with another layout.
  init?(_ path: String) throws {
    var text = try DataText(path)
    guard text.columns.first == "y", text.columns.count > 1 else { return nil }
    name = String(path.split(separator: "/").last?.prefix { $0 != "." } ?? "")
    var arms: [Double: Int] = [:]
    var labels: [Double] = []
    while let row = text.row() {
      let values = row.map(DataText.number)
      guard values.count == text.columns.count, values.allSatisfy(\.isFinite) else {
        throw QualityError("row \(rows.count + 1) of \(path) is damaged")
      }
      labels.append(values[0])
      rows.append((Array(values.dropFirst()), 0))
    }
    for (index, label) in Set(labels).sorted().enumerated() { arms[label] = index }
    for index in rows.indices { rows[index].arm = arms[labels[index]] ?? 0 }
    classes = arms.count
  }

  /// Its first rows.
  func prefix(_ count: Int) -> ClassificationSet {
    var set = self
    set.rows = Array(rows.prefix(count))
    return set
  }

  /// The share of decisions that were drawn wrong.
  ///
  /// - Parameter settle: Called after each example with their number.
  func error<Policy: ContextualPolicy>(
    of start: Policy, seed: UInt64, settle: (inout Policy, Int) -> Void = { _, _ in }
  ) -> Double {
    var policy = start
    var draws = Draws(seed: seed)
    var errors = 0
    for (number, row) in rows.enumerated() {
      let chances = policy.probabilities(features: row.features, arms: classes)
      let arm = draws.index(weights: chances)
      if arm != row.arm { errors += 1 }
      policy.learn(
        features: row.features, arm: arm, reward: arm == row.arm ? 1 : 0, propensity: chances[arm])
      settle(&policy, number + 1)
    }
    return Double(errors) / Double(max(1, rows.count))
  }

  /// Of a policy whose models are made anew whenever there is a hundredth more to learn from.
  func linearError(of policy: some RetractablePolicy) -> Double {
    var settled = 0
    return error(of: policy, seed: 0) { policy, count in
      guard count > settled + settled / 100 else { return }
      policy.settle()
      settled = count
    }
  }
}
