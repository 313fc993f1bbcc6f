import ArgumentParser

/// Single pixels, durable, beside nginx's empty_gif and a bare SwiftNIO handler, which store nothing.
struct PixelBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pixel",
    abstract: "Single pixels into the durable log, beside nginx empty_gif and a bare handler.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Seconds of load, each.") var seconds = 8
  @Option(help: "HTTP connections.") var connections = 256
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    let load = try await CollectorUnderLoad.start(home: report.home, streams: streams)
    let nginx = try EmptyGif.start(folder: report.home)
    let bare = try await BareServer.start()
    func run(_ url: String, pauseMs: Double? = nil) throws -> LoadGenerator.Result {
      try LoadGenerator.run(
        url: url, script: LoadScripts.pixel(pauseMs: pauseMs), connections: connections,
        seconds: seconds, folder: report.home)
    }
    let ours = try load.measure { try run(load.collector.url) }
    let theirs = try run(nginx.url)
    let bareResult = try run(bare.url)
    let oursAgain = try run(load.collector.url)
    let mean = (ours.load.requestsPerSecond + oursAgain.requestsPerSecond) / 2
    // Connections that pause so long between requests send about half as many.
    let half = try run(load.collector.url, pauseMs: Double(connections) / (mean / 2) * 1000)
    var table = Report("Pixels, durable, \(connections) connections, one wrk thread")
    table.add("pixels_per_second", mean, "pixels/s")
    table.add("nginx_empty_gif_per_second", theirs.requestsPerSecond, "requests/s")
    table.add(
      "ratio_to_nginx", mean / theirs.requestsPerSecond, "",
      goal: connections >= 1024 ? "0.5" : "0.3")
    table.add("bare_nio_per_second", bareResult.requestsPerSecond, "requests/s")
    table.add("bare_ratio_to_nginx", bareResult.requestsPerSecond / theirs.requestsPerSecond, "")
    table.add("failed_requests", Double(ours.load.failures + oursAgain.failures), "")
    table.add("p99_ms", ours.load.p99Ms, "ms")
    table.add("half_rate_per_second", half.requestsPerSecond, "pixels/s")
    table.add("half_rate_p99_ms", half.p99Ms, "ms", goal: "10")
    ours.addFrames(to: &table, "")
    ours.addProcessorTime(to: &table, "", unit: "pixel", perRequest: 1)
    table.print(json: report.json)
    await nginx.stop()
    try await bare.stop()
    try await load.stop(home: report.home)
  }
}
