import Dataflow
import Ports
import Synchronization
import Testing

@testable import Runtime
import Threads

@Suite("Loops come and go one by one")
struct LoopSetTests {
  private static let item = AssignmentTests.items(1)[0]

  /// Loops that run until they are stopped, or end at once as told.
  private static func loops(
    _ bell: Bell, ending: PartitionLoop.End? = nil, runs: Shared<Int> = Shared(0)
  ) -> LoopSet {
    LoopSet(bell: bell, idCountMax: { _ in 7 }, noted: { _, _ in }) { _, stop, status in
      runs.update { $0 += 1 }
      status.update { $0.epoch = 3 }
      if let ending { return ending }
      while !stop.wait(milliseconds: 10) {}
      return .stopped
    }
  }

  @Test("a loop runs once until it is stopped, and is taken out once")
  func stopped() {
    let bell = Bell()
    let runs = Shared(0)
    let loops = Self.loops(bell, runs: runs)
    loops.start(Self.item)
    loops.start(Self.item)
    #expect(loops.statuses.map(\.idCountMax) == [7])
    while loops.epochs[Self.item] != 3 { bell.wait(milliseconds: 1) }
    #expect(loops.takeEnded().isEmpty)
    loops.stop(Self.item)
    var ended: [PartitionLoop.End] = []
    // The end rings: the wait is never as long as it may be.
    while ended.isEmpty {
      bell.wait(milliseconds: 60_000)
      ended = loops.takeEnded().map(\.end)
    }
    #expect(ended == [.stopped] && runs.current == 1)
    #expect(loops.epochs.isEmpty && loops.takeEnded().isEmpty && loops.statuses.isEmpty)
  }

  @Test("one that was fenced is taken out by itself, one that halted stays in view until stopped")
  func ended() {
    for end in [PartitionLoop.End.fenced, .halted("why")] {
      let bell = Bell()
      let loops = Self.loops(bell, ending: end)
      loops.start(Self.item)
      bell.wait(milliseconds: 60_000)
      if end != .fenced {
        #expect(loops.takeEnded().isEmpty && loops.statuses.count == 1)
        loops.stop(Self.item)
        bell.wait(milliseconds: 60_000)
      }
      #expect(loops.takeEnded().map(\.end) == [end])
    }
  }

  @Test("asking a loop to stop wakes nobody: who asks at each step would never sleep")
  func asksQuietly() {
    let bell = Bell()
    let mayEnd = StopFlag()
    let loops = LoopSet(bell: bell, idCountMax: { _ in 0 }, noted: { _, _ in }) { _, _, _ in
      while !mayEnd.wait(milliseconds: 10) {}
      return .stopped
    }
    loops.start(Self.item)
    for _ in 0..<3 { loops.stop(Self.item) }
    let begin = ContinuousClock.now
    bell.wait(milliseconds: 20)
    #expect(ContinuousClock.now - begin >= .milliseconds(20))
    mayEnd.set()
    bell.wait(milliseconds: 60_000)
    #expect(loops.takeEnded().count == 1)
  }

  @Test("a bell that has rung before is heard at once, and once")
  func rungBefore() {
    let bell = Bell()
    bell.ring()
    bell.ring()
    bell.wait(milliseconds: 60_000)
    let begin = ContinuousClock.now
    bell.wait(milliseconds: 20)
    #expect(ContinuousClock.now - begin >= .milliseconds(20))
  }
}
