import ArgumentParser
import Foundation
import Statistics

/// Decisions between two rates that are looked at after every visitor, in simulation.
struct ABQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ab", abstract: "A/B tests under continuous peeking: errors, power, samples.")

  @OptionGroup var options: QualityOptions

  @Option(help: "Simulations of each point of the grid.")
  var runs = 2_000

  @Option(help: "Simulated A/A tests of each rate.")
  var nullRuns = 10_000

  static let rates = [0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.5]
  static let lifts = [0.05, 0.1, 0.2, 0.5, 1.0]

  func run() async throws {
    let errors = try falsePositives()
    let (power, samples) = try grid()
    let ratio = try SampleRatioQuality.table(runs: max(200, nullRuns / 10))
    QualityTable.show([try golden(), errors, power, samples, ratio], json: options.json)
  }

  /// Figures of other libraries, of all files of the data folder that hold such.
  private func golden() throws -> QualityTable {
    var table = QualityTable("Golden figures", columns: ["equal", "of", "not ours"])
    var count = 0.0
    var equal = 0.0
    var unknown = 0.0
    for entry in try GoldenEntry.all(in: DataFolder(options.data)) {
      count += 1
      guard let figures = try GoldenFigures.compute(entry) else {
        unknown += 1
        continue
      }
      let agree =
        figures.count == entry.expected.count
        && figures.indices.allSatisfy { entry.agrees(figures[$0], at: $0) }
      equal += agree ? 1 : 0
    }
    table.add(
      "golden_equal", "gbstats and confseq, to 1e-6", [equal, count, unknown],
      goal: .atLeast(count - unknown, equal))
    return table
  }

  // MARK: Errors

  /// Ours in all tests up to 100,000 visitors of each arm; the others in a fifth as many up to 20,000.
  private func falsePositives() throws -> QualityTable {
    var table = QualityTable(
      "False positives, % of A/A tests",
      columns: ["ours", "at 100k", "of 20k:"] + PeekingMethods.names)
    for rate in Self.rates {
      var positives = 0
      for run in 0..<nullRuns {
        if try BlockwiseRun.isPositive(
          rate: rate, visitors: 100_000, seed: Self.seed(rate, 0, run))
        {
          positives += 1
        }
      }
      let few = try outcome(rate: rate, lift: 0, runs: max(1, nullRuns / 5), visitors: 20_000)
      let share = 100 * Double(positives) / Double(nullRuns)
      table.add(
        "false_positives_\(rate)", "rate \(rate)",
        [share, nil, nil] + few.map { 100 * $0.decided },
        goal: .atMost(5, share))
    }
    return table
  }

  // MARK: Power

  private func grid() throws -> (power: QualityTable, samples: QualityTable) {
    let columns = PeekingMethods.names
    let fixed = ["fixed, 80 %"]
    var power = QualityTable("Power by 20,000 of each arm, %", columns: columns)
    var samples = QualityTable(
      "Mean visitors of each arm at the stop", columns: columns + fixed)
    var means = [(power: Double, samples: Double)](
      repeating: (0, 0), count: PeekingMethods.count)
    var points = 0.0
    for rate in Self.rates {
      for lift in Self.lifts where rate * (1 + lift) < 0.95 {
        let all = try outcome(rate: rate, lift: lift, runs: runs, visitors: 20_000)
        let valid = Self.valid.map { all[$0] }
        let best = valid.map(\.decided).max() ?? 0
        let soonest = valid.map(\.visitors).min() ?? 1
        let name = "rate \(rate), +\(Int((lift * 100).rounded())) %"
        power.add(
          "power_\(rate)_\(lift)", name, all.map { 100 * $0.decided },
          goal: .atLeast(100 * best - 3, 100 * all[0].decided))
        samples.add(
          "sample_\(rate)_\(lift)", name,
          all.map(\.visitors) + [
            FixedSampleSize.visitorsPerArm(
              control: rate, treatment: rate * (1 + lift), power: 0.8, alpha: 0.05)
          ],
          goal: .atMost(1.05 * soonest, all[0].visitors))
        for index in all.indices {
          means[index].power += 100 * all[index].decided
          means[index].samples += all[index].visitors / soonest
        }
        points += 1
      }
    }
    let valid = Self.valid.map { means[$0] }
    power.add(
      "power_mean", "mean of the grid", means.map { $0.power / points },
      goal: .atLeast((valid.map(\.power).max() ?? 0) / points, means[0].power / points))
    samples.add(
      "sample_mean", "mean, as a multiple of the best valid", means.map { $0.samples / points },
      goal: .atMost((valid.map(\.samples).min() ?? 0) / points, means[0].samples / points))
    return (power, samples)
  }

  /// Methods that keep to 5 % at all rates, the mixture e-process among them: not z at a fixed horizon, nor the relative
  /// sequence.
  private static let valid = [PeekingMethods.evidence, 4, 5, 6]

  private func outcome(
    rate: Double, lift: Double, runs: Int, visitors: Int
  ) throws -> [(decided: Double, visitors: Double)] {
    let spending = try ErrorSpending()
    var decided = [Int](repeating: 0, count: PeekingMethods.count)
    var sums = [Int](repeating: 0, count: PeekingMethods.count)
    let bounds = PeekingMethods.evidenceBounds(upTo: min(visitors, 15_000))
    let control = UInt64(rate * 0x1p64)
    let treatment = UInt64(rate * (1 + lift) * 0x1p64)
    for run in 0..<runs {
      var random = SplitMix64(seed: Self.seed(rate, lift, run))
      var methods = PeekingMethods(spending: spending, evidenceBounds: bounds, rate: rate)
      for _ in 0..<visitors where methods.open > 0 {
        try methods.look(control: random.next() < control, treatment: random.next() < treatment)
      }
      for (index, at) in methods.decided.enumerated() {
        decided[index] += at == nil ? 0 : 1
        sums[index] += at ?? visitors
      }
    }
    return zip(decided, sums).map { (Double($0) / Double(runs), Double($1) / Double(runs)) }
  }

  static func seed(_ rate: Double, _ lift: Double, _ run: Int) -> UInt64 {
    var mixed = SplitMix64(
      seed: rate.bitPattern &+ lift.bitPattern &* 3 &+ UInt64(run) &* 0x1000_0000_01b3)
    return mixed.next()
  }
}

