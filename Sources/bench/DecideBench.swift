import ArgumentParser
import Foundation
import HTTPClient

/// Decisions over HTTP beside a durable log, at a rate and as fast as they go: what the server takes for each, by its
/// own histogram, and what clients see.
///
/// Every decision is an event in the log, and the collector that answers follows that log, so that what is learned
/// from 5,000 decisions a second is in the figures.
struct DecideBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decide",
    abstract: "Decisions over HTTP: time in the server at a rate, and as many as there can be.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Seconds of load, each.") var seconds = 8
  @Option(help: "Decisions per second.") var rate = 5_000
  @Option(help: "HTTP connections.") var connections = 50
  @Option(help: "Arms of the decision.") var arms = 10
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    let folder = report.home + "-streams"
    try writeDefinitions(to: folder)
    let load = try await CollectorUnderLoad.start(
      home: report.home, streams: folder,
      environment: ["SMARTCONTENT_DECISION_SECRET": String(repeating: "5c", count: 32)])
    try await untilLearned(load)
    var table = Report(
      "Decisions among \(arms) arms, \(connections) connections, one wrk thread, each an event in the log"
    )
    for (name, pauseMs) in [
      ("paced", Double(connections) / Double(rate) * 1_000), ("fastest", nil),
    ] as [(String, Double?)] {
      let before = try serverTimes(load)
      let measured = try load.measure {
        try LoadGenerator.run(
          url: load.collector.url, script: LoadScripts.decide(pauseMs: pauseMs),
          connections: connections, seconds: seconds, folder: report.home)
      }
      let after = try serverTimes(load)
      table.add(
        "\(name)_decisions_per_second", measured.load.requestsPerSecond, "1/s",
        goal: pauseMs == nil ? "" : "\(rate)")
      table.add("\(name)_failed_requests", Double(measured.load.failures), "")
      table.add(
        "\(name)_server_p99_ms", Self.quantile(0.99, after, before) * 1_000, "ms", goal: "2")
      table.add("\(name)_client_p99_ms", measured.load.p99Ms, "ms")
      measured.addProcessorTime(to: &table, name, unit: "decision", perRequest: 1)
    }
    table.print(json: report.json)
    try await load.stop(home: report.home)
    try FileManager.default.removeItem(atPath: folder)
  }

  private func writeDefinitions(to folder: String) throws {
    let files = FileManager.default
    if files.fileExists(atPath: folder) { try files.removeItem(atPath: folder) }
    try files.copyItem(atPath: streams, toPath: folder)
    let names = (0..<arms).map { "arm\($0)" }.joined(separator: ", ")
    try """
    decisions:
      hero:
        campaign: spring
        arms: [\(names)]
        default: arm0
        features: [device, hour]

    """.write(toFile: folder + "/decisions.yaml", atomically: true, encoding: .utf8)
  }

  /// Until then the default arm is all that is served.
  private func untilLearned(_ load: CollectorUnderLoad) async throws {
    for _ in 0..<200 {
      let text = try HTTPClient().get(load.collector.url + "/metrics").text
      if text.contains("\nsmartcontent_learning_caught_up 1") { return }
      try await Task.sleep(nanoseconds: 50_000_000)
    }
    throw BenchError("the collector has not caught up with an empty log within 10 s")
  }

  /// Cumulative counts of the server's own histogram by upper bound in seconds.
  private func serverTimes(_ load: CollectorUnderLoad) throws -> [(bound: Double, count: Double)] {
    let text = try HTTPClient().get(load.collector.url + "/metrics").text
    return text.split(separator: "\n").compactMap { line in
      guard line.hasPrefix("smartcontent_decision_seconds_bucket{"),
        let bound = line.split(separator: "\"").dropFirst().first,
        let count = line.split(separator: " ").last.flatMap({ Double($0) })
      else { return nil }
      return (bound == "+Inf" ? .infinity : Double(bound) ?? .infinity, count)
    }
  }

  /// The upper bound of the bucket in which it lies.
  private static func quantile(
    _ share: Double, _ after: [(bound: Double, count: Double)],
    _ before: [(bound: Double, count: Double)]
  ) -> Double {
    let counts = zip(after, before).map { ($0.bound, $0.count - $1.count) }
    guard let total = counts.last?.1 else { return .infinity }
    return counts.first { $0.1 >= share * total }?.0 ?? .infinity
  }
}
