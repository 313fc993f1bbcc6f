import Dataflow
import Events
import Logging
import Metrics
import Ports
import Synchronization
import Testing
import Threads
import Views

@testable import Runtime

/// One partition that is followed by two: what the first knew of persons goes on in the others.
@Suite struct GenerationTests {
  /// Partition 0 of each generation, with stores of its own. The last generation has two partitions,
  /// the others one.
  private final class Generations: Sendable {
    let worlds: [World]
    let board = GenerationBoard()
    let spec: PipelineSpec

    static let names = ["events-00", "events-g2-00", "events-g3-00"]

    var old: World { worlds[0] }
    var new: World { worlds[worlds.count - 1] }

    init(
      _ logs: [LogEntry]..., spec: PipelineSpec = World.shortGrace,
      parameters: RuntimeParameters = RuntimeParameters()
    ) {
      self.spec = spec
      worlds = logs.enumerated().map { index, log in
        World(
          log, spec: spec,
          stream: StreamPartition(
            stream: Self.names[index], generation: UInt32(index + 1), partition: 0),
          parameters: parameters)
      }
    }

    func world(_ stream: String) -> World {
      worlds.first { $0.stream.stream == stream } ?? new
    }

    /// - Parameter ends: the last sequence of each stream but the newest, nil while it is open.
    func know(ends: UInt64?...) {
      let earlier = ends.enumerated().map { index, end in
        LogGeneration(number: UInt32(index + 1), streams: [Self.names[index]], ends: [end])
      }
      let streams = [Self.names[ends.count], "events-g\(ends.count + 1)-01"]
      _ = board.update(
        earlier + [LogGeneration(number: UInt32(ends.count + 1), streams: streams)])
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
          maker: BaseMaker(
            spec: spec, stream: of.stream, partitions: partitions, log: AllLogs(self)),
          writing: workers[0], compacting: workers[1], parameters: world.parameters,
          metrics: metrics, logger: World.quiet)
      }
      let status = Shared(
        PartitionStatus(
          pipeline: spec.name, stream: world.stream, phase: .starting, detail: "", sequence: 0,
          committed: 0, lastKnown: 0, logTime: .min, watermark: .min, idCountMax: 1))
      let earlier = worlds.map { ($0.stream.stream, archive($0)) }
      let loop = PartitionLoop(
        spec: spec, stream: world.stream,
        environment: PartitionLoop.Environment(
          owner: "here", log: AllLogs(self), views: AllStores(own: world.views, self),
          hot: world.hot,
          snapshots: archive(world), heartbeats: world.heartbeats, siblings: world.siblings,
          generations: board,
          earlierSnapshots: { stream, notAfter in
            guard let own = earlier.first(where: { $0.0 == stream.stream })?.1 else {
              return (nil, [])
            }
            let restored = own.restore(notAfter: notAfter)
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

  /// The streams by their names.
  private final class AllLogs: EventLog {
    let all: Generations
    /// A stream that is there and empty.
    let empty: String?
    init(_ all: Generations, empty: String? = nil) {
      self.all = all
      self.empty = empty
    }

    func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
      try all.world(stream).log.reader(stream: stream, after: after)
    }
    func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
      try all.world(stream).log.frame(stream: stream, sequence: sequence)
    }
    func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
      stream == empty ? (0, 0) : try all.world(stream).log.bounds(stream: stream)
    }
  }

  /// A stream's own store, and what is committed of the others.
  private final class AllStores: ViewStore {
    let own: MemoryViewStore
    let all: Generations
    init(own: MemoryViewStore, _ all: Generations) { (self.own, self.all) = (own, all) }

