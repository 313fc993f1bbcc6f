import ArgumentParser
import Dataflow
import Definitions
import Events
import FileSnapshots
import Foundation
import JetStreamLog
import LocalServers
import Logging
import Metrics
import NATSClient
import Operators
import Ports
import PostgresClient
import PostgresViews
import RedisClient
import RedisViews
import Runtime
import Synchronization

/// From the log to committed read models, beside a loop that only reads.
///
/// The log is filled first. Then, in turn: the bare loop (fetch, checksum, decode, look each id up in
/// the dedupe table), the whole processor (operators, hot copy, commits, snapshots; sinks and their
/// fsync inside), and the bare loop again. The ratio is taken against the mean of the two.
struct EngineBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "engine", abstract: "From the log to committed read models, events per second.")

  @OptionGroup var report: ReportOptions

  @Option(help: "Events in the log.")
  var events = 8_000_000

  @Option(help: "Events per frame.")
  var eventsPerFrame = 500

  @Option(help: "Folder with the definitions.")
  var streams = "Streams"

  func run() async throws {
    keepMessageMemory()
    let definitions = try Definitions(folder: streams)
    guard let pipeline = definitions.pipeline("default") else {
      throw BenchError("pipelines.yaml has no pipeline `default`")
    }
    var options = LocalServersOptions()
    options.natsMaxFileStoreBytes = 40 << 30
    let servers = try await LocalServers.start(home: report.home, options: options)
    defer { servers.stopBlocking() }
    let address = try NATSAddress(servers.endpoints.natsURLWithToken)
    let log = JetStreamLog(address: address, name: "bench")
    for config in definitions.streams.all {
      _ = try log.admin.create(config.name, config: config.json)
    }
    let filled = try fill(definitions, address)
    var table = Report("Log to committed read models: \(events) events, 2 cores, 4 partitions")
    table.add("fill_events_per_second", Double(events) / filled, "events/s")
    table.add("log_bytes_per_event", Double(try bytes(definitions, log)) / Double(events), "bytes")

    let before = try await bare(definitions, pipeline, log)
    let (whole, processor) = try await process(definitions, pipeline, log, servers.endpoints)
    let after = try await bare(definitions, pipeline, log)
    processor.stop()
    let loop = (before + after) / 2
    table.add("bare_loop_events_per_second", loop, "events/s")
    table.add("processor_events_per_second", whole, "events/s", goal: "1,000,000")
    table.add("processor_to_bare_loop_ratio", whole / loop, "", goal: "0.5")
    table.print(json: report.json)
    servers.stopBlocking()
    try LocalServers.remove(home: report.home)
  }

  private func fill(_ definitions: Definitions, _ address: NATSAddress) throws -> Double {
    let publisher = try JetStreamPublisher(address: address, name: "bench-fill")
    let workload = FrameWorkload(
      eventCount: events, partitions: definitions.streams.partitions,
      eventsPerFrame: eventsPerFrame, start: Self.now() - Int64(events))
    let started = Self.now()
    var token: UInt64 = 0
    var failure: PublishOutcome?
    func settle(_ limit: Int) {
      while publisher.inFlight > limit {
        for completion in publisher.poll(timeoutMs: 100) {
          if case .stored = completion.outcome { continue }
          failure = completion.outcome
        }
      }
    }
    workload.generate { partition, header, frame in
      settle(64)
      token += 1
      publisher.publish(
        stream: definitions.streams.events[partition].name, messageID: header.messageID,
        frame: frame, token: token)
    }
    settle(0)
    if let failure { throw BenchError("the log did not take a frame: \(failure)") }
    return Double(Self.now() - started) / 1_000_000
  }

  private func bytes(_ definitions: Definitions, _ log: JetStreamLog) throws -> UInt64 {
    try definitions.streams.events.reduce(0) { sum, config in
      sum + (try log.admin.info(config.name)?.bytes ?? 0)
    }
  }

  /// The bare loop over all partitions, one thread each.
  private func bare(
    _ definitions: Definitions, _ pipeline: PipelineSpec, _ log: JetStreamLog
  ) async throws -> Double {
    let streams = definitions.streams
    let started = Self.now()
    try await withThrowingTaskGroup(of: Int.self) { group in
      for stream in streams.streamPartitions where stream.role == .events {
        group.addTask {
          try await withCheckedThrowingContinuation { continuation in
            let thread = Thread {
              continuation.resume(
                with: Result {
                  try Self.readOnly(stream, pipeline, streams.partitions, log)
                })
            }
            thread.stackSize = 1 << 20
            thread.start()
          }
        }
      }
      let read = try await group.reduce(0, +)
      guard read == events else { throw BenchError("read \(read) events of \(events)") }
    }
    return Double(events) / (Double(Self.now() - started) / 1_000_000)
  }

  private static func readOnly(
    _ stream: StreamPartition, _ pipeline: PipelineSpec, _ partitions: Int, _ log: JetStreamLog
  ) throws -> Int {
    let last = try log.bounds(stream: stream.stream).last
    let reader = try log.reader(stream: stream.stream, after: 0)
    var dedupe = Deduplicator(
      groups: KeyGroup.groups(of: stream.partition, partitions: partitions),
      horizon: pipeline.dedupeHorizon, countMax: pipeline.dedupeCountMax)
    var verdicts = Verdicts()
    var sequence: UInt64 = 0
    var count = 0
    while sequence < last {
      for frame in try reader.next(timeoutMs: 1000) where frame.sequence <= last {
        let view = try FrameView(frame.bytes)
        sequence = frame.sequence
        let moment = FrameMoment(
          sequence: sequence, logTime: frame.storedAt,
          watermark: frame.storedAt - pipeline.allowedDisorder, isSilent: false)
        dedupe.advance(to: moment)
        verdicts.reset(count: view.count)
        try dedupe.process(view, at: moment, verdicts: &verdicts)
        count += view.count
      }
    }
    return count
  }

  /// The whole processor, until everything is committed.
  private func process(
    _ definitions: Definitions, _ pipeline: PipelineSpec, _ log: JetStreamLog,
    _ endpoints: LocalEndpoints
  ) async throws -> (Double, Processor) {
    let address = try NATSAddress(endpoints.natsURLWithToken)
    let postgres = PostgresSettings(connection: endpoints.postgresURL)
    let redis = try RedisSettings(url: endpoints.redisURL)
    let state = report.home + "/state"
    let publisher = Mutex<JetStreamPublisher?>(
      try JetStreamPublisher(address: address, name: "bench-heartbeat"))
    let logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
    let processor = Processor(
      pipelines: [pipeline], streams: definitions.streams.streamPartitions,
      partitions: definitions.streams.partitions, log: log,
      stores: ProcessorStores(
        membership: { pipelines, isStopping throws(ViewStoreError) in
          try PostgresMembership(postgres, pipelines: pipelines, isStopping: isStopping)
        },
        views: { pipeline, isStopping throws(ViewStoreError) in
          try PostgresViewStore(postgres, pipeline: pipeline, isStopping: isStopping)
        },
        hot: { RedisHotStore(redis, pipeline: $0) },
        snapshots: { _, stream throws(SnapshotError) in
          try FileSnapshotStore(folder: "\(state)/\(stream.stream)")
        },
        partials: { _ throws(LogError) in
          try JetStreamPublisher.open(address, name: "bench-partials")
        }),
      heartbeats: HeartbeatWriter(logger: logger) {
        guard let publisher = publisher.withLock({ $0.take() }) else {
          preconditionFailure("the writer takes its publisher once")
        }
        return publisher
      },
      place: ProcessPlace(host: "bench", pid: 0, startTicks: 0) { _ in false },
      metrics: RuntimeMetrics(MetricRegistry()), logger: logger)
    let wanted = try Dictionary(
      uniqueKeysWithValues: definitions.streams.events.map {
        ($0.name, try log.bounds(stream: $0.name).last)
      })
    let started = Self.now()
    processor.start()
    while true {
      let statuses = processor.statuses
      if let halted = statuses.first(where: { $0.phase == .halted }) {
        throw BenchError("\(halted.stream.stream) halted: \(halted.detail)")
      }
      if statuses.count >= definitions.streams.streamPartitions.count,
        statuses.allSatisfy({ $0.committed >= wanted[$0.stream.stream] ?? 0 })
      {
        break
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    return (Double(events) / (Double(Self.now() - started) / 1_000_000), processor)
  }

  private static func now() -> Int64 { LoopClock.system.monotonic() }
}