/// One simulated A/A test of ours, whose visitors come eight of each arm at a time.
///
/// A decision can only come where a block closes, which takes at least that many: looking after each visitor
/// would show the same.
enum BlockwiseRun {
  static func isPositive(rate: Double, visitors: Int, seed: UInt64) throws -> Bool {
    var random = SplitMix64(seed: seed)
    var test = SequentialRateTest(spending: try ErrorSpending())
    let thresholds = binomialThresholds(8, rate)
    for _ in 0..<visitors / 8 {
      try test.add(
        control: ArmCounts(visitors: 8, conversions: draw(thresholds, &random)),
        treatment: ArmCounts(visitors: 8, conversions: draw(thresholds, &random)))
      if test.decision != nil { return true }
    }
    return false
  }

  private static func draw(_ thresholds: [Double], _ random: inout SplitMix64) -> Int {
    let unit = random.unit()
    var count = 0
    while count < thresholds.count, unit >= thresholds[count] { count += 1 }
    return count
  }

  private static func binomialThresholds(_ n: Int, _ rate: Double) -> [Double] {
    var term = pow(1 - rate, Double(n))
    var sum = 0.0
    var thresholds: [Double] = []
    for index in 0..<n {
      sum += term
      thresholds.append(sum)
      term *= Double(n - index) / Double(index + 1) * rate / (1 - rate)
    }
    return thresholds
  }
}
