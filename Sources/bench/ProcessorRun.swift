import Dataflow
import Definitions
import Events
import FileSnapshots
import JetStreamLog
import LocalServers
import Logging
import Metrics
import NATSClient
import Ports
import PostgresClient
import PostgresViews
import RedisClient
import RedisViews
import Runtime
import Synchronization

/// A log of events on servers of a benchmark, and the whole processor on it.
struct ProcessorRun {
  let definitions: Definitions
  let log: JetStreamLog
  let endpoints: LocalEndpoints
  /// Folder for the processor's snapshots.
  let home: String
  let events: Int

  /// Publishes the events.
  ///
  /// - Returns: the seconds that it took.
  func fill(eventsPerFrame: Int) throws -> Double {
    try fill(
      FrameWorkload(
        eventCount: events, partitions: definitions.streams.partitions,
        eventsPerFrame: eventsPerFrame, start: benchNow() - Int64(events)))
  }

  /// The same of another workload.
  func fill(_ workload: FrameWorkload) throws -> Double {
    let address = try NATSAddress(endpoints.natsURLWithToken)
    let publisher = try JetStreamPublisher(address: address, name: "bench-fill")
    let started = benchNow()
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
    return Double(benchNow() - started) / 1_000_000
  }

  /// The whole processor, until everything is committed.
  ///
  /// - Returns: events per second, and the processor, which goes on.
  func process(
    _ pipeline: PipelineSpec, parameters: RuntimeParameters = RuntimeParameters()
  ) async throws -> (Double, Processor) {
    let address = try NATSAddress(endpoints.natsURLWithToken)
    let postgres = PostgresSettings(connection: endpoints.postgresURL)
    let redis = try RedisSettings(url: endpoints.redisURL)
    let state = "\(home)/state-\(pipeline.version)"
    let publisher = Mutex<JetStreamPublisher?>(
      try JetStreamPublisher(address: address, name: "bench-heartbeat"))
    let made = MadeTables()
    let logger = Logger(label: "bench") { StreamLogHandler.standardError(label: $0) }
    let processor = Processor(
      pipelines: [pipeline], streams: definitions.streams.streamPartitions,
      partitions: definitions.streams.partitions, log: log,
      stores: ProcessorStores(
        membership: { pipelines, isStopping throws(ViewStoreError) in
          try PostgresMembership(
            postgres, pipelines: pipelines, made: made, isStopping: isStopping)
        },
        views: { pipeline, isStopping throws(ViewStoreError) in
          try PostgresViewStore(
            postgres, pipeline: pipeline, made: made, isStopping: isStopping)
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
      place: ProcessPlace(host: "bench", pid: Int32(pipeline.version), startTicks: 0) { _ in false
      },
      parameters: parameters, metrics: RuntimeMetrics(MetricRegistry()), logger: logger)
    let wanted = try Dictionary(
      uniqueKeysWithValues: definitions.streams.events.map {
        ($0.name, try log.bounds(stream: $0.name).last)
      })
    let started = benchNow()
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
    return (Double(events) / (Double(benchNow() - started) / 1_000_000), processor)
  }
}
