import Testing
import Threads

@testable import Runtime

/// When a loop is not woken for each frame.
@Suite struct LoopRestTests {
  private static let entries = (0..<8).map {
    LogEntry.events([TestEvent(id: UInt64($0 + 1), time: ten)], at: ten + Int64($0))
  }

  @Test("What comes between two updates of the hot copy gathers, but for what is known to be there")
  func rests() {
    let world = World(Array(Self.entries.prefix(6)))
    world.clock.setTick(1)
    world.log.setBatchCountMax(4)
    let loop = world.loop()
    // Claimed, checked, opened, and the first four frames.
    for _ in 0..<4 { #expect(loop.step() == .again) }
    #expect(loop.status.current.sequence == 4)
    expectRest(loop.step(), milliseconds: 35...40)
    #expect(loop.status.current.sequence == 6)
    // Where nothing comes the reader waits, so that the next one counts at once.
    #expect(loop.step() == .again)
    for entry in Self.entries.suffix(2) { world.log.append(entry) }
    world.clock.advance(micros: 40_000)
    expectRest(loop.step(), milliseconds: 35...40)
    #expect(loop.status.current.sequence == 8)
  }

  @Test("A loop that stops does not rest first")
  func stops() {
    let world = World(Self.entries)
    let stop = StopFlag()
    let loop = world.loop(stop: stop)
    for _ in 0..<4 { _ = loop.step() }
    stop.set()
    #expect(loop.step() == .ended(.stopped))
  }

  private func expectRest(
    _ step: PartitionLoop.Step, milliseconds: ClosedRange<Int>,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    guard case .rest(let rest) = step else {
      Issue.record("\(step)", sourceLocation: sourceLocation)
      return
    }
    #expect(milliseconds.contains(rest), sourceLocation: sourceLocation)
  }
}
