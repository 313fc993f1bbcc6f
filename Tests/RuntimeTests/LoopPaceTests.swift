import Dataflow
import Events
import Ports
import Testing

@testable import Runtime

/// How often a loop writes where something is slow, or where it has much to do.
@Suite struct LoopPaceTests {
  /// Makes steps until the condition holds, which is asked before each; time passes as they want to rest.
  private func go(_ loop: PartitionLoop, _ world: World, until condition: () -> Bool) {
    for _ in 0..<500_000 {
      if condition() { return }
      switch loop.step() {
      case .again: continue
      case .rest(let milliseconds), .wait(let milliseconds):
        world.clock.advance(micros: Int64(milliseconds) * 1000)
      case .ended(let end):
        Issue.record("the loop has ended: \(end)")
        return
      }
    }
    Issue.record("what was waited for did not come: \(loop.status.current)")
  }

  private func entry(_ number: UInt64) -> LogEntry {
    .events([TestEvent(id: number, time: ten)], at: ten + Int64(number))
  }

  private func expectLiveRows(_ world: World) throws {
    let header = try #require(world.hot.now.header)
    let live = Recount(world.log.entries, spec: world.spec).live(header.seams)
    #expect(!live.isEmpty)
    #expect(World.difference(world.hot.now.rows, live) == "")
  }

  @Test("A slow hot copy takes a share of the time, and holds up neither events nor commits")
  func slowHotCopy() throws {
    let world = World([entry(1)])
    let now = world.clock.loopClock.monotonic
    let loop = world.loop()
    go(loop, world) { world.hot.now.header?.sequence == 1 }
    let (began, before) = (now(), world.hot.now)
    let slow: Int64 = 150_000
    world.hot.change { $0.slowness = { world.clock.advance(micros: slow) } }
    // A frame each 20 ms, for twenty seconds.
    go(loop, world) {
      while world.log.count < min(1_000, 1 + UInt64((now() - began) / 20_000)) {
        world.log.append(entry(world.log.count + 1))
      }
      return world.views.now.checkpoint.sequence == 1_000
        && world.hot.now.header?.sequence == 1_000
    }
    let elapsed = now() - began
    let updates = Int64(world.hot.now.updateCount - before.updateCount)
    #expect(updates > 10 && updates * slow < elapsed / 4, "\(updates) updates in \(elapsed) µs")
    #expect(elapsed < 25 * second, "\(elapsed) µs")
    // Commits come nearly as often as beside a quick one: every 250 ms.
    #expect(world.views.now.offered.count > 50, "\(world.views.now.offered.count) commits")
    #expect(world.hot.now.rebuildCount == before.rebuildCount)
    #expect(world.counter(RuntimeMetrics.hotFailures) == 0)
    try expectLiveRows(world)
    world.hot.change { $0.slowness = nil }
    world.runToEnd()
    world.expectRecount()
  }

  @Test("A backlog is committed and copied seldom, and what is left at its end at once")
  func backlog() throws {
    let world = World((1...4_000).map(entry))
    // So that the backlog takes some tens of seconds.
    world.clock.setTick(2_000)
    let now = world.clock.loopClock.monotonic
    let began = now()
    let loop = world.loop()
    go(loop, world) { loop.status.current.sequence >= 2_900 }
    let seconds = Int((now() - began) / second)
    #expect(seconds > 10, "it was too quick to show anything")
    // The first ones come at once.
    #expect(world.views.now.offered.count <= seconds / 2 + 2)
    #expect(world.hot.now.updateCount <= seconds + 2)
    go(loop, world) { loop.status.current.sequence == 4_000 }
    let arrived = now()
    go(loop, world) {
      world.views.now.checkpoint.sequence == 4_000 && world.hot.now.header?.sequence == 4_000
    }
    #expect(now() - arrived < second / 2)
    try expectLiveRows(world)
    world.runToEnd()
    world.expectRecount()
  }
}
