import ArgumentParser

/// Batches of events over HTTP, durable: Segment's with 20, PostHog's with 100. Beside it a server that reads the
/// same requests and forgets them, which shows what HTTP and the load generator leave of this machine.
///
/// A connection has one request on its way. So that Segment's batches are not measured by how few of their events
/// wait for the log together, they come over four times as many connections, too.
struct IngestBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingest",
    abstract:
      "Batches of events over HTTP into the durable log, beside a handler that forgets them.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Seconds of load, each.") var seconds = 8
  @Option(help: "HTTP connections.") var connections = 128
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    let load = try await CollectorUnderLoad.start(home: report.home, streams: streams)
    let bare = try await BareServer.start()
    var table = Report(
      "Ingest in batches, durable, \(connections) connections (wide: \(4 * connections)), one wrk thread,"
        + " fsync per frame")
    let loads = [
      (batch: LoadScripts.segmentBatch, name: "segment_20", connections: connections),
      (batch: LoadScripts.segmentBatch, name: "segment_20_wide", connections: 4 * connections),
      (batch: LoadScripts.postHogBatch, name: "posthog_100", connections: connections),
    ]
    for (batch, name, connections) in loads {
      let ours = try load.measure {
        try LoadGenerator.run(
          url: load.collector.url, script: batch.script, connections: connections,
          seconds: seconds, folder: report.home)
      }
      let bareResult = try LoadGenerator.run(
        url: bare.url, script: batch.script, connections: connections, seconds: seconds,
        folder: report.home)
      let events = Double(batch.events)
      let rate = ours.load.requestsPerSecond * events
      table.add("\(name)_events_per_second", rate, "events/s", goal: "500,000")
      table.add("\(name)_failed_requests", Double(ours.load.failures), "")
      table.add("\(name)_p99_ms", ours.load.p99Ms, "ms")
      ours.addFrames(to: &table, name)
      ours.addProcessorTime(to: &table, name, unit: "event", perRequest: events)
      table.add(
        "\(name)_bare_events_per_second", bareResult.requestsPerSecond * events, "events/s")
      table.add(
        "\(name)_ratio_to_bare", ours.load.requestsPerSecond / bareResult.requestsPerSecond, "")
    }
    table.add(
      "resident_mebibytes", Double(try load.collector.residentBytes()) / 1_048_576, "MiB")
    table.print(json: report.json)
    try await bare.stop()
    try await load.stop(home: report.home)
  }
}
