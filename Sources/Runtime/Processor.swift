public import Dataflow
import Events
public import Logging
public import Ports
import Synchronization
import Threads

/// Makes the stores that one partition's loop uses, on the loop's own thread.
public struct ProcessorStores: Sendable {
  /// The group of processes that share the pipelines' streams.
  public var membership:
    @Sendable ([PipelineSpec], _ isStopping: @escaping () -> Bool) throws(ViewStoreError) ->
      any Membership
  public var views:
    @Sendable (PipelineSpec, _ isStopping: @escaping () -> Bool) throws(ViewStoreError) ->
      any ViewStore
  public var hot: @Sendable (PipelineSpec) -> any HotStore
  public var snapshots:
    @Sendable (PipelineSpec, StreamPartition) throws(SnapshotError) -> any SnapshotStore
  /// Where the snapshots are copied to so that other machines can start from them; nil for nowhere.
  public var snapshotCopies: (@Sendable (PipelineSpec, StreamPartition) -> any SnapshotStore)?
  /// Publishes what a first stage hands on.
  public var partials: @Sendable (PipelineSpec) throws(LogError) -> any FramePublisher
  /// Publishes letters of frames that cannot be read; nil where none are written.
  public var deadLetters: (@Sendable () throws(LogError) -> any FramePublisher)?

  public init(
    membership:
      @escaping @Sendable ([PipelineSpec], _ isStopping: @escaping () -> Bool)
      throws(ViewStoreError) -> any Membership,
    views:
      @escaping @Sendable (PipelineSpec, _ isStopping: @escaping () -> Bool)
      throws(ViewStoreError) -> any ViewStore,
    hot: @escaping @Sendable (PipelineSpec) -> any HotStore,
    snapshots:
      @escaping @Sendable (PipelineSpec, StreamPartition) throws(SnapshotError) ->
      any SnapshotStore,
    snapshotCopies: (@Sendable (PipelineSpec, StreamPartition) -> any SnapshotStore)? = nil,
    partials: @escaping @Sendable (PipelineSpec) throws(LogError) -> any FramePublisher,
    deadLetters: (@Sendable () throws(LogError) -> any FramePublisher)? = nil
  ) {
    self.membership = membership
    self.views = views
    self.hot = hot
    self.snapshots = snapshots
    self.snapshotCopies = snapshotCopies
    self.partials = partials
    self.deadLetters = deadLetters
  }
}

/// The generations of event streams that the log holds; nil where it cannot be asked now.
public typealias GenerationSource = @Sendable () -> [LogGeneration]?

/// Which process this is among those that share the streams.
public struct ProcessPlace: Sendable {
  public var host: String
  public var pid: Int32
  /// Clock ticks since the boot.
  public var startTicks: Int64
  /// Whether a member of the same host has ended for certain.
  public var hasEnded: @Sendable (Member) -> Bool

  public init(
    host: String, pid: Int32, startTicks: Int64, hasEnded: @escaping @Sendable (Member) -> Bool
  ) {
    self.host = host
    self.pid = pid
    self.startTicks = startTicks
    self.hasEnded = hasEnded
  }

  /// A member with a new id.
  func member(running pipelines: [PipelineSpec]) -> Member {
    Member(
      id: "\(Key128(low: .random(in: 1 ... .max), high: .random(in: 0 ... .max)))", host: host,
      pid: pid, startTicks: startTicks,
      pipelines: Set(pipelines.map { .init(name: $0.name, version: $0.version) }))
  }
}

/// Runs this process's share of the loops of some streams for some pipelines, one thread each. Which
/// ones these are it settles with the other processes that do the same (``Coordinator``).
public final class Processor: Sendable {
  private let pipelines: [PipelineSpec]
  /// Streams that are of no generation: dead letters.
  private let others: [StreamPartition]
  private let board: GenerationBoard
  private let generations: GenerationSource?
  private let watcher = Mutex<LoopThread?>(nil)
  private let log: any EventLog
  private let stores: ProcessorStores
  private let heartbeats: HeartbeatWriter
  private let parameters: RuntimeParameters
  private let clock: LoopClock
  private let metrics: RuntimeMetrics
  private let logger: Logger
  private let place: ProcessPlace
  private let stopFlag = StopFlag()
  private let bell = Bell()
  private let snapshotWriter = SerialWorker(name: "snapshots")
  private let snapshotCompactor = SerialWorker(name: "compaction")
  private let snapshotCopier = SerialWorker(name: "copies")
  private let coordinator = Mutex<LoopThread?>(nil)
  private let loops = Mutex<LoopSet?>(nil)
  private let groupStatus = Shared(GroupStatus())
  /// Per pipeline, the log times of the generation's partitions, wherever they run.
  private let siblings: [Member.PipelineVersion: LogTimes]

