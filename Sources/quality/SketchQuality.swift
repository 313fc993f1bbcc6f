import ArgumentParser
import Foundation
import Statistics

/// Errors and bytes of the sketches, beside Apache DataSketches 5.2 (Python), measured on the same kind of
/// input.
struct SketchQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sketches", abstract: "Distinct counts, quantiles and top-K: errors and bytes.")

  @OptionGroup var options: QualityOptions

  @Option(help: "Sketches of each cardinality.")
  var runs = 200

  func run() async throws {
    QualityTable.show(
      [try distinct(), try quantiles(), try most()], json: options.json)
  }

  // MARK: Distinct counts

  /// Bytes of `hll_sketch(14, HLL_4).serialize_compact()` by cardinality.
  private static let compactBytes: [(count: Int, bytes: Double?)] = [
    (10, 52), (100, 412), (1_000, 4_012), (2_000, 8_232), (3_000, 8_232), (5_000, 8_232),
    (10_000, 8_232), (20_000, nil), (40_000, nil), (60_000, nil), (100_000, 8_260),
    (300_000, nil), (1_000_000, 8_264),
  ]

  private func distinct() throws -> QualityTable {
    var table = QualityTable(
      "Distinct counts, 2^14 registers, \(runs) runs",
      columns: ["RMS error, %", "bias, %", "bytes", "DataSketches' bytes"])
    let bound = 100 * 1.04 / 128
    var squares = [Double](repeating: 0, count: Self.compactBytes.count)
    var sums = squares
    var bytes = squares
    for run in 0..<runs {
      var random = SplitMix64(seed: UInt64(run) &* 7_919 &+ 1)
      var sketch = try HyperLogLog(precision: 14)
      var count = 0
      for (index, point) in Self.compactBytes.enumerated() {
        while count < point.count {
          sketch.insert(hash: random.next())
          count += 1
        }
        let error = sketch.estimate / Double(count) - 1
        squares[index] += error * error
        sums[index] += error
        bytes[index] += Double(sketch.encoded().count)
      }
    }
    for (index, point) in Self.compactBytes.enumerated() {
      let rms = 100 * (squares[index] / Double(runs)).squareRoot()
      let size = bytes[index] / Double(runs)
      // A root mean square of so many runs is itself uncertain by 1/√(2 runs).
      let slack = 1 + 2 / Double(2 * runs).squareRoot()
      table.add(
        "distinct_rms_\(point.count)", "\(point.count)",
        [rms, 100 * sums[index] / Double(runs), size, point.bytes],
        goal: .atMost(bound * slack, rms))
      if let other = point.bytes {
        table.add(
          "distinct_bytes_\(point.count)", "bytes of \(point.count)", [size, nil, nil, other],
          goal: .atMost(other, size))
      }
    }
    let windows = try windowsAreUnions()
    table.add(
      "distinct_unions", "24 windows' union is the whole's sketch, of 100", [Double(windows)],
      goal: .atLeast(100, Double(windows)))
    return table
  }

  private func windowsAreUnions() throws -> Int {
    var equal = 0
    for run in 0..<100 {
      var random = SplitMix64(seed: UInt64(run) &+ 99)
      var whole = try HyperLogLog(precision: 14)
      var union = try HyperLogLog(precision: 14)
      for _ in 0..<24 {
        var window = try HyperLogLog(precision: 14)
        for _ in 0..<(run + 1) * 20 {
          let hash = HyperLogLog.mix(random.next() % 30_000)
          window.insert(hash: hash)
          whole.insert(hash: hash)
        }
        try union.merge(window)
      }
      equal += union == whole && union.encoded() == whole.encoded() ? 1 : 0
    }
    return equal
  }

  // MARK: Quantiles

  /// The largest relative error over these shares, and bytes, of 200,000 log-normal values (3, 1.2).
  private static let shares = [0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999]
  private static let others: [(name: String, error: Double, bytes: Double)] = [
    ("KLL k = 4096", 1.24, 43_592), ("REQ k = 200", 3.53, 56_924),
    ("t-digest k = 1000", 0.79, 19_184),
  ]

  private func quantiles() throws -> QualityTable {
    var random = SplitMix64(seed: 5)
    var values: [Double] = []
    var sketch = try DDSketch(relativeError: 0.01)
    for _ in 0..<200_000 {
      let radius = (-2 * log(1 - random.unit())).squareRoot()
      let value = exp(3 + 1.2 * radius * cos(2 * .pi * random.unit()))
      values.append(value)
      try sketch.insert(value)
    }
    values.sort()
    var worst = 0.0
    for share in Self.shares {
      let right = values[Int(share * Double(values.count - 1))]
      worst = max(worst, abs((sketch.quantile(share) ?? 0) / right - 1))
    }
    let bytes = Double(sketch.encoded().count)
    var table = QualityTable(
      "Quantiles, 200,000 dwell times",
      columns: ["ours"] + Self.others.map { "DataSketches " + $0.name })
    table.add(
      "quantile_error", "largest relative error, %", [100 * worst] + Self.others.map(\.error),
      goal: .atMost(1, 100 * worst))
    table.add(
      "quantile_bytes", "bytes", [bytes] + Self.others.map(\.bytes),
      goal: .atMost(Self.others.map(\.bytes).min() ?? 0, bytes))
    return table
  }

  // MARK: Top

  private func most() throws -> QualityTable {
    // Zipf with exponent 1.1 over 100,000 contents.
    let weights = (1...100_000).map { pow(Double($0), -1.1) }
    var sums: [Double] = []
    var sum = 0.0
    for weight in weights {
      sum += weight
      sums.append(sum)
    }
    var random = SplitMix64(seed: 11)
    var truth: [UInt64: UInt64] = [:]
    var parts: [SpaceSaving] = []
    for _ in 0..<4 {
      var part = try SpaceSaving(capacity: 500)
      for _ in 0..<250_000 {
        let unit = random.unit() * sum
        var low = 0
        var high = sums.count - 1
        while low < high {
          let middle = (low + high) / 2
          if sums[middle] <= unit { low = middle + 1 } else { high = middle }
        }
        truth[UInt64(low), default: 0] += 1
        part.insert(UInt64(low))
      }
      parts.append(part)
    }
    var all = parts[0]
    for part in parts.dropFirst() { try all.merge(part) }
    let right = truth.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.prefix(20).map(\.key)
    let found = all.top(20).map(\.key)
    let broken = all.top(500).filter { entry in
      let count = truth[entry.key] ?? 0
      return entry.count < count || entry.count - entry.error > count
    }
    var table = QualityTable("Top 20 of 100,000, merged of 4", columns: ["ours"])
    let hits = Double(Set(found).intersection(right).count)
    table.add("top_found", "of the true 20", [hits], goal: .atLeast(20, hits))
    table.add(
      "top_broken", "counts outside of their bounds", [Double(broken.count)],
      goal: .atMost(0, Double(broken.count)))
    let bound = 100 * Double(all.errorBound) / Double(all.total)
    table.add(
      "top_bound", "largest error, % of all (1/k is 0.2)", [bound], goal: .atMost(0.2, bound))
    return table
  }
}
