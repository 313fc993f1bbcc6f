import Dataflow
import Events
import Ports
import Synchronization
import Oracles
import Testing
import Views

@testable import Runtime

/// Kills the loop at random points of random histories, and counts everything again.
@Suite struct RandomHistoryTests {
  @Test("Rows, corrections and counts are those of a naive recount, wherever the loop was killed")
  func killed() {
    var seen = Accounting()
    var kinds: Set<Kill> = []
    var deltaCount = 0
    var replayed = 0
    var leftOut = 0
    for seed in 1...50 as ClosedRange<UInt64> {
      var random = SeededGenerator(seed: seed &* 104_729)
      let world = Self.world(&random)
      let entries = world.log.entries
      for _ in 0..<(3 + random.below(8)) {
        let kill = random.pick(Kill.allCases)
        kinds.insert(kill)
        Self.prepare(kill, world, &random)
        world.log.setBatchCountMax(1 + random.below(9))
        // The log grows while the loop is down and while it runs.
        let count = UInt64(
          min(entries.count, Int(world.views.now.checkpoint.sequence) + 5 + random.below(25)))
        world.log.entries = Array(entries.prefix(Int(count)))
        let status = world.run { _ in
          let checkpoint = world.views.now.checkpoint
          return checkpoint.sequence == count && checkpoint.coarseSequence == count
        }
        #expect(status.phase == .stopped, "seed \(seed): \(status.detail)")
        #expect(world.views.now.accounting.isConserved, "seed \(seed)")
        world.views.change { $0.script = [] }
        world.snapshots.change { $0.tornWrite = nil }
      }
      world.log.entries = entries
      let status = world.runToEnd()
      #expect(status.phase == .stopped, "seed \(seed): \(status.detail)")
      world.expectRecount("seed \(seed)")
      Self.expectHot(world, seed)
      let views = world.views.now
      seen.late += views.accounting.late
      seen.tooLate += views.accounting.tooLate
      seen.duplicate += views.accounting.duplicate
      deltaCount += views.offered.reduce(0) { $0 + ($1.isWritten ? $1.batch.deltas.count : 0) }
      leftOut += world.counter(RuntimeMetrics.snapshotsLeftOut)
      replayed += world.counter(RuntimeMetrics.frames) - entries.count
    }
    // Histories that never reach a rule prove nothing about it.
    #expect(kinds.count == Kill.allCases.count)
    #expect(min(seen.late, seen.tooLate, seen.duplicate) > 200, "\(seen)")
    #expect(deltaCount > 500 && replayed > 500, "\(deltaCount) \(replayed)")
    #expect(leftOut > 50, "\(leftOut)")
  }

  private enum Kill: CaseIterable {
    case beforeCommit, afterCommit, inSnapshot, awayAtStop, withoutSnapshots, none
  }

  private static func prepare(
    _ kill: Kill, _ world: World, _ random: inout SeededGenerator
  ) {
    let count = random.below(5)
    switch kill {
    case .beforeCommit: script(.crashBefore, after: count, world)
    case .afterCommit: script(.crashAfter, after: count, world)
    case .awayAtStop: script(.unavailableAndStop, after: count, world)
    case .inSnapshot:
      let byteCount = random.below(10_000)
      world.snapshots.change { $0.tornWrite = ($0.writeCount + 1 + count, byteCount) }
    case .withoutSnapshots:
      script(.crashAfter, after: count, world)
      let (place, byte) = (random.below(100), random.below(10_000))
      world.snapshots.change { state in
        let names = state.blobs.keys.sorted()
        switch count {
        case 0: state.blobs = [:]
        case 1 where !names.isEmpty: state.blobs[names[place % names.count]] = nil
        case 2 where !names.isEmpty:
          let name = names[place % names.count]
          let byteCount = state.blobs[name]?.count ?? 0
          if byteCount > 0 { state.blobs[name]?[byte % byteCount] ^= 4 }
        default: if let last = names.last { state.blobs[last] = nil }
        }
      }
    case .none: break
    }
  }

  private static func script(
    _ outcome: MemoryViewStore.Outcome, after count: Int, _ world: World
  ) {
    world.views.change { $0.script = Array(repeating: .done, count: count) + [outcome] }
  }

  private static func expectHot(_ world: World, _ seed: UInt64) {
    let hot = world.hot.now
    guard let header = hot.header else {
      Issue.record("there is no hot copy, seed \(seed)")
      return
    }
    // The last update may be of before the last frames.
    let seen = Array(world.log.entries.prefix(Int(header.sequence)))
    let live = Recount(seen, spec: world.spec).live(header.seams)
    let found = hot.rows.filter { $0.key.start >= header.seams[$0.key.level] }
    #expect(World.difference(found, live) == "", "seed \(seed)")
  }

  private static func world(_ random: inout SeededGenerator) -> World {
    var parameters = RuntimeParameters()
    parameters.snapshotIntervalMs = random.pick([0, 300, 1000, 4000])
    parameters.snapshotBytesMax = random.pick([0, 200, 8 << 20])
    parameters.snapshotPauseBytesMax = random.pick([300, 2000, 8 << 20])
    parameters.snapshotWaitingBytesMax = random.pick([1, 1000, 64 << 20])
    parameters.snapshotCompactionBytesMin = random.pick([0, 3000, 8 << 20])
    parameters.snapshotChainCountMax = random.pick([1, 5, 512])
    parameters.coarseIntervalMs = random.pick([0, 500, 3000])
    parameters.commitIntervalMs = random.pick([1, 50, 250])
    parameters.pendingCountMax = random.pick([3, 100_000])
    let spec = PipelineSpec(
      name: "test", allowedDisorder: random.pick([0, 2 * second, 5 * second]),
      allowedLateness: random.pick([nil, nil, 30 * second, hour]),
      windowGrace: random.pick([0, 7 * second, minute]))
    let world = World(entries(&random), spec: spec, parameters: parameters)
    world.clock.setTick(random.pick([1000, 20_000, 80_000]))
    return world
  }

  private static func entries(_ random: inout SeededGenerator) -> [LogEntry] {
    var now = ten
    var sent: [TestEvent] = []
    var nextID: UInt64 = 0
    return (0..<(60 + random.below(120))).map { _ in
      now += random.pick([0, second, 3 * second, 9 * second, minute]) + random.time(upTo: second)
      if random.once(in: 40) { now += random.time(upTo: hour) }
      // The clock of a log that moved to another machine may be behind.
      let at = random.once(in: 12) ? now - random.time(upTo: minute) : now
      switch random.below(15) {
      case 0: return .heartbeat(at: at)
      case 1: return .poison(at: at)
      default:
        let events = (0..<random.below(6)).map { _ -> TestEvent in
          if !sent.isEmpty && random.once(in: 6) { return random.pick(sent) }
          nextID += 1
          let lateness = random.pick([0, second, 5 * second, 20 * second, 3 * minute, 2 * hour])
          return TestEvent(
            id: nextID, time: at - random.time(upTo: lateness),
            kind: random.pick([.impression, .view, .click, .engagement, .conversion]),
            campaign: "c\(random.below(3))", revenue: random.once(in: 2) ? 0 : 1_250_000)
        }
        sent += events
        return .events(events, at: at)
      }
    }
  }
}
