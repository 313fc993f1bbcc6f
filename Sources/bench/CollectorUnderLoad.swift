import Definitions
import HTTPClient
import JetStreamLog
import LocalServers
import NATSClient

/// A collector beside a nats-server that syncs every frame.
struct CollectorUnderLoad {
  let servers: LocalServers
  let collector: ServedProgram

  /// - Parameter environment: of the collector, beside what it needs in any case.
  static func start(
    home: String, streams: String, environment: [String: String] = [:]
  ) async throws -> CollectorUnderLoad {
    var options = LocalServersOptions()
    options.servers = [.nats]
    options.natsMaxFileStoreBytes = 40 << 30
    let servers = try await LocalServers.start(home: home, options: options)
    let definitions = try Definitions(folder: streams)
    let log = JetStreamLog(
      address: try NATSAddress(servers.endpoints.natsURLWithToken), name: "bench")
    for config in definitions.streams.all {
      _ = try log.admin.create(config.name, config: config.json)
    }
    let collector = try await ServedProgram.start(
      ["collect", "--streams", streams],
      environment: [
        "SMARTCONTENT_NATS": servers.endpoints.natsURLWithToken,
        "SMARTCONTENT_WRITE_KEYS": "dev:default",
      ].merging(environment) { $1 }, folder: home + "-collector")
    return CollectorUnderLoad(servers: servers, collector: collector)
  }

  func stop(home: String) async throws {
    await collector.stop()
    await servers.stop()
    try LocalServers.remove(home: home)
  }

  /// Stored frames so far, by the collector's own count.
  func frames() throws -> Double {
    let text = try HTTPClient().get(collector.url + "/metrics").text
    return text.split(separator: "\n").reduce(0) { sum, line in
      guard line.hasPrefix("smartcontent_ingest_frames_total{"), line.contains("\"stored\""),
        let value = line.split(separator: " ").last.flatMap({ Double($0) })
      else { return sum }
      return sum + value
    }
  }

  /// A run of the load generator with what it cost, by process.
  func measure(_ run: () throws -> LoadGenerator.Result) throws -> MeasuredLoad {
    guard let nats = servers.processID(of: .nats) else { throw BenchError("nats-server runs") }
    let framesBefore = try frames()
    let before = (try CPUTime.parts(of: collector.program.pid), try CPUTime.process(nats))
    let load = try run()
    let after = (try CPUTime.parts(of: collector.program.pid), try CPUTime.process(nats))
    return MeasuredLoad(
      load: load, frames: try frames() - framesBefore,
      collectorUserSeconds: after.0.user - before.0.user,
      collectorSystemSeconds: after.0.system - before.0.system, logSeconds: after.1 - before.1)
  }
}

/// What a run of the load generator came to.
struct MeasuredLoad {
  let load: LoadGenerator.Result
  let frames: Double
  let collectorUserSeconds: Double
  /// In the kernel: sockets, mostly.
  let collectorSystemSeconds: Double
  let logSeconds: Double

  func addFrames(to table: inout Report, _ name: String) {
    let prefix = name.isEmpty ? "" : name + "_"
    table.add("\(prefix)frames_per_second", frames / load.seconds, "frames/s")
    table.add(
      "\(prefix)requests_per_frame", load.requestsPerSecond * load.seconds / max(1, frames), "")
  }

  /// Processor time of collector, log and load generator, and what two cores come to at that cost.
  func addProcessorTime(
    to table: inout Report, _ name: String, unit: String, perRequest: Double
  ) {
    let prefix = name.isEmpty ? "" : name + "_"
    let count = max(1, load.requestsPerSecond * load.seconds * perRequest)
    for (part, seconds) in [
      ("collector_user", collectorUserSeconds), ("collector_system", collectorSystemSeconds),
      ("log", logSeconds), ("generator", load.cpuSeconds),
    ] { table.add("\(prefix)\(part)_cpu", seconds / count * 1e6, "us/\(unit)") }
    table.add(
      "\(prefix)two_cores",
      2 * count
        / (collectorUserSeconds + collectorSystemSeconds + logSeconds + load.cpuSeconds),
      "\(unit)s/s")
  }
}