    func claim(
      _ stream: StreamPartition, owner: String
    ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting) {
      try own.claim(stream, owner: owner)
    }
    func committed(
      _ stream: StreamPartition
    ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting) {
      try all.world(stream.stream).views.committed(stream)
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
  private static func world() -> Generations {
    Generations(
      frames(20, from: 1000, at: ten),
      frames(15, from: 1015, at: ten + 25 * second) + frames(10, from: 2000, at: ten + 50 * second))
  }

  @Test("A sealed stream is committed to its end, with every row, and is not read again")
  func end() throws {
    let world = Self.world()
    world.know(ends: nil)
    #expect(world.runToEnd(world.old) == .stopped)
    let open = world.old.views.now
    #expect(!open.checkpoint.isFinished)
    world.know(ends: 20)
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
    let world = Generations([], [])
    world.know(ends: 0)
    #expect(world.run(world.old) == .finished)
    #expect(world.old.views.now.checkpoint.isFinished)
  }

  @Test("The next generation waits until the one before is finished")
  func waits() {
    let world = Self.world()
    world.know(ends: nil)
    _ = world.runToEnd(world.old)
    world.know(ends: 20)
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
    world.know(ends: 20)
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
    "What a generation knew goes on through the next ones, whatever is left of the snapshots",
    arguments: [Set<Int>(), [0], [1], [0, 1], [0, 1, 2]])
  func third(lost: Set<Int>) {
    // 30 ids; 15 of them again and 15 new ones; then all 45 again.
    let world = Generations(
      Self.frames(10, from: 1000, at: ten),
      Self.frames(5, from: 1015, at: ten + 20 * second)
        + Self.frames(5, from: 2000, at: ten + 25 * second),
      Self.frames(10, from: 1000, at: ten + 40 * second)
        + Self.frames(5, from: 2000, at: ten + 50 * second))
    world.know(ends: 10)
    #expect(world.run(world.worlds[0]) == .finished)
    world.know(ends: 10, 10)
    #expect(world.run(world.worlds[1]) == .finished)
    #expect(world.worlds[1].views.now.accounting.duplicate == 15)
    let all = world.new.log.entries
    world.new.log.entries = Array(all.prefix(6))
    #expect(world.runToEnd(world.new) == .stopped)
    for index in lost { world.worlds[index].snapshots.change { $0.blobs = [:] } }
    world.new.log.entries = all
    #expect(world.runToEnd(world.new) == .stopped)
    #expect(world.new.views.now.accounting.duplicate == 45)
    // Whoever begins anew with what is left comes to the same.
    let late = Generations(world.old.log.entries, world.worlds[1].log.entries, all)
    late.know(ends: 10)
    #expect(late.run(late.worlds[0]) == .finished)
    late.know(ends: 10, 10)
    #expect(late.run(late.worlds[1]) == .finished)
    for index in lost { late.worlds[index].snapshots.change { $0.blobs = [:] } }
    #expect(late.runToEnd(late.new) == .stopped)
    #expect(late.new.views.now.accounting.duplicate == 45)
  }

  @Test("A replay over the cut has the rows that the loops have committed, and their counts")
  func replayed() throws {
    let world = Self.world()
    world.know(ends: 20)
    #expect(world.run(world.old) == .finished)
    #expect(world.runToEnd(world.new) == .stopped)
    // The other partition of the second generation is empty.
    let generations = [
      LogGeneration(number: 1, streams: ["events-00"], ends: [20]),
      LogGeneration(number: 2, streams: ["events-g2-00"]),
    ]
    let views = try LogReplay(
      world.spec, generations: generations, deadLetters: World.deadLetters,
      log: AllLogs(world, empty: "dead-letters"), until: .max
    ).run()
    for loops in world.worlds {
      let stored = loops.views.now
      let rows = views.windows.filter { window in
        let isWritten = window.row.level.isCoarse || window.row.isFinal
        return window.stream == loops.stream && isWritten
      }
      let replayed = Dictionary(
        uniqueKeysWithValues: rows.map { window in
          let row = window.row
          return (
            RowKey(level: row.level, start: row.start, tuple: window.tuple.encoded),
            RowValue(counts: row.counts, revision: row.revision)
          )
        })
      #expect(World.difference(replayed, stored.rows) == "")
      #expect(views.accountingByStream[loops.stream] == stored.accounting)
      #expect(views.checkpointsByStream[loops.stream] == stored.checkpoint)
    }
  }

  @Test(
    "A crash at any commit at the end of a stream, or at the beginning of the next, changes nothing"
  )
  func crashes() {
    for crash in [MemoryViewStore.Outcome.crashBefore, .crashAfter, .unavailable] {
      for place in 0..<4 {
        let world = Self.world()
        world.know(ends: 20)
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

  @Test("What a stream took over is in a base that its loop does not make")
  func inheritedBase() {
    var parameters = RuntimeParameters()
    parameters.snapshotIntervalMs = 0
    parameters.snapshotBytesMax = 0
    parameters.commitIntervalMs = 1
    let all = Self.frames(15, from: 1015, at: ten + 25 * second)
    let world = Generations(
      Self.frames(20, from: 1000, at: ten), Array(all.prefix(8)), parameters: parameters)
    world.know(ends: 20)
    #expect(world.run(world.old) == .finished)
    #expect(world.runToEnd(world.new) == .stopped)
    #expect(world.new.counter(RuntimeMetrics.snapshotsLeftOut) == 1)
    let written = world.new.snapshots.now.written
    let increments = written.filter { $0.name.hasPrefix("increment") }
    #expect(!increments.isEmpty && written.contains { $0.name.hasPrefix("base") })
    #expect(!increments.contains { $0.name.hasPrefix("increment-00000000000000000000-") })
    // Nothing of the stream before is needed any more.
    world.old.snapshots.change { $0.blobs = [:] }
    world.old.log.entries = []
    world.new.log.entries = all
    #expect(world.runToEnd(world.new) == .stopped)
    #expect(world.new.views.now.accounting.duplicate == 45)
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
