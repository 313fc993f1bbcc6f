import Dataflow
import Events
import Logging
import Metrics
import Ports
import Synchronization
import Testing
import Views

@testable import Runtime

/// One partition that is followed by two: what the first knew of persons goes on in the others.
@Suite struct GenerationTests {
  /// The streams of both generations, each with stores of its own.
  private final class TwoGenerations: Sendable {
    let old: World
    let new: World
    let board = GenerationBoard()
    let spec: PipelineSpec

    static let first = StreamPartition(stream: "events-00", generation: 1, partition: 0)
    static let second = StreamPartition(stream: "events-g2-00", generation: 2, partition: 0)

    init(_ before: [LogEntry], _ after: [LogEntry], spec: PipelineSpec = World.shortGrace) {
      self.spec = spec
      old = World(before, spec: spec, stream: Self.first)
      new = World(after, spec: spec, stream: Self.second)
    }

    /// - Parameter end: the last sequence of the first stream, nil while it is open.
    func know(end: UInt64?) {
      _ = board.update([
        LogGeneration(number: 1, streams: ["events-00"], ends: [end]),
        LogGeneration(number: 2, streams: ["events-g2-00", "events-g2-01"]),
      ])
    }

    /// Runs one stream's loop until it ends or the condition holds, asked before each batch and step.
    func run(
      _ world: World,
      until condition: @escaping @Sendable (PartitionStatus) -> Bool = { _ in false }
    ) -> PartitionLoop.End {
      let stop = StopFlag()
      world.power.turnOn(stop)
      let workers = [SerialWorker(name: "snapshots"), SerialWorker(name: "compaction")]
      let metrics = RuntimeMetrics(world.registry).loop(
        pipeline: spec.name, stream: world.stream.stream)
      let partitions = board.generation(world.stream.generation)?.partitions ?? 1
      func archive(_ of: World) -> SnapshotArchive {
        SnapshotArchive(
          store: of.snapshots,
          compactor: PartitionLoop.compactor(spec, of.stream, partitions: partitions),
          writing: workers[0], compacting: workers[1], parameters: world.parameters,
          metrics: metrics, logger: World.quiet)
      }
      let status = Shared(
        PartitionStatus(
          pipeline: spec.name, stream: world.stream, phase: .starting, detail: "", sequence: 0,
          committed: 0, lastKnown: 0, logTime: .min, watermark: .min, idCountMax: 1))
      let earlier = archive(old)
      let loop = PartitionLoop(
        spec: spec, stream: world.stream,
        environment: PartitionLoop.Environment(
          owner: "here", log: TwoLogs(old: old.log, new: new.log),
          views: TwoStores(own: world.views, old: old.views), hot: world.hot,
          snapshots: archive(world), heartbeats: world.heartbeats, siblings: world.siblings,
          generations: board,
          earlierSnapshots: { _, notAfter in
            let restored = earlier.restore(notAfter: notAfter)
            return (restored.base, restored.increments)
          }, parameters: world.parameters, clock: world.clock.loopClock, metrics: metrics,
          logger: World.quiet),
        stop: stop, status: status)
      var end: PartitionLoop.End?
      for _ in 0..<1_000_000 where end == nil {
        if condition(status.current) { stop.set() }
        if case .ended(let reason) = loop.step() { end = reason }
      }
      for worker in workers { worker.close() }
      return end ?? .halted("it never ended")
    }

    func runToEnd(_ world: World) -> PartitionLoop.End {
      run(world) { _ in
        let checkpoint = world.views.now.checkpoint
        return checkpoint.sequence == world.log.count
          && checkpoint.coarseSequence == world.log.count
      }
    }
  }

  /// Both streams by their names.
  private final class TwoLogs: EventLog {
    let old: MemoryLog
    let new: MemoryLog
    init(old: MemoryLog, new: MemoryLog) { (self.old, self.new) = (old, new) }

    private func log(_ stream: String) -> MemoryLog { stream == "events-00" ? old : new }

