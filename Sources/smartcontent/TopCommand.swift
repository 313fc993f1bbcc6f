import ArgumentParser
import Glibc
import HTTPClient
import Runtime

/// `smartcontent top`: what every loop does now.
struct TopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Show per partition: rate, lag, where the time goes, state.",
    discussion: """
      Reads /metrics of one or more processes, over a second or --interval. busy is processing, idle \
      is waiting for frames, stores is being held up by Postgres and Redis, away is waiting for \
      something that cannot be reached; together they are the loop's whole time.

      Exit codes: 0 done, 3 no process answers.
      """)

  @Option(
    help: ArgumentHelp(
      "A process that answers /metrics; may be repeated [env SMARTCONTENT_URL]."
        + " Default: http://127.0.0.1:8080.", valueName: "url"))
  var url: [String] = []

  @Flag(help: "Print one table and end.")
  var once = false

  @Option(help: ArgumentHelp("Seconds between two tables.", valueName: "seconds"))
  var interval = 1.0

  func validate() throws {
    guard interval >= 0.1, interval <= 3600 else {
      throw ValidationError("--interval is \(interval); it may be 0.1 to 3600 seconds")
    }
  }

  func run() throws {
    let urls = url.isEmpty ? [Environment["SMARTCONTENT_URL"] ?? "http://127.0.0.1:8080"] : url
    let client = try HTTPClient(HTTPClientSettings(connectTimeoutMs: 1_000, timeoutMs: 5_000))
    var before = try Self.scrape(urls, client)
    while true {
      poll(nil, 0, Int32(interval * 1000))
      let after = try Self.scrape(urls, client)
      let table = TopTable(before: before, after: after).text
      if once || isatty(STDOUT_FILENO) == 0 {
        print(table)
        fflush(nil)
        if once { return }
      } else {
        // Home, the table, and nothing below it.
        print("\u{1B}[H\u{1B}[2J" + table)
        fflush(nil)
      }
      before = after
    }
  }

  private static func scrape(_ urls: [String], _ client: HTTPClient) throws -> Scrape {
    var scrape = Scrape(at: LoopClock.system.monotonic(), samples: [:])
    var failures: [String] = []
    for url in urls {
      do {
        let answer = try client.get(
          (url.hasSuffix("/") ? String(url.dropLast()) : url) + "/metrics")
        scrape.add(answer.text)
      } catch {
        failures.append("\(url): \(error)")
      }
    }
    guard failures.count < urls.count else {
      StandardError.say("smartcontent top: \(failures.joined(separator: "; "))\n")
      throw ExitCode(3)
    }
    return scrape
  }
}

/// What processes said at one moment: values by metric and labels.
struct Scrape {
  /// Which loop, and of a metric with another label its value.
  struct Series: Hashable {
    var pipeline: String
    var stream: String
    var other: String
  }

  /// Microseconds that never go back.
  var at: Int64
  var samples: [String: [Series: Double]]

  /// Adds Prometheus text; series of several processes that are the same loop's are added up.
  mutating func add(_ text: String) {
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let open = line.firstIndex(of: "{"), let close = line.lastIndex(of: "}"),
        let value = Double(
          line[line.index(after: close)...].drop { $0 == " " }.prefix { $0 != " " })
      else { continue }
      var series = Series(pipeline: "", stream: "", other: "")
      for label in line[line.index(after: open)..<close].split(separator: ",") {
        let parts = label.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { continue }
        let value = String(parts[1].dropFirst().dropLast())
        switch parts[0] {
        case "pipeline": series.pipeline = value
        case "stream": series.stream = value
        default: series.other = value
        }
      }
      guard !series.pipeline.isEmpty, !series.stream.isEmpty else { continue }
      samples[String(line[..<open]), default: [:]][series, default: 0] += value
    }
  }

  func value(_ metric: String, _ loop: Series, _ other: String = "") -> Double? {
    samples[metric]?[Series(pipeline: loop.pipeline, stream: loop.stream, other: other)]
  }

  /// Over all values of the other label.
  func sum(_ metric: String, _ loop: Series) -> Double {
    (samples[metric] ?? [:]).reduce(0) { sum, sample in
      sample.key.pipeline == loop.pipeline && sample.key.stream == loop.stream
        ? sum + sample.value : sum
    }
  }

  /// Every loop that runs.
  var loops: [Series] {
    (samples["smartcontent_partition_running"] ?? [:]).keys.sorted {
      ($0.pipeline, $0.stream) < ($1.pipeline, $1.stream)
    }
  }
}

/// Two scrapes as a table.
struct TopTable {
  private let before: Scrape
  private let after: Scrape

  init(before: Scrape, after: Scrape) {
    self.before = before
    self.after = after
  }

  private static let columns: [(title: String, width: Int)] = [
    ("events/s", 10), ("frames/s", 10), ("lag", 8), ("lag s", 7), ("busy", 6), ("idle", 6),
    ("stores", 7), ("away", 6), ("watermark", 10), ("ids", 9), ("windows", 9), ("persons", 9),
    ("trends", 8), ("state", 10), ("snapshot", 9),
  ]

  var text: String {
    let loops = after.loops
    let nameWidth = 2 + (loops.map { "\($0.pipeline)/\($0.stream)".count }.max() ?? 10)
    var lines = [
      Self.left("loop", nameWidth)
        + Self.columns.map { Self.right($0.title, $0.width) }.joined()
    ]
    for loop in loops {
      let cells = zip(cells(loop), Self.columns).map { Self.right($0, $1.width) }
      lines.append(Self.left("\(loop.pipeline)/\(loop.stream)", nameWidth) + cells.joined())
    }
    return lines.joined(separator: "\n")
  }

  private func cells(_ loop: Scrape.Series) -> [String] {
    let states = ["busy", "idle", "stores", "away"].map {
      change("smartcontent_loop_seconds_total", loop, $0) ?? 0
    }
    let whole = states.reduce(0, +)
    func gauge(_ metric: String) -> Double? { after.value(metric, loop) }
    return [
      Self.number(rate("smartcontent_processor_events_total", loop)),
      Self.number(rate("smartcontent_processor_frames_total", loop)),
      Self.number(gauge("smartcontent_lag_frames")),
      Self.seconds(gauge("smartcontent_lag_seconds")),
    ] + states.map { whole > 0 ? "\(Int(($0 / whole * 100).rounded()))%" : "-" } + [
      Self.seconds(gauge("smartcontent_watermark_delay_seconds"))
    ]
      + ["dedupe", "windows", "persons", "trends"].map {
        Self.number(after.value("smartcontent_state_keys", loop, $0))
      } + [
        ByteText.of(Int(after.sum("smartcontent_state_bytes", loop))),
        Self.seconds(gauge("smartcontent_snapshot_age_seconds")),
      ]
  }

  private func change(_ metric: String, _ loop: Scrape.Series, _ other: String = "") -> Double? {
    guard let now = after.value(metric, loop, other) else { return nil }
    // A process that started again counts from 0.
    return max(0, now - (before.value(metric, loop, other) ?? 0))
  }

  private func rate(_ metric: String, _ loop: Scrape.Series) -> Double? {
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
