import ArgumentParser
import Foundation
import LocalServers

/// Resident memory of `smartcontent dev`'s own process, at rest and under load.
struct MemoryBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory", abstract: "Resident memory of smartcontent, at rest and under load.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Seconds of load.") var seconds = 15
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    let served = try await ServedProgram.start(
      ["dev", "--home", report.home, "--streams", streams], folder: report.home + "-dev")
    try await Task.sleep(for: .seconds(3))
    let rest = try served.residentBytes()
    let result = try LoadGenerator.run(
      url: served.url, script: LoadScripts.segmentBatch.script, connections: 64, seconds: seconds,
      folder: report.home)
    let load = try served.residentBytes()
    var table = Report("Resident memory of smartcontent dev (collector, processor, query API)")
    table.add("at_rest_mebibytes", Double(rest) / 1_048_576, "MiB", goal: "95 (100 MB)")
    table.add("after_load_mebibytes", Double(load) / 1_048_576, "MiB")
    table.add("load_events_per_second", result.requestsPerSecond * 20, "events/s")
    table.add(
      "bytes_per_event_of_load",
      Double(load - rest) / (result.requestsPerSecond * 20 * Double(seconds)), "bytes")
    table.print(json: report.json)
    await served.stop()
    try LocalServers.remove(home: report.home)
  }
}
