import ArgumentParser
import Foundation
import Statistics

/// Off-policy estimates from logs with propensities, beside those of the Open Bandit Pipeline.
struct OffPolicyQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "off-policy",
    abstract: "What another policy would have earned, estimated from logs, beside golden numbers.")

  @OptionGroup var options: QualityOptions

  func run() async throws {
    QualityTable.show(try Self.measure(options.data), json: options.json)
  }

  static let names = ["ipw", "snipw", "dm", "dr", "sndr", "switch-dr", "dr-os"]

  static func measure(_ path: String) throws -> [QualityTable] {
    let folder = try DataFolder(path)
    var tables: [QualityTable] = []
    for file in folder.files(ending: "ope_golden.json") {
      for golden in try OffPolicyGolden.read(file) {
        tables += try compare(golden, beside: file)
      }
    }
    guard !tables.isEmpty else {
      throw QualityError(
        "no ope_golden.json below \(path): give the Open Bandit data with --data DIR")
    }
    return tables + [coverage()]
  }

  private static func compare(
    _ golden: OffPolicyGolden, beside file: String
  ) throws -> [QualityTable] {
    let log = try LoggedCampaign(
      beside: file, name: golden.campaign, behaviour: golden.behaviour)
    let estimates = try log.estimates(
      switchThreshold: golden.switchTau, shrinkage: golden.drosLambda)
    let values = [
      estimates.inversePropensity, estimates.selfNormalized, estimates.direct,
      estimates.doublyRobust, estimates.selfNormalizedDoublyRobust, estimates.switchDoublyRobust,
      estimates.optimisticDoublyRobust,
    ]
    var table = QualityTable(
      "Clicks per 1,000, campaign \(golden.campaign), \(log.rows.count) decisions",
      columns: ["ours", "obp"])
    for (name, value) in zip(names, values) {
      guard let theirs = golden.estimates[name]?.value else {
        throw QualityError("\(file) has no estimate \(name) of campaign \(golden.campaign)")
      }
      let distance = (value - theirs).magnitude
      table.add(
        "ope_\(golden.campaign)_\(name)", name, [1_000 * value, 1_000 * theirs],
        goal: .init(text: "equal to 1e-6", isMet: distance <= 1e-6))
    }
    let interval = try log.interval()
    let truth = golden.onPolicyTruth
    table.add(
      "ope_\(golden.campaign)_lower", "interval at any time, lower", [1_000 * interval.lower],
      goal: .atMost(1_000 * truth, 1_000 * interval.lower))
    table.add(
      "ope_\(golden.campaign)_upper", "the same, upper", [1_000 * interval.upper],
      goal: .atLeast(1_000 * truth, 1_000 * interval.upper))
    return [table]
  }

  /// Logs of a policy that is not uniform, evaluated for another one and looked at after every decision.
  private static func coverage() -> QualityTable {
    let (runs, length) = (400, 5_000)
    let logging = [0.5, 0.3, 0.2]
    let wanted = [0.1, 0.3, 0.6]
    let rates = [0.02, 0.04, 0.05]
    let truth = zip(wanted, rates).reduce(0) { $0 + $1.0 * $1.1 }
    var random = SplitMix64(seed: 1)
    var covered = SIMD2<Int>.zero
    for _ in 0..<runs { covered &+= covers(&random) }
    /// By inverse propensities, and doubly robust.
    func covers(_ random: inout SplitMix64) -> SIMD2<Int> {
      do throws(OffPolicyError) {
        var sequence = try OffPolicySequence(weightMax: 3)
        var robust = try DoublyRobustSequence(scale: 3)
        var (trials, earned) = (SIMD3(repeating: 20.0), SIMD3(repeating: 0.5))
        for _ in 0..<length {
          let luck = random.unit()
          let arm = luck < 0.5 ? 0 : luck < 0.8 ? 1 : 2
          let reward = random.unit() < rates[arm] ? 1.0 : 0
          try sequence.add(
            LoggedDecision(
              reward: reward, propensity: logging[arm], probability: wanted[arm]))
          try robust.add(
            arm: arm, reward: reward, propensities: logging, probabilities: wanted,
            predicted: (0..<3).map { earned[$0] / trials[$0] })
          trials[arm] += 1
          earned[arm] += reward
        }
        // Ends only come nearer: the last interval covers if all did.
        return SIMD2(
          sequence.lower <= truth && truth <= sequence.upper ? 1 : 0,
          robust.lower <= truth && truth <= robust.upper ? 1 : 0)
      } catch {
        return .zero
      }
    }
    let shares = (0..<2).map { 100 * Double(covered[$0]) / Double(runs) }
    var table = QualityTable(
      "Intervals that cover at all of \(length) looks, \(runs) logs, %", columns: ["ours"])
    table.add(
      "ope_coverage", "by inverse propensities", [shares[0]], goal: .atLeast(95, shares[0]))
    table.add("ope_coverage_dr", "doubly robust", [shares[1]], goal: .atLeast(95, shares[1]))
    return table
  }
}

