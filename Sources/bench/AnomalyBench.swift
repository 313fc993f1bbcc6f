import ArgumentParser
import Statistics

/// What a value costs that detectors and forecasters take: many keys in turn, so that their states come from memory,
/// and one key, whose state is in the cache. One thread, its processor time.
struct AnomalyBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "anomalies", abstract: "Values per second of detectors and forecasters, per core.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Values per measurement.") var values = 2_000_000
  @Option(help: "Keys that take turns.") var keys = 2_000

  func run() throws {
    var table = Report("Detectors and forecasters on one core")
    for (label, count) in [("one_key", 1), ("keys", keys)] {
      let novelty = try NoveltyDetector()
      add(&table, "novelty_\(label)", [NoveltyDetector](repeating: novelty, count: count)) {
        _ = $0.observe(Double($1 & 1023), at: Int64($2) * 300)
      }
      let rates = try RateDetector(secondsPerBin: 900)
      add(&table, "rates_\(label)", [RateDetector](repeating: rates, count: count)) {
        _ = $0.observe(
          impressions: 500 + Int($1 & 127), clicks: 20 + Int($1 >> 8 & 7), at: Int64($2) * 900)
      }
      let hourly = try HourlyForecaster(horizon: 24)
      add(&table, "hourly_\(label)", [HourlyForecaster](repeating: hourly, count: count)) {
        (state, random, _) in _ = state.observe(Double(random & 1023))
      }
    }
    table.print(json: report.json)
  }

  /// The first two hundred values of a key are not measured: its state grows meanwhile.
  private func add<State>(
    _ table: inout Report, _ name: String, _ start: [State],
    _ take: (inout State, UInt64, Int) -> Void
  ) {
    var states = start
    var random: UInt64 = 42
    var turn = 0
    func run(_ turns: Int) {
      for _ in 0..<turns {
        for key in states.indices {
          random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          take(&states[key], random >> 33, turn)
        }
        turn += 1
      }
    }
    run(200)
    let turns = max(1, values / states.count)
    let started = CPUTime.thread()
    run(turns)
    let seconds = CPUTime.thread() - started
    table.add(name, Double(turns * states.count) / seconds, "values/s", goal: "≥ 200,000")
  }
}
