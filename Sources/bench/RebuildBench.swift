import ArgumentParser
import Dataflow
import Definitions
import Foundation
import JetStreamLog
import LocalServers
import NATSClient
import Runtime

/// A rebuild beside the live path: the same log, first by the version that is live, then by a new one.
///
/// Both are the whole processor from the first frame to the last commit, hot copy and snapshots
/// included, sinks and their fsync inside, the filling of the log outside. The new version writes as
/// seldom as `smartcontent rebuild` does; while it is computed the live one keeps its streams and has nothing to
/// do.
struct RebuildBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebuild", abstract: "A new version of all read models from the log, beside live.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events in the log; the goal is stated for 100,000,000, some 35 GB.")
  var events = 8_000_000
  @Option(help: "Events per frame.") var eventsPerFrame = 500
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    keepMessageMemory()
    let definitions = try Definitions(folder: streams)
    guard let live = definitions.pipeline("default") else {
      throw BenchError("pipelines.yaml has no pipeline `default`")
    }
    var options = LocalServersOptions()
    options.natsMaxFileStoreBytes = 60 << 30
    let servers = try await LocalServers.start(home: report.home, options: options)
    defer { servers.stopBlocking() }
    let log = JetStreamLog(
      address: try NATSAddress(servers.endpoints.natsURLWithToken), name: "bench")
    var rebuilt = live
    rebuilt.version = live.version + 1
    var configs = definitions.streams.all
    if rebuilt.hasSecondStage { configs.append(definitions.streams.partialsConfig(of: rebuilt)) }
    for var config in configs {
      config.bytesMax = -1
      _ = try log.admin.create(config.name, config: config.json)
    }
    let runs = ProcessorRun(
      definitions: definitions, log: log, endpoints: servers.endpoints, home: report.home,
      events: events)
    _ = try runs.fill(eventsPerFrame: eventsPerFrame)
    let (liveRate, liveProcessor) = try await runs.process(live)
    let (rebuildRate, rebuildProcessor) = try await runs.process(
      rebuilt, parameters: .rebuild)
    rebuildProcessor.stop()
    liveProcessor.stop()
    var table = Report("Rebuild of \(events) events beside the live version")
    table.add("live_events_per_second", liveRate, "events/s")
    table.add("rebuild_events_per_second", rebuildRate, "events/s")
    table.add("rebuild_to_live_ratio", rebuildRate / liveRate, "", goal: "1")
    table.print(json: report.json)
    servers.stopBlocking()
    try LocalServers.remove(home: report.home)
  }
}