    func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
      try log(stream).reader(stream: stream, after: after)
    }
    func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
      try log(stream).frame(stream: stream, sequence: sequence)
    }
    func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
      try log(stream).bounds(stream: stream)
    }
  }

  /// A stream's own store, and what is committed of the earlier stream.
  private final class TwoStores: ViewStore {
    let own: MemoryViewStore
    let old: MemoryViewStore
    init(own: MemoryViewStore, old: MemoryViewStore) { (self.own, self.old) = (own, old) }

    func claim(
      _ stream: StreamPartition, owner: String
    ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting) {
      try own.claim(stream, owner: owner)
    }
    func committed(
      _ stream: StreamPartition
    ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting) {
      try old.committed(stream)
    }
    func commit(
      _ batch: CommitBatch, stream: StreamPartition, epoch: Int64, previous: UInt64
    ) throws(ViewStoreError) {
      try own.commit(batch, stream: stream, epoch: epoch, previous: previous)
    }
  }

  /// A frame each second with three events, beginning with that id.
  private static func frames(_ count: Int, from id: UInt64, at start: Int64) -> [LogEntry] {
    (0..<count).map { index in
      let at = start + Int64(index) * second
      return .events(
        (0..<3).map { TestEvent(id: id + UInt64(3 * index + $0), time: at, campaign: "c\($0)") },
        at: at)
    }
  }

  /// 60 ids in the first stream; in the second 45 of them again, and 30 new ones.
  private static func world() -> TwoGenerations {
    TwoGenerations(
      frames(20, from: 1000, at: ten),
      frames(15, from: 1015, at: ten + 25 * second) + frames(10, from: 2000, at: ten + 50 * second))
  }

  @Test("A sealed stream is committed to its end, with every row, and is not read again")
  func end() throws {
    let world = Self.world()
    world.know(end: nil)
    #expect(world.runToEnd(world.old) == .stopped)
    let open = world.old.views.now
    #expect(!open.checkpoint.isFinished)
    world.know(end: 20)
    #expect(world.run(world.old) == .finished)
    let views = world.old.views.now
    #expect(views.checkpoint.isFinished && views.checkpoint.sequence == 20)
    #expect(views.checkpoint.logTime == ten + 19 * second, "time itself does not go on")
    #expect(views.accounting.received == 60 && views.accounting.onTime == 60)
    for level in WindowLevel.allCases {
      let rows = views.rows.filter { $0.key.level == level }
      #expect(rows.values.reduce(0) { $0 + $1.counts.impressions } == 60, "\(level)")
    }
    let offered = views.offered.count
    #expect(world.run(world.old) == .finished)
    #expect(world.old.views.now.offered.count == offered)
    // An open stream at the end of which there is nothing yet is another matter.
    #expect(open.rows.filter { $0.key.level == .tenSeconds }.count < views.rows.count)
  }

  @Test("An empty stream ends too")
  func emptyEnd() {
    let world = TwoGenerations([], [])
    world.know(end: 0)
    #expect(world.run(world.old) == .finished)
    #expect(world.old.views.now.checkpoint.isFinished)
  }

  @Test("The next generation waits until the one before is finished")
  func waits() {
    let world = Self.world()
    world.know(end: nil)
    _ = world.runToEnd(world.old)
    world.know(end: 20)
    let attempts = Mutex(0)
    let end = world.run(world.new) { status in
      let isWaiting = status.phase == .waiting && status.detail.contains("generation 1")
      return isWaiting
        && attempts.withLock {
          $0 += 1; return $0
        } > 3
    }
    #expect(end == .stopped && world.new.views.now.offered.isEmpty)
    #expect(world.run(world.old) == .finished)
    #expect(world.runToEnd(world.new) == .stopped)
    #expect(world.new.views.now.accounting.duplicate == 45)
  }

  @Test(
    "Copies of events across the cut are found, whatever is left of the snapshots",
    arguments: ["all", "none of the first", "damaged", "none of the second", "none"])
  func copies(kept: String) {
    let world = Self.world()
    world.know(end: 20)
    #expect(world.run(world.old) == .finished)
    if kept == "none" || kept.hasSuffix("first") { world.old.snapshots.change { $0.blobs = [:] } }
    if kept == "damaged" {
      world.old.snapshots.change { state in
        for name in state.blobs.keys { state.blobs[name]?[50] ^= 1 }
      }
    }
    // Half of the second stream, and then the rest with what is left.
    let all = world.new.log.entries
    world.new.log.entries = Array(all.prefix(8))
    #expect(world.runToEnd(world.new) == .stopped)
    #expect(world.new.views.now.accounting.duplicate == 24)
    if kept == "none" || kept.hasSuffix("second") { world.new.snapshots.change { $0.blobs = [:] } }
    world.new.log.entries = all
    #expect(world.runToEnd(world.new) == .stopped)
    let views = world.new.views.now
    #expect(views.accounting.received == 75 && views.accounting.duplicate == 45)
    #expect(views.accounting.onTime == 30 && views.accounting.isConserved)
    let days = views.rows.filter { $0.key.level == .day }
    #expect(days.values.reduce(0) { $0 + $1.counts.impressions } == 30)
  }

  @Test(
    "A crash at any commit at the end of a stream, or at the beginning of the next, changes nothing"
  )
  func crashes() {
    for crash in [MemoryViewStore.Outcome.crashBefore, .crashAfter, .unavailable] {
      for place in 0..<4 {
        let world = Self.world()
        world.know(end: 20)
        for stream in [world.old, world.new] {
          stream.views.change {
            $0.script = Array(repeating: .done, count: place) + [crash]
          }
        }
        var end = PartitionLoop.End.stopped
        for _ in 0..<3 where end != .finished { end = world.run(world.old) }
        #expect(end == .finished, "\(crash) \(place)")
        for _ in 0..<3 { _ = world.runToEnd(world.new) }
        let views = world.new.views.now
        #expect(views.accounting.duplicate == 45 && views.accounting.onTime == 30)
        let rows = world.old.views.now.rows.filter { $0.key.level == .tenSeconds }
        #expect(rows.values.reduce(0) { $0 + $1.counts.impressions } == 60, "\(crash) \(place)")
      }
    }
  }

  @Test("The board lists the generations that are due, and forgets none")
  func board() {
    let board = GenerationBoard([LogGeneration(number: 1, streams: ["a", "b"])])
    let second = LogGeneration(number: 2, streams: ["c"])
    #expect(board.update([second]) && board.due.map(\.number) == [1])
    #expect(!board.update([]) && board.all.map(\.number) == [1, 2])
    #expect(board.update([LogGeneration(number: 1, streams: ["a", "b"], ends: [nil, 4])]))
    #expect(board.due.map(\.number) == [1, 2])
    #expect(board.end(of: StreamPartition(stream: "b", generation: 1, partition: 1)) == 4)
    #expect(board.end(of: StreamPartition(stream: "a", generation: 1, partition: 0)) == nil)
    #expect(board.predecessor(of: 2)?.number == 1 && board.predecessor(of: 1) == nil)
  }
}
