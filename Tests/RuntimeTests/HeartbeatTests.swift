import Dataflow
import Events
import Glibc
import Ports
import Testing
import Views

@testable import Runtime

@Suite struct HeartbeatTests {
  private static let log = [LogEntry.events([TestEvent(id: 1, time: ten)], at: ten)]
  /// The end of the only event's first window.
  private static let end = ten + 10 * second

  @Test("A heartbeat is asked for once a window could be final if there only were frames")
  func timer() throws {
    let world = World(Self.log)
    // The watermark trails log time by two seconds.
    world.clock.setWall(Self.end + 2 * second)
    world.run { _ in world.clock.loopClock.monotonic() > 1_060_000_000 }
    #expect(world.published.all.isEmpty)
    world.clock.setWall(Self.end + 2 * second + 1)
    world.run { _ in !world.published.all.isEmpty }
    let first = try #require(world.published.all.first)
    let header = try first.bytes.withUnsafeBytes { try FrameView($0).header }
    #expect(header.kind == .heartbeat && header.partition == 0 && header.generation == 1)

    world.log.append(
      LogEntry(content: .heartbeat, bytes: first.bytes, storedAt: Self.end + 2 * second + 1))
    world.runToEnd()
    world.expectRecount()
    #expect(world.views.now.rows.keys.contains { $0.level == .tenSeconds })
    // The next thing that time would do is to let the window expire.
    let count = world.published.all.count
    let asked = world.clock.loopClock.monotonic() + 60 * second
    world.run { _ in world.clock.loopClock.monotonic() > asked }
    #expect(world.published.all.count == count)
  }

  @Test("A heartbeat is asked for where the other partitions' log time is far ahead")
  func siblings() {
    let world = World(Self.log)
    world.siblings.report(1, ten + 10 * second)
    world.run { _ in world.clock.loopClock.monotonic() > 1_060_000_000 }
    #expect(world.published.all.isEmpty)
    world.siblings.report(1, ten + 10 * second + 1)
    world.run { _ in !world.published.all.isEmpty }
    #expect(!world.published.all.isEmpty)
  }

  @Test("An empty stream and the dead letters get no heartbeats")
  func none() {
    let empty = World()
    empty.clock.setWall(ten + hour)
    empty.siblings.report(1, ten + hour)
    empty.run { _ in empty.clock.loopClock.monotonic() > 1_060_000_000 }
    #expect(empty.published.all.isEmpty)
    let dead = World([.deadLetters(1, at: ten)], stream: World.deadLetters)
    dead.clock.setWall(ten + hour)
    dead.run { _ in dead.clock.loopClock.monotonic() > 1_060_000_000 }
    #expect(dead.published.all.isEmpty)
  }

  @Test("An empty stream of a pipeline with two stages gets them once another partition has frames")
  func unheard() {
    var spec = World.shortGrace
    spec.persons = PersonPolicy()
    let world = World(spec: spec)
    world.run { _ in world.clock.loopClock.monotonic() > 2_060_000_000 }
    #expect(world.published.all.isEmpty)
    world.siblings.report(1, ten)
    world.run { _ in !world.published.all.isEmpty }
    #expect(!world.published.all.isEmpty)
  }

  @Test("No message id of a heartbeat is one of another producer's frames")
  func messageIDs() throws {
    let published = PublishedFrames()
    let writers = (0..<3).map { _ in
      HeartbeatWriter(logger: World.quiet) { MemoryPublisher(published) }
    }
    let deadline = ContinuousClock.now + .seconds(60)
    for count in 1...20 {
      for writer in writers { writer.write(World.events) }
      while published.all.count < 3 * count && ContinuousClock.now < deadline { sched_yield() }
    }
    for writer in writers { writer.close() }
    let frames = published.all
    #expect(frames.count == 60)
    #expect(Set(frames.map(\.messageID)).count == 60)
    let headers = try frames.map { frame in
      try frame.bytes.withUnsafeBytes { try FrameView($0).header }
    }
    #expect(Set(headers.map(\.producer)).count == 3)
    for (header, frame) in zip(headers, frames) {
      #expect(header.messageID == frame.messageID)
      // What a collector's frame of the same epoch, partition and number would be called.
      var other = header
      other.kind = .events
      other.producer = Key128(low: 1, high: 2)
      #expect(other.messageID != frame.messageID)
    }
  }
}
