import ArgumentParser
import Statistics

/// Incidents in impressions and clicks.
struct RateStreamQuality: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ctrstream", abstract: "Incidents in streams of impressions and clicks.")

  @OptionGroup var options: QualityOptions

  @Option(help: "Evidence from which a change is an incident, in nats.")
  var threshold = RateDetector.defaultThreshold

  @OptionGroup var output: ScoreOutput

  func run() async throws {
    let measured = try Self.measure(options.data, threshold: threshold)
    try output.write(measured.scores)
    QualityTable.show(measured.tables, json: options.json)
  }

  static func measure(
    _ path: String, threshold: Double = RateDetector.defaultThreshold
  ) throws -> (tables: [QualityTable], scores: [String: [Double]]) {
    let corpus = try RateStreams(path)
    let started = CPUTime.thread()
    let scores = try corpus.streams.map { try Self.scores($0, threshold: threshold) }
    let seconds = CPUTime.thread() - started
    let result = corpus.evaluate(scores, threshold: threshold)
    var table = QualityTable(
      "Incidents, \(corpus.streams.count) streams, threshold \(threshold)",
      columns: ["ours", "prototype", "Gaussian", "robust z", "SNARIMAX"])
    table.add(
      "ctrstream_recall", "recall", [result.recall, 0.68, 0.43, 0.14, 0.78],
      goal: .atLeast(0.85, result.recall))
    table.add(
      "ctrstream_false_per_week", "false alarms of a stream-week",
      [result.falsePerWeek, 0.5, 0.9, 1.0, 11.9], goal: .atMost(1, result.falsePerWeek))
    table.add(
      "ctrstream_median_delay", "median delay, of the incident", [result.medianDelay],
      goal: .atMost(0.25, result.medianDelay))
    var kinds = QualityTable("Found by kind", columns: ["found", "of"])
    for (kind, count) in result.byKind.sorted(by: { $0.key < $1.key }) {
      kinds.add("ctrstream_found_\(kind)", kind, [Double(count.found), Double(count.of)])
    }
    var speed = QualityTable("Speed", columns: ["bins/s"])
    let rate = Double(scores.map(\.count).reduce(0, +)) / seconds
    speed.add("ctrstream_bins_per_second", "one core", [rate], goal: .atLeast(200_000, rate))
    let named = Dictionary(
      zip(corpus.streams.map(\.name), scores), uniquingKeysWith: { first, _ in first })
    return ([table, kinds, speed], named)
  }

  static func scores(_ stream: RateStreams.Stream, threshold: Double) throws -> [Double] {
    var detector = try RateDetector(
      secondsPerBin: stream.minutesPerBin * 60, threshold: threshold)
    var scores: [Double] = []
    scores.reserveCapacity(stream.clicks.count)
    for bin in stream.clicks.indices {
      let verdict = detector.observe(
        impressions: stream.impressions[bin], clicks: stream.clicks[bin],
        at: Int64(bin * stream.minutesPerBin * 60))
      scores.append(verdict.score)
    }
    return scores
  }
}
