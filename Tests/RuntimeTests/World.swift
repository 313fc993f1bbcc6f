import Dataflow
import Events
import Glibc
import Logging
import Metrics
import Ports
import Synchronization
import Testing
import Threads
import Views

@testable import Runtime

/// One partition with everything outside of it in memory. Its loop runs on the calling thread, as
/// often as a test restarts it; what the stores hold survives, everything else does not.
final class World: Sendable {
  let spec: PipelineSpec
  let stream: StreamPartition
  let parameters: RuntimeParameters
  let power = PowerSwitch()
  let clock = VirtualClock()
  let registry = MetricRegistry()
  /// Sixty-four partitions, so that this one has four key groups.
  let siblings = LogTimes(partitions: 64)
  let log: MemoryLog
  let views: MemoryViewStore
  let hot: MemoryHotStore
  let snapshots: MemorySnapshotStore
  let heartbeats: HeartbeatWriter
  let published = PublishedFrames()
  let generations = GenerationBoard()
  /// Of a second stage.
  let remaker = Shared<PartialRemaker?>(nil)
  /// What a loop was waiting for when it tried to commit again.
  let waits = Shared<[PartitionStatus]>([])
  /// How the last run ended.
  let lastEnd = Shared(PartitionLoop.End.stopped)

  static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  static let events = StreamPartition(stream: "events-00", generation: 1, partition: 0)
  static let deadLetters = StreamPartition(stream: "dead-letters", generation: 1, partition: -1)
  static let shortGrace = PipelineSpec(
    name: "test", allowedDisorder: 2 * second, windowGrace: 7 * second)

  init(
    _ entries: [LogEntry] = [], spec: PipelineSpec = World.shortGrace,
    stream: StreamPartition = World.events, parameters: RuntimeParameters = RuntimeParameters()
  ) {
    self.spec = spec
    self.stream = stream
    self.parameters = parameters
    log = MemoryLog(clock: clock)
    log.entries = entries
    views = MemoryViewStore(power: power)
    hot = MemoryHotStore(power: power)
    snapshots = MemorySnapshotStore(power: power)
    let published = published
    heartbeats = HeartbeatWriter(logger: Self.quiet) { MemoryPublisher(published) }
  }

  deinit { heartbeats.close() }

  /// Runs the loop until it ends by itself or `condition` holds, which is asked before each batch.
  ///
  /// - Returns: the loop's last status.
  @discardableResult
  func run(until condition: @escaping @Sendable (PartitionStatus) -> Bool) -> PartitionStatus {
    let stop = StopFlag()
    let workers = [SerialWorker(name: "snapshots"), SerialWorker(name: "compaction")]
    let loop = loop(writing: workers[0], compacting: workers[1], stop: stop)
    let (archive, status) = (loop.environment.snapshots, loop.status)
    let deadline = ContinuousClock.now + .seconds(60)
    // How long a snapshot takes to write has no say in what a run comes to.
    let settle = { @Sendable in
      while !archive.isIdle { sched_yield() }
    }
    views.change {
      $0.turn = { [waits] in
        settle()
        let now = status.current
        if now.phase == .waiting { waits.update { $0.append(now) } }
      }
    }
    let thread = pthread_self()
    log.onTurn {
      // Others read too: whoever makes a base must not wait for itself.
      guard pthread_equal(pthread_self(), thread) != 0 else { return }
      settle()
      if condition(status.current) { stop.set() }
      if ContinuousClock.now > deadline {
        Issue.record("what was waited for did not come: \(status.current)")
        stop.set()
      }
      sched_yield()
    }
    let end = loop.run()
    lastEnd.update { $0 = end }
    log.onTurn(nil)
    views.change { $0.turn = nil }
    for worker in workers { worker.close() }
    return status.current
  }