  /// - Parameters:
  ///   - pipelines: of several versions of one the first is the one that queries read.
  ///   - streams: all that are to be run by some process of the group; those between the stages of a
  ///     pipeline come on top.
  ///   - partitions: of the generation.
  ///   - generations: says what the log holds beside `streams`; nil where that is all.
  public init(
    pipelines: [PipelineSpec], streams: [StreamPartition], partitions: Int,
    generations: GenerationSource? = nil, log: any EventLog, stores: ProcessorStores,
    heartbeats: HeartbeatWriter, place: ProcessPlace,
    parameters: RuntimeParameters = RuntimeParameters(), clock: LoopClock = .system,
    metrics: RuntimeMetrics, logger: Logger
  ) {
    self.pipelines = pipelines
    others = streams.filter { $0.role != .events }
    self.generations = generations
    board = GenerationBoard(
      Dictionary(grouping: streams.filter { $0.role == .events }, by: \.generation).map {
        LogGeneration(
          number: $0.key,
          streams: $0.value.sorted { $0.partition < $1.partition }.map(\.stream))
      })
    siblings = Dictionary(
      uniqueKeysWithValues: pipelines.map {
        (.init(name: $0.name, version: $0.version), LogTimes(partitions: partitions))
      })
    self.log = log
    self.stores = stores
    self.heartbeats = heartbeats
    self.place = place
    self.parameters = parameters
    self.clock = clock
    self.metrics = metrics
    self.logger = logger
  }

  /// What every loop of this process does now, by pipeline and stream.
  public var statuses: [PartitionStatus] { loops.withLock { $0 }?.statuses ?? [] }

  /// How this process stands to the others.
  public var group: GroupStatus { groupStatus.current }

  public func start() {
    let pipelines = pipelines
    let siblings = siblings
    let me = place.member(running: pipelines)
    let loops = LoopSet(
      bell: bell,
      idCountMax: { item in
        pipelines.first { PipelineStream($0, item.stream) == item }?.dedupeCountMax ?? 0
      },
      noted: { item, logTime in
        guard item.stream.role == .events else { return }
        siblings[.init(name: item.pipeline, version: item.version)]?
          .report(item.stream.partition, logTime)
      },
      body: { [self] item, stop, status in run(item, owner: me.id, stop, status) })
    self.loops.withLock { $0 = loops }
    metrics.observe({ loops.statuses }, now: clock.wall)
    metrics.group.observe(
      { [groupStatus] in groupStatus.current }, owned: { loops.epochs.count }, now: clock.monotonic)
    let thread = LoopThread(name: "coordinator") { [self] in coordinate(me, loops) }
    coordinator.withLock { $0 = thread }
  }

  /// Asks every loop to commit and end, waits for them, and leaves the group.
  public func stop() {
    stopFlag.set()
    bell.ring()
    coordinator.withLock { $0 }?.join()
    watcher.withLock { $0 }?.join()
    heartbeats.close()
    snapshotWriter.close()
    snapshotCompactor.close()
    snapshotCopier.close()
  }

  private func coordinate(_ me: Member, _ loops: LoopSet) {
    let membership: any Membership
    do throws(ViewStoreError) {
      membership = try stores.membership(pipelines) { [stopFlag] in stopFlag.isSet }
    } catch {
      logger.critical("no stream can be taken", metadata: ["reason": "\(error)"])
      groupStatus.update { $0.contact = .away("\(error)") }
      return
    }
    guard lookAtGenerations() else { return }
    let coordinator = Coordinator(
      me: me, items: items,
      environment: Coordinator.Environment(
        membership: membership, loops: loops, hasEnded: place.hasEnded, parameters: parameters,
        clock: clock, metrics: metrics.group, logger: logger),
      status: groupStatus)
    while !stopFlag.isSet {
      coordinator.items = items
      rest(milliseconds: coordinator.step(), coordinator)
    }
    coordinator.leave()
    for item in loops.epochs.keys { loops.stop(item) }
    while !coordinator.isIdle { bell.wait(milliseconds: coordinator.step()) }
    coordinator.quit()
  }

