public import Dataflow
import Events
public import Logging
public import Ports
import Synchronization

/// Makes the stores that one partition's loop uses, on the loop's own thread.
public struct ProcessorStores: Sendable {
  public var views:
    @Sendable (PipelineSpec, _ isStopping: @escaping () -> Bool) throws(ViewStoreError) ->
      any ViewStore
  public var hot: @Sendable (PipelineSpec) -> any HotStore
  public var snapshots:
    @Sendable (PipelineSpec, StreamPartition) throws(SnapshotError) -> any SnapshotStore
  /// Publishes what a first stage hands on.
  public var partials: @Sendable (PipelineSpec) throws(LogError) -> any FramePublisher

  public init(
    views:
      @escaping @Sendable (PipelineSpec, _ isStopping: @escaping () -> Bool)
      throws(ViewStoreError) -> any ViewStore,
    hot: @escaping @Sendable (PipelineSpec) -> any HotStore,
    snapshots:
      @escaping @Sendable (PipelineSpec, StreamPartition) throws(SnapshotError) ->
      any SnapshotStore,
    partials: @escaping @Sendable (PipelineSpec) throws(LogError) -> any FramePublisher
  ) {
    self.views = views
    self.hot = hot
    self.snapshots = snapshots
    self.partials = partials
  }
}

/// Runs the loops of some streams for some pipelines, one thread each.
public final class Processor: Sendable {
  private let pipelines: [PipelineSpec]
  private let streams: [StreamPartition]
  /// Partitions of the generation, whether they run here or elsewhere.
  private let partitions: Int
  private let log: any EventLog
  private let stores: ProcessorStores
  private let heartbeats: HeartbeatWriter
  private let parameters: RuntimeParameters
  private let clock: LoopClock
  private let metrics: RuntimeMetrics
  private let logger: Logger
  private let stopFlag = StopFlag()
  private let worker = SerialWorker(name: "snapshots")
  private let running = Mutex<[LoopThread]>([])
  private let states: [Shared<PartitionStatus>]

  public init(
    pipelines: [PipelineSpec], streams: [StreamPartition], partitions: Int,
    log: any EventLog, stores: ProcessorStores, heartbeats: HeartbeatWriter,
    parameters: RuntimeParameters = RuntimeParameters(), clock: LoopClock = .system,
    metrics: RuntimeMetrics, logger: Logger
  ) {
    self.pipelines = pipelines
    self.streams = streams
    self.partitions = partitions
    self.log = log
    self.stores = stores
    self.heartbeats = heartbeats
    self.parameters = parameters
    self.clock = clock
    self.metrics = metrics
    self.logger = logger
    states = pipelines.flatMap { pipeline in
      Self.streams(of: pipeline, streams).map { stream in
        Shared(
          PartitionStatus(
            pipeline: pipeline.name, stream: stream, phase: .starting, detail: "", sequence: 0,
            committed: 0, lastKnown: 0, logTime: .min, watermark: .min,
            idCountMax: pipeline.dedupeCountMax))
      }
    }
  }

  /// The given streams, and the one between the pipeline's stages.
  private static func streams(
    of pipeline: PipelineSpec, _ streams: [StreamPartition]
  ) -> [StreamPartition] {
    pipeline.hasSecondStage ? streams + [.partials(of: pipeline)] : streams
  }

  /// What every loop does now, by pipeline and stream.
  public var statuses: [PartitionStatus] { states.map(\.current) }

  public func start() {
    let states = states
    metrics.observe({ states.map(\.current) }, now: clock.wall)
    var index = 0
    for pipeline in pipelines {
      let siblings = LogTimes(partitions: partitions)
      for stream in Self.streams(of: pipeline, streams) {
        let state = states[index]
        index += 1
        let thread = LoopThread(name: "\(pipeline.name)/\(stream.stream)") { [self] in
          run(pipeline, stream, siblings, state)
        }
        running.withLock { $0.append(thread) }
      }
    }
  }

  /// Asks every loop to commit and end, and waits for them.
  public func stop() {
    stopFlag.set()
    for thread in running.withLock({ $0 }) { thread.join() }
    heartbeats.close()
    worker.close()
  }

  private func run(
    _ pipeline: PipelineSpec, _ stream: StreamPartition, _ siblings: LogTimes,
    _ state: Shared<PartitionStatus>
  ) {
    var logger = logger
    logger[metadataKey: "pipeline"] = "\(pipeline.name)"
    logger[metadataKey: "stream"] = "\(stream.stream)"
    let loopMetrics = metrics.loop(pipeline: pipeline.name, stream: stream.stream)
    func halt(_ reason: String) {
      logger.critical("partition halted", metadata: ["reason": "\(reason)"])
      loopMetrics.halted()
      state.update {
        $0.phase = .halted
        $0.detail = reason
      }
    }
    let archive: SnapshotArchive
    do throws(SnapshotError) {
      let store = try stores.snapshots(pipeline, stream)
      archive = SnapshotArchive(store: store, worker: worker, logger: logger)
    } catch {
      return halt("snapshot folder cannot be used: \(error); give another with --state")
    }
    let views: any ViewStore
    do throws(ViewStoreError) {
      views = try stores.views(pipeline, { self.stopFlag.isSet })
    } catch {
      return halt("read models cannot be opened: \(error)")
    }
    var partials: (any FramePublisher)?
    if pipeline.hasSecondStage && stream.role == .events {
      do throws(LogError) {
        partials = try stores.partials(pipeline)
      } catch {
        return halt("partials cannot be published: \(error)")
      }
    }
    let loop = PartitionLoop(
      spec: pipeline, stream: stream,
      environment: PartitionLoop.Environment(
        log: log, views: views, hot: stores.hot(pipeline), snapshots: archive,
        partials: partials, heartbeats: heartbeats, siblings: siblings, parameters: parameters,
        clock: clock,
        metrics: loopMetrics, logger: logger),
      stop: stopFlag, status: state)
    _ = loop.run()
  }
}