  /// A loop that is driven by whoever asks for it.
  func loop(
    writing: SerialWorker = .immediate(), compacting: SerialWorker = .immediate(),
    stop: StopFlag = StopFlag()
  ) -> PartitionLoop {
    power.turnOn(stop)
    let metrics = RuntimeMetrics(registry).loop(pipeline: spec.name, stream: stream.stream)
    let archive = SnapshotArchive(
      store: snapshots,
      maker: BaseMaker(spec: spec, stream: stream, partitions: siblings.partitions, log: log),
      writing: writing, compacting: compacting, parameters: parameters, metrics: metrics,
      logger: Self.quiet)
    let status = Shared(
      PartitionStatus(
        pipeline: spec.name, stream: stream, phase: .starting, detail: "", sequence: 0,
        committed: 0, lastKnown: 0, logTime: .min, watermark: .min,
        idCountMax: spec.dedupeCountMax))
    return PartitionLoop(
      spec: spec, stream: stream,
      environment: PartitionLoop.Environment(
        owner: "here", log: log, views: views, hot: hot, snapshots: archive,
        remaker: remaker.current, heartbeats: heartbeats, siblings: siblings,
        generations: generations, parameters: parameters, clock: clock.loopClock,
        metrics: metrics, logger: Self.quiet),
      stop: stop, status: status)
  }

  /// Runs until everything in the log is committed, hour and day rows included.
  @discardableResult
  func runToEnd() -> PartitionStatus {
    run { [self] _ in
      let checkpoint = views.now.checkpoint
      return checkpoint.sequence == log.count && checkpoint.coarseSequence == log.count
    }
  }

  func counter(_ declaration: MetricDeclaration) -> Int {
    registry.counter(declaration).with(labels: [spec.name, stream.stream]).value
  }

  /// The first sample of the exposition that begins and goes on so.
  func sample(_ name: String, _ part: String = "") -> Double? {
    let text = String(decoding: registry.exposition(.prometheusText), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix(name) && $0.contains(part) }
    return line?.split(separator: " ").last.flatMap { Double($0) }
  }

  /// The durable rows, late events and counts are those of a recount of the whole log.
  func expectRecount(_ what: String = "", sourceLocation: SourceLocation = #_sourceLocation) {
    let recount = Recount(log.entries, spec: spec)
    let views = views.now
    #expect(views.accounting == recount.accounting, "\(what)", sourceLocation: sourceLocation)
    #expect(views.accounting.isConserved, "\(what)", sourceLocation: sourceLocation)
    #expect(views.late.count == recount.lateCount, "\(what)", sourceLocation: sourceLocation)
    #expect(
      Self.difference(views.rows, recount.durable) == "", "\(what)",
      sourceLocation: sourceLocation)
  }

  /// The first few differences as text; empty if there are none.
  static func difference(
    _ found: [RowKey: RowValue], _ expected: [RowKey: RowValue]
  ) -> String {
    Set(found.keys).union(expected.keys).filter { found[$0] != expected[$0] }.prefix(3).map { key in
      "\(key.level) \(key.start): \(String(describing: found[key])) is not "
        + "\(String(describing: expected[key]))\n"
    }.joined()
  }
}

/// What publishers of a test were given.
final class PublishedFrames: Sendable {
  private let frames = Mutex<[(messageID: String, bytes: [UInt8])]>([])

  var all: [(messageID: String, bytes: [UInt8])] { frames.withLock { $0 } }

  func add(_ messageID: String, _ bytes: [UInt8]) {
    frames.withLock { $0.append((messageID, bytes)) }
  }
}

/// Stores every frame at once.
final class MemoryPublisher: FramePublisher {
  private let published: PublishedFrames
  private var done: [(token: UInt64, outcome: PublishOutcome)] = []

  init(_ published: PublishedFrames) { self.published = published }

  var inFlight: Int { done.count }
  var windowMax: Int { 16 }

  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {
    published.add(messageID, frame)
    done.append((token, .stored(sequence: token, duplicate: false)))
  }

  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] {
    defer { done = [] }
    return done
  }

  func wake() {}
}