/// An entry of `ope_golden.json`.
struct OffPolicyGolden: Decodable {
  struct Estimate: Decodable { let value: Double }

  let campaign: String
  let behaviour: String
  let onPolicyTruth: Double
  let estimates: [String: Estimate]
  let switchTau: Double
  let drosLambda: Double

  enum CodingKeys: String, CodingKey {
    case campaign, behaviour, estimates
    case onPolicyTruth = "on_policy_truth"
    case switchTau = "switch_tau"
    case drosLambda = "dros_lambda"
  }

  static func read(_ path: String) throws -> [OffPolicyGolden] {
    do {
      return try JSONDecoder().decode([Self].self, from: Data(try DataFolder.bytes(path)))
    } catch let error as DecodingError {
      throw QualityError("\(path) has another form: \(error)")
    }
  }
}

/// A campaign's log, and the policy that is evaluated: its chance of each item at each position.
struct LoggedCampaign {
  struct Row {
    let item: Int
    let position: Int
    let reward: Double
    let propensity: Double
  }

  private(set) var rows: [Row] = []
  /// By item, then by position.
  private let policy: [[Double]]
  private let model: ClickModel

  init(beside file: String, name: String, behaviour: String) throws {
    let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
    var log = try DataText("\(folder)/\(name)_\(behaviour).csv.gz")
    let columns = try ["item", "pos", "click", "p"].map(log.column)
    while let row = log.row() {
      let values = columns.map { DataText.number(row[row.startIndex + $0]) }
      guard values.allSatisfy(\.isFinite), values[3] > 0 else {
        throw QualityError("row \(rows.count + 1) of \(name)_\(behaviour) is damaged")
      }
      rows.append(
        Row(
          item: Int(values[0]), position: Int(values[1]), reward: values[2], propensity: values[3]))
    }
    var distribution = try DataText("\(folder)/\(name)_bts_action_dist.csv")
    var policy: [[Double]] = []
    while let row = distribution.row() { policy.append(row.map(DataText.number)) }
    let items = policy.indices
    guard let positions = policy.first?.count,
      rows.allSatisfy({ items.contains($0.item) && (1...positions).contains($0.position) })
    else { throw QualityError("\(name) has items or positions that its policy does not know") }
    self.policy = policy
    model = ClickModel(rows, positions: positions, items: policy.count)
  }

  func estimates(
    switchThreshold: Double, shrinkage: Double
  ) throws -> OffPolicyEstimates {
    var estimates = try OffPolicyEstimates(switchThreshold: switchThreshold, shrinkage: shrinkage)
    let expected = (0..<(policy.first?.count ?? 0)).map { position in
      policy.indices.reduce(0.0) { sum, item in
        sum + policy[item][position] * model.rate(item, position + 1)
      }
    }
    for row in rows {
      var decision = decision(row)
      decision.predicted = model.rate(row.item, row.position)
      decision.expected = expected[row.position - 1]
      try estimates.add(decision)
    }
    return estimates
  }

  func interval() throws -> (lower: Double, upper: Double) {
    let weightMax = rows.map { decision($0).weight }.max() ?? 1
    let highest = policy.joined().max() ?? 1
    let floor = rows.map(\.propensity).min() ?? 1
    var sequence = try OffPolicySequence(weightMax: max(weightMax, highest / floor))
    for row in rows { try sequence.add(decision(row)) }
    return (sequence.lower, sequence.upper)
  }

  private func decision(_ row: Row) -> LoggedDecision {
    LoggedDecision(
      reward: row.reward, propensity: row.propensity,
      probability: policy[row.item][row.position - 1])
  }
}

/// Clicks of each item at each position, drawn to the rate of the whole with the weight of 20 decisions: the model
/// with which the golden numbers were made.
struct ClickModel {
  private let positions: Int
  private var clicks: [Double]
  private var trials: [Double]
  private var overall = 0.0

  init(_ rows: [LoggedCampaign.Row], positions: Int, items: Int) {
    self.positions = positions
    clicks = [Double](repeating: 0, count: positions * items)
    trials = clicks
    for row in rows {
      let place = row.item * positions + row.position - 1
      clicks[place] += row.reward
      trials[place] += 1
      overall += row.reward / Double(rows.count)
    }
  }

  func rate(_ item: Int, _ position: Int) -> Double {
    let place = item * positions + position - 1
    return (clicks[place] + 20 * overall) / (trials[place] + 20)
  }
}