  /// Between two beats. A neighbour that was killed cannot say so, so it is looked after meanwhile: that
  /// is a read of a file of the kernel's.
  private func rest(milliseconds: Int, _ coordinator: Coordinator) {
    var left = milliseconds
    while left > 0 {
      let slice = min(left, Self.neighbourIntervalMs)
      if bell.wait(milliseconds: slice) || coordinator.hasLostNeighbour { return }
      left -= slice
    }
  }

  private static let neighbourIntervalMs = 25

  /// Streams of the generations that are due, and the others, for each pipeline.
  private var items: [PipelineStream] {
    let streams = board.due.flatMap(\.streamPartitions) + others
    return pipelines.flatMap { pipeline in
      (pipeline.hasSecondStage ? streams + [.partials(of: pipeline)] : streams).map {
        PipelineStream(pipeline, $0)
      }
    }
  }

  /// Between two looks at the generations that the log holds.
  private static let generationIntervalMs = 1_000

  /// Learns which generations there are before anything is read, and goes on looking on a thread of its
  /// own: the log can be slow to answer, which must not delay beats.
  ///
  /// - Returns: false where the processor is asked to end before the log has answered.
  private func lookAtGenerations() -> Bool {
    guard let generations else { return true }
    while true {
      if stopFlag.isSet { return false }
      if let found = generations() {
        _ = board.update(found)
        break
      }
      bell.wait(milliseconds: PartitionLoop.retryIntervalMs)
    }
    let thread = LoopThread(name: "generations") { [self] in
      while !stopFlag.wait(milliseconds: Self.generationIntervalMs) {
        guard let found = generations(), board.update(found) else { continue }
        logger.notice(
          "generations of streams have changed",
          metadata: ["open": "\(board.all.filter { !$0.isSealed }.map(\.number))"])
        bell.ring()
      }
    }
    watcher.withLock { $0 = thread }
    return true
  }

  /// What metrics, logs and readiness call a version: the pipeline's name, and where several versions
  /// of it run, the others than the first with their number.
  private func label(of pipeline: PipelineSpec) -> String {
    pipelines.first { $0.name == pipeline.name } == pipeline
      ? pipeline.name : "\(pipeline.name)@\(pipeline.version)"
  }

  /// What a loop can start from that takes persons of an earlier stream over. Without it that stream is
  /// read again.
  private func snapshots(
    of stream: StreamPartition, _ notAfter: UInt64, _ pipeline: PipelineSpec, _ metrics: LoopMetrics
  ) -> (base: [UInt8]?, increments: [[UInt8]]) {
    let store: any SnapshotStore
    do throws(SnapshotError) {
      store = try stores.snapshots(pipeline, stream)
    } catch {
      logger.warning("earlier snapshots cannot be read", metadata: ["error": "\(error)"])
      return (nil, [])
    }
    let archive = SnapshotArchive(
      store: store, maker: maker(of: stream, pipeline), writing: snapshotWriter,
      compacting: snapshotCompactor, parameters: parameters, metrics: metrics, logger: logger)
    let restored = archive.restore(notAfter: notAfter)
    return (restored.base, restored.increments)
  }

  /// What a stream's state can be begun from, wherever it runs: the folder of the loop that runs it is
  /// that loop's alone.
  private func chain(
    of stream: StreamPartition, _ notAfter: UInt64, _ pipeline: PipelineSpec
  ) -> SnapshotArchive.Restored {
    guard let copies = stores.snapshotCopies else { return SnapshotArchive.Restored() }
    do throws(SnapshotError) {
      return try SnapshotArchive.chain(in: copies(pipeline, stream), notAfter: notAfter)
    } catch {
      logger.warning(
        "snapshots of a source cannot be read: all of its frames are",
        metadata: ["stream": "\(stream.stream)", "error": "\(error)"])
      return SnapshotArchive.Restored()
    }
  }

