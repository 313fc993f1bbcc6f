import Dataflow
import Events
import Ports
import Testing
import Views

@testable import Runtime

/// Stores that have no room for a while: what a loop says, and that it goes on by itself.
@Suite struct FullStoreTests {
  private static let entries = (0..<40).map { index in
    LogEntry.events([TestEvent(id: UInt64(index), time: ten)], at: ten + Int64(index) * second)
  }

  private static func expose(_ status: PartitionStatus, _ world: World) {
    RuntimeMetrics(world.registry).observe({ [status] }, now: { ten })
  }

  private static func gauge(_ store: WrittenStore, _ world: World) -> Double? {
    world.sample("smartcontent_store_full{", "store=\"\(store.rawValue)\"")
  }

  @Test("While Postgres is full nothing further is read, and readiness says why")
  func postgres() throws {
    let world = World(Self.entries)
    world.views.change { $0.script = [.full, .full, .full] }
    let status = world.runToEnd()
    let waits = world.waits.current
    #expect(waits.count == 3 && Set(waits.map(\.sequence)).count == 1)
    for wait in waits {
      #expect(wait.fullStores == [.postgres])
      #expect(
        PartitionStatus.worstProblem(of: [wait])
          == "test/events-00 is waiting: Postgres has no room left; make some on its disk:"
          + " no space left on device")
    }
    Self.expose(try #require(waits.first), world)
    #expect(Self.gauge(.postgres, world) == 1 && Self.gauge(.redis, world) == 0)
    #expect(status.problem == nil && status.fullStores.isEmpty)
    world.expectRecount()
  }

  @Test("While Redis is full events are processed and committed, and readiness says why")
  func redis() throws {
    let world = World(Self.entries)
    world.hot.change { $0.isFull = true }
    let full = Shared<PartitionStatus?>(nil)
    let status = world.run { status in
      if status.fullStores == [.redis], status.committed > 0 {
        full.update { $0 = status }
        world.hot.change { $0.isFull = false }
      }
      return full.current != nil && status.committed == 40
        && world.hot.now.header?.sequence == 40
    }
    let seen = try #require(full.current)
    #expect(seen.problem == "cannot write the hot copy to Redis: no memory left")
    Self.expose(seen, world)
    #expect(Self.gauge(.redis, world) == 1 && Self.gauge(.postgres, world) == 0)
    #expect(status.fullStores.isEmpty)
  }

  @Test("While the disk of snapshots is full everything goes on, and readiness says why")
  func snapshots() throws {
    var parameters = RuntimeParameters()
    parameters.snapshotIntervalMs = 0
    parameters.commitIntervalMs = 1
    let world = World(Self.entries, parameters: parameters)
    world.snapshots.change { $0.isFull = true }
    let full = Shared<PartitionStatus?>(nil)
    let status = world.run { status in
      if status.fullStores == [.snapshots] {
        full.update { $0 = status }
        world.snapshots.change { $0.isFull = false }
      }
      return full.current != nil && status.problem == nil && status.committed == 40
    }
    let seen = try #require(full.current)
    #expect(seen.problem?.contains("cannot write snapshots") == true)
    Self.expose(seen, world)
    #expect(Self.gauge(.snapshots, world) == 1)
    #expect(status.fullStores.isEmpty && !world.snapshots.now.blobs.isEmpty)
  }

  @Test("A store is full until it has taken something again, though it cannot be reached meanwhile")
  func sticky() {
    let world = World(Self.entries)
    world.views.change { $0.script = [.full, .unavailable, .unavailable] }
    let status = world.runToEnd()
    #expect(world.waits.current.map(\.fullStores) == [[.postgres], [.postgres], [.postgres]])
    #expect(status.fullStores.isEmpty)
  }
}
