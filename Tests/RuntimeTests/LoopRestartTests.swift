import Dataflow
import Events
import Logging
import Metrics
import Ports
import Testing
import Threads
import Views

@testable import Runtime

/// What a loop starts from, and that it does not matter to the result.
@Suite struct LoopRestartTests {
  /// A frame each ten seconds; every third corrects the first windows, and ids come again.
  private static func entries(_ count: Int) -> [LogEntry] {
    (0..<count).map { index in
      let at = ten + Int64(index) * 10 * second
      let id = UInt64(index)
      return .events(
        [
          TestEvent(id: 3 * id, time: at),
          TestEvent(id: 3 * id + 1, time: index % 3 == 0 ? ten : at, campaign: "c2"),
          TestEvent(id: 3 * id + 2, time: at, kind: .conversion, revenue: 1_500_000),
          TestEvent(id: id, time: at),
        ], at: at)
    }
  }

  @Test("A replay may end inside a fetched batch")
  func insideBatch() {
    let world = World(Self.entries(5))
    world.runToEnd()
    world.snapshots.change { $0.blobs = [:] }
    world.log.entries = Self.entries(12)
    world.log.setBatchCountMax(8)
    let offered = world.views.now.offered.count
    world.runToEnd()
    world.expectRecount()
    #expect(
      world.views.now.offered.dropFirst(offered).allSatisfy { $0.batch.checkpoint.sequence > 5 })
  }

  @Test("Whatever is left of the snapshots, the rows come to the same")
  func snapshotsLost() throws {
    for loss in 0..<5 {
      var parameters = RuntimeParameters()
      // An increment for each frame.
      parameters.snapshotBytesMax = 0
      parameters.snapshotIntervalMs = 0
      let world = World(Self.entries(20), parameters: parameters)
      world.log.setBatchCountMax(1)
      world.clock.setTick(100_000)
      world.runToEnd()
      let names = world.snapshots.now.blobs.keys.sorted()
      try #require(names.count >= 3)
      world.snapshots.change { state in
        switch loss {
        case 0: state.blobs[names[names.count - 1]]?.removeLast()
        case 1: state.blobs[names[names.count - 1]] = []
        case 2: state.blobs[names[names.count - 1]]?[40] ^= 1
        case 3: state.blobs[names[names.count - 2]] = nil
        default: state.blobs = [:]
        }
      }
      world.log.entries = Self.entries(40)
      let frames = world.counter(RuntimeMetrics.frames)
      world.runToEnd()
      world.expectRecount("loss \(loss)")
      // Only without any snapshot is the whole log read again.
      let read = world.counter(RuntimeMetrics.frames) - frames
      #expect(loss == 4 ? read == 40 : read < 40, "loss \(loss)")
      let seams = world.views.now.checkpoint.seams
      let live = Recount(world.log.entries, spec: world.spec).live(seams)
      let hot = world.hot.now.rows.filter { $0.key.start >= seams[$0.key.level] }
      #expect(World.difference(hot, live) == "", "loss \(loss)")
    }
  }

  @Test("A stop commits what was processed and not yet due")
  func stopCommits() {
    var parameters = RuntimeParameters()
    parameters.commitIntervalMs = 86_400_000
    parameters.commitIntervalMsMax = 86_400_000
    let world = World(Self.entries(10), parameters: parameters)
    world.run { $0.sequence == 10 }
    #expect(world.views.now.offered.count == 1)
    #expect(world.views.now.checkpoint.sequence == 10)
    #expect(world.views.now.accounting.isConserved && world.views.now.accounting.received == 40)
  }

  @Test("An orderly restart reads no frame again")
  func orderly() {
    var parameters = RuntimeParameters()
    // But for the first one, the snapshot at the end is the only one.
    parameters.snapshotIntervalMs = 86_400_000
    let world = World(Self.entries(20), parameters: parameters)
    world.runToEnd()
    let frames = world.counter(RuntimeMetrics.frames)
    #expect(frames == 20)
    world.log.append(.heartbeat(at: ten + hour))
    world.runToEnd()
    #expect(world.counter(RuntimeMetrics.frames) == frames + 1)
    world.expectRecount()
  }

  @Test(
    "Read models that were set back are counted up again, without the snapshots of later frames")
  func viewsSetBack() {
    let world = World(Self.entries(10))
    world.runToEnd()
    let old = world.views.now
    let names = Set(world.snapshots.now.blobs.keys)
    world.log.entries = Self.entries(20)
    world.runToEnd()
    world.views.change { views in
      let epoch = views.epoch
      views = old
      views.epoch = epoch
    }
    let newer = Set(world.snapshots.now.blobs.keys).subtracting(names)
    #expect(!newer.isEmpty)
    world.run { _ in true }
    #expect(newer.isDisjoint(with: world.snapshots.now.blobs.keys))
    world.runToEnd()
    world.expectRecount()
  }

  @Test(
    "A processor runs its streams on threads of their own and commits what it has when it stops")
  func processor() {
    let world = World(Self.entries(30))
    let stop = StopFlag()
    world.power.turnOn(stop)
    let group = MemoryGroup()
    let processor = Processor(
      pipelines: [world.spec], streams: [World.events], partitions: 64, log: world.log,
      stores: ProcessorStores(
        membership: { _, _ in MemoryMembership(group) }, views: { _, _ in world.views },
        hot: { _ in world.hot }, snapshots: { _, _ in world.snapshots },
        partials: { _ in MemoryPublisher(world.published) }),
      heartbeats: HeartbeatWriter(logger: World.quiet) { MemoryPublisher(world.published) },
      place: ProcessPlace(host: "here", pid: 1, startTicks: 1, hasEnded: { _ in false }),
      clock: world.clock.loopClock, metrics: RuntimeMetrics(MetricRegistry()),
      logger: World.quiet)
    processor.start()
    let deadline = ContinuousClock.now + .seconds(60)
    while ContinuousClock.now < deadline,
      processor.statuses.first?.sequence ?? 0 < 30 || processor.group.contact != .reached
    {}
    #expect(processor.group.contact == .reached && group.now.members.count == 1)
    processor.stop()
    #expect(processor.statuses.isEmpty && group.now.members.isEmpty)
    #expect(world.views.now.checkpoint.sequence == 30)
    world.runToEnd()
    world.expectRecount()
  }
}
