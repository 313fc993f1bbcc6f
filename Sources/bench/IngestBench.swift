import ArgumentParser
import Definitions
import Foundation
import HTTPClient
import JetStreamLog
import LocalServers
import NATSClient

/// A collector beside a nats-server that syncs every frame.
struct CollectorUnderLoad {
  let servers: LocalServers
  let collector: ServedProgram

  static func start(home: String, streams: String) async throws -> CollectorUnderLoad {
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
      ], folder: home + "-collector")
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
}

/// Segment batches of 20 events over HTTP, durable.
struct IngestBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingest", abstract: "Batches of 20 events over HTTP into the durable log.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Seconds of load.") var seconds = 10
  @Option(help: "HTTP connections.") var connections = 128
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    let load = try await CollectorUnderLoad.start(home: report.home, streams: streams)
    let before = try load.frames()
    let result = try LoadGenerator.run(
      url: load.collector.url, script: LoadGenerator.batchScript, connections: connections,
      seconds: seconds, folder: report.home)
    let frames = try load.frames() - before
    var table = Report("Ingest, batches of 20, durable, \(connections) connections, one wrk thread")
    table.add("events_per_second", result.requestsPerSecond * 20, "events/s", goal: "100,000")
    table.add("requests_per_second", result.requestsPerSecond, "requests/s")
    table.add("failed_requests", Double(result.failures), "")
    table.add("p99_ms", result.p99Ms, "ms")
    table.add("frames_per_second", frames / Double(seconds), "frames/s")
    table.add("requests_per_frame", result.requestsPerSecond * Double(seconds) / frames, "")
    table.add(
      "resident_mebibytes", Double(try load.collector.residentBytes()) / 1_048_576, "MiB")
    table.print(json: report.json)
    try await load.stop(home: report.home)
  }
}

/// Single pixels, durable, beside nginx's empty_gif, which stores nothing.
struct PixelBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pixel", abstract: "Single pixels into the durable log, beside nginx empty_gif.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Seconds of load, each.") var seconds = 8
  @Option(help: "HTTP connections.") var connections = 256
  @Option(help: "Folder with the definitions.") var streams = "Streams"

  func run() async throws {
    let load = try await CollectorUnderLoad.start(home: report.home, streams: streams)
    let nginx = try EmptyGif.start(folder: report.home)
    let before = try load.frames()
    let ours = try LoadGenerator.run(
      url: load.collector.url, script: LoadGenerator.pixelScript, connections: connections,
      seconds: seconds, folder: report.home)
    let frames = try load.frames() - before
    let theirs = try LoadGenerator.run(
      url: nginx.url, script: LoadGenerator.pixelScript, connections: connections,
      seconds: seconds, folder: report.home)
    let oursAgain = try LoadGenerator.run(
      url: load.collector.url, script: LoadGenerator.pixelScript, connections: connections,
      seconds: seconds, folder: report.home)
    let mean = (ours.requestsPerSecond + oursAgain.requestsPerSecond) / 2
    var table = Report("Pixels, durable, \(connections) connections, one wrk thread")
    table.add("pixels_per_second", mean, "pixels/s")
    table.add("nginx_empty_gif_per_second", theirs.requestsPerSecond, "requests/s")
    table.add("ratio_to_nginx", mean / theirs.requestsPerSecond, "", goal: "0.333")
    table.add("failed_requests", Double(ours.failures + oursAgain.failures), "")
    table.add("p99_ms", ours.p99Ms, "ms")
    table.add("frames_per_second", frames / Double(seconds), "frames/s")
    table.add("requests_per_frame", ours.requestsPerSecond * Double(seconds) / frames, "")
    table.print(json: report.json)
    await nginx.stop()
    try await load.stop(home: report.home)
  }
}

/// nginx (Debian package `nginx-light`) with one location that answers an empty GIF.
private struct EmptyGif {
  let program: ChildProgram
  let url: String

  static func start(folder: String) throws -> EmptyGif {
    var port: UInt16 = 19_080
    while !LoopbackPort.isFree(port) { port += 1 }
    let config = """
      worker_processes 2;
      daemon off;
      pid \(folder)/nginx.pid;
      error_log \(folder)/nginx-error.log;
      events { worker_connections 2048; }
      http {
        access_log off;
        keepalive_requests 1000000000;
        client_body_temp_path \(folder)/nginx-body;
        proxy_temp_path \(folder)/nginx-proxy;
        fastcgi_temp_path \(folder)/nginx-fastcgi;
        uwsgi_temp_path \(folder)/nginx-uwsgi;
        scgi_temp_path \(folder)/nginx-scgi;
        server { listen 127.0.0.1:\(port); location = /p.gif { empty_gif; } }
      }
      """
    let path = "\(folder)/nginx.conf"
    try config.write(toFile: path, atomically: true, encoding: .utf8)
    let program = try ChildProgram(
      path: "/usr/sbin/nginx", arguments: ["-c", path, "-p", folder],
      logPath: "\(folder)/nginx.log")
    return EmptyGif(program: program, url: "http://127.0.0.1:\(port)")
  }

  func stop() async {
    program.signal(SIGTERM)
    if await program.waitForEnd(timeoutMs: 3000) == nil { await program.kill() }
  }
}
