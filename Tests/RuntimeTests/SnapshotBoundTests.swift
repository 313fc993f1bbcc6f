import Dataflow
import Events
import Operators
import Testing
import Views

@testable import Runtime

/// What the loop itself hands over in one step stays within a bound, however large state is, and
/// whatever happened to the store; restarts find state all the same.
@Suite struct SnapshotBoundTests {
  private static let eventsPerFrame = 20
  /// What a frame of these may change: an id and a note of a window for each event, and the rest.
  private static let frameByteCount = 20 * (20 + 28 + 72) + 2_000

  private static let parameters = {
    var parameters = RuntimeParameters()
    parameters.snapshotIntervalMs = 0
    parameters.snapshotBytesMax = 4_000
    parameters.snapshotPauseBytesMax = 8_000
    parameters.snapshotWaitingBytesMax = 20_000
    parameters.snapshotCompactionBytesMin = 0
    return parameters
  }()

  private static func entries(_ count: Int, from first: Int = 0) -> [LogEntry] {
    (first..<first + count).map { index in
      let at = ten + Int64(index) * second / 4
      return .events(
        (0..<eventsPerFrame).map { number in
          let id = UInt64(index * eventsPerFrame + number)
          return TestEvent(id: id, time: at, campaign: "c\(id % 97)")
        }, at: at)
    }
  }

  /// No increment is larger than the bound and what one frame changes, and every base was made by
  /// somebody else than the loop.
  private static func expectBounded(
    _ world: World, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let bound = parameters.snapshotPauseBytesMax + frameByteCount
    var largest = 0
    for (name, bytes) in world.snapshots.now.written where name.hasPrefix("increment") {
      largest = max(largest, try SnapshotArchive.check(bytes, count: nil).map(\.count).max() ?? 0)
    }
    #expect(largest > 0 && largest <= bound, "\(what)", sourceLocation: sourceLocation)
    let within = world.sample("smartcontent_snapshot_size_bytes_bucket", "le=\"100000")
    let all = world.sample("smartcontent_snapshot_size_bytes_count")
    #expect(within == all && all ?? 0 > 0, "\(what)", sourceLocation: sourceLocation)
  }

  /// Starts once more, and reads only what came after the newest snapshot.
  private static func expectRestart(
    _ world: World, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let frames = world.counter(RuntimeMetrics.frames)
    world.log.append(.heartbeat(at: ten + hour))
    world.runToEnd()
    let read = world.counter(RuntimeMetrics.frames) - frames
    #expect(read < 10, "\(what): \(read) frames", sourceLocation: sourceLocation)
    world.expectRecount(what, sourceLocation: sourceLocation)
  }

  @Test("State of any size is saved in steps of the same size")
  func large() throws {
    let world = World(Self.entries(1_000), parameters: Self.parameters)
    world.runToEnd()
    try Self.expectBounded(world, "large")
    let largestBase = world.snapshots.now.written.filter { $0.name.hasPrefix("base") }.map {
      $0.bytes.count
    }.max()
    #expect(largestBase ?? 0 > 20 * Self.parameters.snapshotPauseBytesMax)
    #expect(world.counter(RuntimeMetrics.snapshotsLeftOut) == 0)
    Self.expectRestart(world, "large")
  }

  @Test("While the disk is full changes are left out, and a base is made of the log afterwards")
  func fullDisk() throws {
    let world = World(Self.entries(1_200), parameters: Self.parameters)
    world.run { status in
      if status.sequence >= 200 { world.snapshots.change { $0.isFull = status.sequence < 900 } }
      if status.sequence > 500, status.sequence < 900 {
        #expect(status.problem?.contains("no space left on device") == true)
      }
      let checkpoint = world.views.now.checkpoint
      return checkpoint.sequence == 1_200 && checkpoint.coarseSequence == 1_200
    }
    #expect(world.counter(RuntimeMetrics.snapshotsLeftOut) > 3)
    try Self.expectBounded(world, "full disk")
    Self.expectRestart(world, "full disk")
  }

  @Test("Changes that were left out last are in a base too, though no increment comes after them")
  func leftOutLast() {
    var parameters = Self.parameters
    // Nothing is ever small enough.
    parameters.snapshotPauseBytesMax = 0
    let world = World(Self.entries(60), parameters: parameters)
    world.run { _ in
      world.views.now.checkpoint.sequence == 60
        && world.snapshots.now.blobs.keys.contains("\(SnapshotName.base(60))")
    }
    #expect(world.counter(RuntimeMetrics.snapshotsLeftOut) > 0)
    #expect(world.snapshots.now.written.allSatisfy { $0.name.hasPrefix("base") })
    Self.expectRestart(world, "left out last")
  }

