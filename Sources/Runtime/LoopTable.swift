import Metrics

/// Two scrapes as text: a line for each loop, and below it one for each of its operators.
///
///     loop               events/s  …  busy  …     state  snapshot
///     default/events-00      1200  …    3%  …  13.0 MiB      0.4s
///       dedupe     240k keys, 2 % of 10M, 9.1 MiB
///       links      1204 keys, 0 % of 1M, 96.0 KiB
public struct LoopTable: Sendable {
  private let before: MetricScrape
  private let after: MetricScrape

  public init(before: MetricScrape, after: MetricScrape) {
    self.before = before
    self.after = after
  }

  private static let columns: [(title: String, width: Int)] = [
    ("events/s", 10), ("frames/s", 10), ("lag", 8), ("lag s", 7), ("busy", 6), ("idle", 6),
    ("stores", 7), ("away", 6), ("watermark", 10), ("state", 11), ("snapshot", 9),
  ]

  public var text: String {
    let loops = after.loops
    let nameWidth = 2 + (loops.map { "\($0.pipeline)/\($0.stream)".count }.max() ?? 10)
    var lines = [
      Self.left("loop", nameWidth)
        + Self.columns.map { Self.right($0.title, $0.width) }.joined()
    ]
    for loop in loops {
      let cells = zip(cells(loop), Self.columns).map { Self.right($0, $1.width) }
      lines.append(Self.left("\(loop.pipeline)/\(loop.stream)", nameWidth) + cells.joined())
      lines += operators(of: loop)
    }
    return lines.joined(separator: "\n")
  }

  private func operators(of loop: MetricScrape.Series) -> [String] {
    let keys = after.values(RuntimeMetrics.stateKeys, loop)
    let nameWidth = 2 + (keys.map(\.other.count).max() ?? 0)
    return keys.map { name, count in
      let countMax = after.value(RuntimeMetrics.stateKeysMax, loop, name) ?? 0
      let byteCount = after.value(RuntimeMetrics.stateBytes, loop, name) ?? 0
      return "  " + Self.left(name, nameWidth)
        + "\(Self.number(count)) keys, \(Self.share(count, of: countMax)) of "
        + "\(Self.number(countMax)), " + ByteText.of(Int(byteCount))
    }
  }

  private static func share(_ count: Double, of countMax: Double) -> String {
    let percent = countMax > 0 ? count / countMax * 100 : 0
    return percent > 0 && percent < 1 ? "<1 %" : "\(Int(percent.rounded())) %"
  }

  private func cells(_ loop: MetricScrape.Series) -> [String] {
    let states = ["busy", "idle", "stores", "away"].map {
      change(RuntimeMetrics.seconds, loop, $0) ?? 0
    }
    let whole = states.reduce(0, +)
    func gauge(_ metric: MetricDeclaration) -> Double? { after.value(metric, loop) }
    let byteCount = after.values(RuntimeMetrics.stateBytes, loop).reduce(0) { $0 + $1.value }
    return [
      Self.number(rate(RuntimeMetrics.events, loop)),
      Self.number(rate(RuntimeMetrics.frames, loop)),
      Self.number(gauge(RuntimeMetrics.lagFrames)),
      Self.seconds(gauge(RuntimeMetrics.lagSeconds)),
    ] + states.map { whole > 0 ? "\(Int(($0 / whole * 100).rounded()))%" : "-" } + [
      Self.seconds(gauge(RuntimeMetrics.watermarkDelay)), ByteText.of(Int(byteCount)),
      Self.seconds(gauge(RuntimeMetrics.snapshotAge)),
    ]
  }

  private func change(
    _ metric: MetricDeclaration, _ loop: MetricScrape.Series, _ other: String = ""
  ) -> Double? {
    guard let now = after.value(metric, loop, other) else { return nil }
    // A process that started again counts from 0.
    return max(0, now - (before.value(metric, loop, other) ?? 0))
  }

  private func rate(_ metric: MetricDeclaration, _ loop: MetricScrape.Series) -> Double? {
    change(metric, loop).map { $0 / max(0.001, Double(after.at - before.at) / 1_000_000) }
  }

  private static func number(_ value: Double?) -> String {
    guard let value else { return "-" }
    if value >= 10_000_000 { return "\(Int(value / 1_000_000))M" }
    if value >= 100_000 { return "\(Int(value / 1_000))k" }
    return "\(Int(value.rounded()))"
  }

  private static func seconds(_ value: Double?) -> String {
    guard let value else { return "-" }
    if value >= 100 { return "\(Int(value))s" }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)s"
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(1, width - text.count)) + text
  }
}
