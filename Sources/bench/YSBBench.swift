import ArgumentParser
import Dataflow
import Events
import Foundation
import JetStreamLog
import LocalServers
import NATSClient
import Ports
import PostgresClient
import PostgresViews
import RedisClient
import RedisViews
import Views

/// The Yahoo Streaming Benchmark: views of ads, joined with their campaigns, counted per campaign and
/// 10 s of event time.
///
/// Three ways in one run, each checked against the generator's own counts:
///
/// * the engine alone: frames that were read from JetStream before, on one thread; checksum, decoding,
///   filter, join and windows inside, source and sinks outside. Once more with every event id looked
///   up in the deduplication table, which the benchmark does not ask for;
/// * end to end: from JetStream into Redis and Postgres, with the server processes on the same
///   processors; the log's read, hot copy every 40 ms and a synced transaction every 250 ms inside,
///   the filling of the log (each frame synced) outside;
/// * the same events as JSON lines from a file, in order and out of order, on two threads; reading the
///   file (from the page cache) inside, no sink. Beside it DuckDB with the same query and threads.
struct YSBBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ysb",
    abstract: "Yahoo Streaming Benchmark: engine, end to end, JSON lines, DuckDB.")

  @OptionGroup var report: ReportOptions
  @Option(help: "Events.") var events = 20_000_000
  @Option(help: "Events that the engine alone gets, in memory.") var memoryEvents = 4_000_000
  @Option(help: "Events per frame.") var eventsPerFrame = 2000
  @Option(help: "Partitions of the log, one thread each.") var partitions = 2
  @Option(help: "Threads on the file.") var threads = 2
  @Option(help: "How far events are out of order, in milliseconds of event time.")
  var disorderMs: Int64 = 8000
  @Flag(help: "Leave the log and its servers out.") var onlyLines = false
  @Flag(help: "Leave the lines and DuckDB out.") var onlyFrames = false
  @Flag(inversion: .prefixedNo, help: "Run DuckDB beside it.") var duckdb = true

  func run() async throws {
    try LocalServers.remove(home: report.home)
    var table = Report("Yahoo Streaming Benchmark: \(events) events")
    try FileManager.default.createDirectory(
      atPath: report.home, withIntermediateDirectories: true)
    if !onlyFrames {
      try lines(YSBWorkload(eventCount: events), "in_order", &table)
      try lines(YSBWorkload(eventCount: events, disorderMs: disorderMs), "out_of_order", &table)
    }
    if !onlyLines { try await frames(&table) }
    table.print(json: report.json)
    try LocalServers.remove(home: report.home)
  }

  // MARK: Lines

  private func lines(_ workload: YSBWorkload, _ name: String, _ table: inout Report) throws {
    let expected = workload.expected()
    let path = "\(report.home)/ysb-\(name).jsonl"
    let lines = YSBLines(workload: workload, path: path)
    let bytes = try lines.write()
    defer { unlink(path) }
    if name == "in_order" {
      table.add("line_bytes_per_event", Double(bytes) / Double(events), "bytes")
    }
    let millions = Double(events) / 1_000_000
    var cpus: [Double] = []
    var walls: [Double] = []
    var duck: YSBDuckDB.Result?
    for round in 0..<3 {
      let (cpu, started) = (CPUTime.process(), benchNow())
      let result = try lines.count(threads: threads, allowedDisorderMs: disorderMs)
      cpus.append((CPUTime.process() - cpu) / millions)
      walls.append(Double(events) / (Double(benchNow() - started) / 1_000_000))
      guard result.events == events, result.late == 0 else {
        throw BenchError("\(result.events) lines of \(events), \(result.late) views late")
      }
      try result.counts.require(equal: expected, "lines \(name)")
      if duckdb && round == 0 {
        let found = try YSBDuckDB.run(workload, lines: path, home: report.home, threads: threads)
        try found.counts.require(equal: expected, "DuckDB \(name)")
        duck = found
      }
    }
    cpus.sort()
    walls.sort()
    table.add("lines_\(name)_cpu_per_million", cpus[1], "s", goal: "0.14")
    table.add("lines_\(name)_cpu_per_million_min", cpus[0], "s")
    table.add("lines_\(name)_events_per_second", walls[1], "events/s", goal: "9,000,000")
    table.add("lines_\(name)_events_per_second_max", walls[2], "events/s")
    guard let duck else { return }
    table.add("duckdb_\(name)_cpu_per_million", duck.cpu / millions, "s")
    table.add("duckdb_\(name)_events_per_second", Double(events) / duck.wall, "events/s")
    table.add("duckdb_\(name)_cpu_ratio", duck.cpu / millions / cpus[1], "x")
  }

  // MARK: Frames

  private func frames(_ table: inout Report) async throws {
    keepMessageMemory()
    var options = LocalServersOptions()
    options.natsMaxFileStoreBytes = 40 << 30
    let servers = try await LocalServers.start(home: report.home, options: options)
    defer { servers.stopBlocking() }
    let address = try NATSAddress(servers.endpoints.natsURLWithToken)
    let log = JetStreamLog(address: address, name: "bench")
    let streams = (0..<partitions).map { "ysb-\($0)" }
    for stream in streams {
      _ = try log.admin.create(
        stream,
        config: """
          {"name":"\(stream)","subjects":["\(stream)"],"retention":"limits","storage":"file",\
          "discard":"new","max_bytes":-1,"max_msg_size":1048576,"num_replicas":1,\
          "allow_direct":true}
          """)
    }
    let workload = YSBWorkload(eventCount: events)
    let expected = workload.expected()
    let filled = try YSBFrames(
      workload: workload, partitions: partitions, eventsPerFrame: eventsPerFrame
    ).fill(streams, address)
    table.add("fill_events_per_second", Double(events) / filled, "events/s")
    var bytes: UInt64 = 0
    for stream in streams { bytes += try log.admin.info(stream)?.bytes ?? 0 }
    table.add("log_bytes_per_event", Double(bytes) / Double(events), "bytes")

    try engine(workload, log, streams, &table)
    for (number, dedupes) in [false, true].enumerated() {
      try await endToEnd(
        workload, expected, log, servers.endpoints, streams, version: number + 1, dedupes, &table)
    }
  }

  /// The engine alone, on one thread.
  private func engine(
    _ workload: YSBWorkload, _ log: JetStreamLog, _ streams: [String], _ table: inout Report
  ) throws {
    for dedupes in [false, true] {
      var cpus: [Double] = []
      for _ in 0..<3 {
        var cpu = 0.0
        var count = 0
        for stream in streams {
          let reader = try log.reader(stream: stream, after: 0)
          var frames: [any StoredFrame] = []
          var pipeline = YSBPipeline(workload, allowedDisorder: disorderMs * 1000, dedupes: dedupes)
          var held = 0
          while held < memoryEvents / streams.count {
            let next = try reader.next(timeoutMs: 1000)
            if next.isEmpty { break }
            for frame in next { held += try FrameView(frame.bytes).count }
            frames.append(contentsOf: next)
          }
          let started = CPUTime.thread()
          for frame in frames {
            try pipeline.process(
              frame.bytes, sequence: frame.sequence, storedAt: frame.storedAt)
          }
          cpu += CPUTime.thread() - started
          count += pipeline.events
        }
        cpus.append(Double(count) / cpu)
      }
      cpus.sort()
      table.add(
        dedupes ? "engine_with_dedupe_events_per_core" : "engine_events_per_core", cpus[1],
        "events/s", goal: dedupes ? "" : "3,000,000")
    }
  }

  private func endToEnd(
    _ workload: YSBWorkload, _ expected: YSBCounts, _ log: JetStreamLog,
    _ endpoints: LocalEndpoints, _ streams: [String], version: Int, _ dedupes: Bool,
    _ table: inout Report
  ) async throws {
    let spec = PipelineSpec(name: "ysb", version: version)
    let postgres = PostgresSettings(connection: endpoints.postgresURL)
    let redis = try RedisSettings(url: endpoints.redisURL)
    try PostgresViewStore(postgres, pipeline: spec).migrate()
    let disorder = disorderMs * 1000
    let partitions = streams.enumerated().map { number, stream in
      StreamPartition(stream: stream, generation: 1, partition: number)
    }
    let cpu = CPUTime.process()
    let started = benchNow()
    let totals = try await withThrowingTaskGroup(of: (Int, Double).self) { group in
      for stream in partitions {
        group.addTask {
          try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
              continuation.resume(
                with: Result {
                  let loop = YSBLoop(
                    workload: workload, stream: stream, allowedDisorder: disorder,
                    dedupes: dedupes, log: log,
                    views: try PostgresViewStore(postgres, pipeline: spec),
                    hot: RedisHotStore(redis, pipeline: spec))
                  return try loop.run(until: try log.bounds(stream: stream.stream).last)
                })
            }
            thread.stackSize = 4 << 20
            thread.start()
          }
        }
      }
      return try await group.reduce((0, 0.0)) { ($0.0 + $1.0, $0.1 + $1.1) }
    }
    let wall = Double(benchNow() - started) / 1_000_000
    let spent = CPUTime.process() - cpu
    guard totals.0 == events else { throw BenchError("\(totals.0) events of \(events)") }
    let name = dedupes ? "end_to_end_with_dedupe" : "end_to_end"
    table.add(
      "\(name)_events_per_second", Double(events) / wall, "events/s",
      goal: dedupes ? "" : "1,500,000")
    table.add("\(name)_own_cpu_per_million", spent / (Double(events) / 1_000_000), "s")
    try YSBStores(workload: workload, spec: spec).durable(postgres).require(
      equal: expected, "Postgres")
    try await YSBStores(workload: workload, spec: spec).hot(redis, partitions.count, expected)
      .require(equal: expected, "Redis")
  }
}