  @Test("A base that cannot be made is tried again, ever less often, until it can be")
  func triedAgain() {
    let world = World(Self.entries(400), parameters: Self.parameters)
    let isDamaged = Shared(false)
    world.run { status in
      if status.sequence > 100, !isDamaged.current {
        isDamaged.update { $0 = true }
        world.snapshots.change { $0.blobs = [:] }
        // The frames are not there for a while, and it is not known that they are gone for good.
        world.log.setGivesNothing(true)
      }
      if status.sequence > 300 { world.log.setGivesNothing(false) }
      let checkpoint = world.views.now.checkpoint
      return checkpoint.sequence == 400 && checkpoint.coarseSequence == 400
    }
    #expect(world.counter(RuntimeMetrics.snapshotFailures) > 0)
    Self.expectRestart(world, "tried again")
  }

  @Test("So it is in a stream that has gone quiet meanwhile")
  func quiet() {
    var parameters = Self.parameters
    parameters.snapshotPauseBytesMax = 0
    let world = World(Self.entries(60), parameters: parameters)
    world.run { status in
      let isBack = world.counter(RuntimeMetrics.snapshotFailures) > 3
      world.log.setGivesNothing(status.sequence > 0 && !isBack)
      return world.snapshots.now.blobs.keys.contains("\(SnapshotName.base(60))")
    }
    Self.expectRestart(world, "quiet")
  }

  @Test("Where a file that is needed turns out to be corrupt a base is made of the log")
  func corrupt() throws {
    let world = World(Self.entries(600), parameters: Self.parameters)
    let isDamaged = Shared(false)
    world.run { status in
      if status.sequence > 200, !isDamaged.current {
        isDamaged.update { $0 = true }
        world.snapshots.change { state in
          for name in state.blobs.keys { state.blobs[name]?[50] ^= 1 }
        }
      }
      let checkpoint = world.views.now.checkpoint
      return checkpoint.sequence == 600 && checkpoint.coarseSequence == 600
    }
    #expect(world.counter(RuntimeMetrics.snapshotRejections) > 0)
    try Self.expectBounded(world, "corrupt")
    Self.expectRestart(world, "corrupt")
  }

  @Test("Where the frames that would be needed are gone the loop saves everything itself")
  func purged() {
    let world = World(Self.entries(600), parameters: Self.parameters)
    let isDamaged = Shared(false)
    world.run { status in
      if status.sequence > 200, !isDamaged.current {
        isDamaged.update { $0 = true }
        world.log.purge(before: 150)
        world.snapshots.change { $0.blobs = [:] }
      }
      let checkpoint = world.views.now.checkpoint
      return checkpoint.sequence == 600 && checkpoint.coarseSequence == 600
    }
    Self.expectRestart(world, "purged")
  }

  @Test("A log that gives another past than was processed makes no base")
  func otherPast() throws {
    let entries = Self.entries(20)
    let log = MemoryLog(clock: VirtualClock())
    log.entries = entries
    let maker = BaseMaker(spec: World.shortGrace, stream: World.events, partitions: 64, log: log)
    var pipeline = Pipeline(
      spec: World.shortGrace, stream: World.events, groups: 0..<4, partitions: 64)
    for (index, entry) in entries.enumerated() {
      try entry.bytes.withUnsafeBytes {
        try pipeline.process(
          frame: try FrameView($0), sequence: UInt64(index + 1), storedAt: entry.storedAt)
      }
    }
    let mark = pipeline.mark
    let base = try maker.base(of: .init(), origin: .empty, upTo: mark) { true }
    #expect((base == pipeline.snapshot(.everything)) == true)
    #expect(throws: BaseMaker.Failure.self) {
      _ = try maker.base(of: .init(), origin: .empty, upTo: mark) { false }
    }
    #expect(throws: BaseMaker.Failure.self) {
      _ = try maker.base(of: .init(), origin: .inherited([]), upTo: mark) { true }
    }
    log.entries[11] = Self.entries(1, from: 500)[0]
    #expect(throws: BaseMaker.Failure.self) {
      _ = try maker.base(of: .init(), origin: .empty, upTo: mark) { true }
    }
  }

  @Test("How long a restart reads silently before it is live is measured")
  func replay() throws {
    let world = World(Self.entries(50), parameters: Self.parameters)
    world.runToEnd()
    world.snapshots.change { $0.blobs = [:] }
    world.log.append(.heartbeat(at: ten + hour))
    world.runToEnd()
    #expect(world.sample("smartcontent_replay_seconds_count") == 2)
    let seconds = try #require(world.sample("smartcontent_replay_seconds_sum"))
    #expect(seconds > 0.01, "the clock moves a millisecond with each look")
  }

  @Test("A hot copy that cannot be written is a problem of the loop until it can be again")
  func hotProblem() {
    let world = World(Self.entries(20), parameters: Self.parameters)
    let seen = Shared<String?>(nil)
    world.hot.change { $0.isAway = true }
    let status = world.run { status in
      if let problem = status.problem, status.phase == .live {
        seen.update { $0 = PartitionStatus.worstProblem(of: [status]) ?? problem }
        world.hot.change { $0.isAway = false }
      }
      return seen.current != nil && status.problem == nil && status.sequence == 20
    }
    #expect(
      seen.current
        == "test/events-00 cannot write the hot copy to Redis: as the script says")
    #expect(status.problem == nil)
  }
}
