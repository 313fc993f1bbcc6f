import ArgumentParser
import LocalServers

/// Connections that are kept alive and say nothing, with load beside them.
struct ConnectionsBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connections",
    abstract: "Memory of a collector with 10,000 idle connections, and load beside them.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Idle connections.") var idle = 10_000
  @Option(help: "Connections of the load.") var connections = 64
  @Option(help: "Rounds of load.") var rounds = 6
  @Option(help: "Seconds of each round; the memory is looked at after each.") var seconds = 5
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    let limit = LoopbackConnections.raiseLimit()
    guard limit >= idle + 1000 else {
      throw BenchError("\(idle + 1000) open files are needed, \(limit) are allowed: ulimit -Hn")
    }
    let load = try await CollectorUnderLoad.start(home: report.home, streams: streams)
    var table = Report(
      "\(idle) idle connections, and \(connections) that send pixels in \(rounds) rounds of"
        + " \(seconds) s")
    func mebibytes() throws -> Double { Double(try load.collector.residentBytes()) / 1_048_576 }
    table.add("resident_at_start", try mebibytes(), "MiB")
    let url = load.collector.url
    guard let port = url.split(separator: ":").last.flatMap({ UInt16($0) }) else {
      throw BenchError("\(url) names no port")
    }
    let idle = try LoopbackConnections(count: idle, port: port)
    try Self.use(idle)
    let before = try mebibytes()
    table.add("resident_with_idle", before, "MiB")
    var last = before
    for round in 1...rounds {
      let result = try LoadGenerator.run(
        url: load.collector.url, script: LoadScripts.pixel(), connections: connections,
        seconds: seconds, folder: report.home)
      last = try mebibytes()
      table.add("resident_after_round_\(round)", last, "MiB")
      table.add("pixels_per_second_\(round)", result.requestsPerSecond, "pixels/s")
      table.add("failed_requests_\(round)", Double(result.failures), "", goal: "0")
      // Each keeps its place, as a browser that comes back does.
      try Self.use(idle)
    }
    table.add("growth_of_load", last - before, "MiB")
    table.print(json: report.json)
    idle.close()
    try await load.stop(home: report.home)
  }

  /// One request on each, and its answer.
  private static func use(_ connections: LoopbackConnections) throws {
    let request = Array("GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".utf8)
    for index in connections.indices {
      try connections.send(request, on: index)
      try connections.wait(for: "HTTP/1.1 200", times: 1, on: index)
    }
  }
}