  private func maker(of stream: StreamPartition, _ pipeline: PipelineSpec) -> BaseMaker {
    let siblings = siblings[.init(name: pipeline.name, version: pipeline.version)]
    return BaseMaker(
      spec: pipeline, stream: stream,
      partitions: board.generation(stream.generation)?.partitions ?? siblings?.partitions ?? 1,
      log: log)
  }

  /// One loop, from its stores to its end.
  private func run(
    _ item: PipelineStream, owner: String, _ stop: StopFlag, _ status: Shared<PartitionStatus>
  ) -> PartitionLoop.End {
    guard let pipeline = pipelines.first(where: { PipelineStream($0, item.stream) == item }),
      let siblings = siblings[.init(name: item.pipeline, version: item.version)]
    else { preconditionFailure("\(item) is none of this processor's items") }
    var logger = logger
    let label = label(of: pipeline)
    logger[metadataKey: "pipeline"] = "\(label)"
    logger[metadataKey: "stream"] = "\(item.stream.stream)"
    status.update { $0.pipeline = label }
    let loopMetrics = metrics.loop(pipeline: label, stream: item.stream.stream)
    func halt(_ reason: String) -> PartitionLoop.End {
      logger.critical("partition halted", metadata: ["reason": "\(reason)"])
      loopMetrics.halted()
      status.update {
        $0.phase = .halted
        $0.detail = reason
      }
      return .halted(reason)
    }
    let archive: SnapshotArchive
    do throws(SnapshotError) {
      var store = try stores.snapshots(pipeline, item.stream)
      if let copies = stores.snapshotCopies {
        store = CopiedSnapshotStore(
          near: store, far: copies(pipeline, item.stream), worker: snapshotCopier,
          metrics: loopMetrics, logger: logger)
      }
      archive = SnapshotArchive(
        store: store, maker: maker(of: item.stream, pipeline), writing: snapshotWriter,
        compacting: snapshotCompactor, parameters: parameters,
        metrics: loopMetrics, logger: logger)
      archive.startReadingAhead()
    } catch {
      return halt("snapshot folder cannot be used: \(error); give another with --state")
    }
    defer { archive.abandon() }
    let views: any ViewStore
    do throws(ViewStoreError) {
      views = try stores.views(pipeline, { stop.isSet })
    } catch {
      return halt("read models cannot be opened: \(error)")
    }
    var partials: (any FramePublisher)?
    if pipeline.hasSecondStage && item.stream.role == .events {
      do throws(LogError) {
        partials = try stores.partials(pipeline)
      } catch {
        return halt("partials cannot be published: \(error)")
      }
    }
    var poison: PoisonWriter?
    // Of all pipelines the first one, so that there is one letter; partials can be made again.
    if let open = stores.deadLetters, pipeline == pipelines.first, item.stream.role != .partials,
      let letters = items.first(where: { $0.stream.role == .deadLetters })?.stream
    {
      poison = PoisonWriter(stream: letters, open: open)
    }
    var remaker: PartialRemaker?
    if item.stream.role == .partials {
      remaker = PartialRemaker(
        spec: pipeline, log: log, generations: board,
        snapshots: { [self] in chain(of: $0, $1, pipeline) },
        open: { [stores] () throws(LogError) in try stores.partials(pipeline) },
        worker: snapshotCompactor, metrics: loopMetrics, logger: logger, stop: stop)
    }
    let loop = PartitionLoop(
      spec: pipeline, stream: item.stream,
      environment: PartitionLoop.Environment(
        owner: owner, log: log, views: views, hot: stores.hot(pipeline), snapshots: archive,
        partials: partials, poison: poison, remaker: remaker, heartbeats: heartbeats,
        siblings: siblings,
        generations: board,
        earlierSnapshots: { [self] stream, notAfter in
          snapshots(of: stream, notAfter, pipeline, loopMetrics)
        }, parameters: parameters,
        clock: clock,
        metrics: loopMetrics, logger: logger),
      stop: stop, status: status)
    return loop.run()
  }
}
