import ArgumentParser
import Events
import Operators
import Statistics
import Views

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
    addIncidents(&table)
    table.print(json: report.json)
  }

  /// The board of incidents: `keys` keys, four tuples of each content, bins of five minutes. What is measured is a bin that
  /// is closed: tuples rolled up to keys, both detectors of each key, shares, incidents.
  private func addIncidents(_ table: inout Report) {
    let campaigns = max(1, keys / 20)
    let contents = max(1, keys - campaigns - 1)
    var tuples: [[UInt8]] = []
    for content in 0..<contents {
      for variant in ["a", "b", "c", "d"] {
        tuples.append(
          DimensionTuple(
            site: "default", campaign: "campaign-\(content % campaigns)",
            content: "content-\(content)", variant: variant,
            channel: content % 3 == 0 ? "mail" : "web"
          ).encoded)
      }
    }
    let policy = IncidentPolicy(keyCountMax: keys)
    var board = IncidentBoard(policy: policy)
    var random: UInt64 = 42
    var seconds = 0.0
    var bins = 0
    var rows = 0
    // The first day is not measured: series grow, and no incident is open.
    for bin in 0..<400 {
      let sums = tuples.map { tuple -> IncidentBoard.Sum in
        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let views = 100 + Int64(random >> 33 & 31)
        return (
          tuple, IncidentCounts(impressions: views, clicks: views / 20, conversions: views / 100)
        )
      }
      let started = CPUTime.thread()
      board.close(Int64(bin) * policy.bin, sums, isWhole: true, remarks: [])
      rows += board.takeChanged().count
      if bin >= 300 {
        seconds += CPUTime.thread() - started
        bins += 1
      }
    }
    table.add(
      "incidents_bin", seconds / Double(bins) * 1_000, "ms of processor time", goal: "≤ 20")
    table.add(
      "incidents_points", Double(bins * keys) / seconds, "keys and bins/s", goal: "≥ 200,000")
    table.add("incidents_rows", Double(rows), "rows")
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
