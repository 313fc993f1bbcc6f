import Events
import MemoryPorts
import Testing
import Views

@testable import QueryAPI

@Suite struct PositionWatcherTests {
  private let view = SimulatedView(
    partitions: (0..<2).map { _ in
      SimulatedPartition(
        events: (0..<50).map { index in
          SimulatedEvent(
            logTime: Int64(index) * 1_000_000, time: Int64(index) * 1_000_000,
            tuple: DimensionTuple(site: "default"), kind: 1, revenueMicros: 0)
        })
    })

  private func set(_ first: Int, _ second: Int) {
    view.set(committed: [1, 1], coarse: [1, 1], hot: [first, second], made: [1, 1])
  }

  private func position(_ text: String) throws -> Position { try #require(Position(text)) }

  @Test("a position that is covered is told at once, another one when it is reached")
  func waits() async throws {
    set(3, 4)
    let watcher = PositionWatcher(view: view.executor.view)
    let deadline = ContinuousClock.now + .seconds(20)
    #expect(try await watcher.wait(for: try position("1~0.3~1.4"), until: deadline))
    let wanted = try position("1~0.5~1.4")
    let wait = Task { try await watcher.wait(for: wanted, until: deadline) }
    try await eventually { await watcher.waiterCount == 1 }
    set(4, 9)
    set(5, 9)
    #expect(try await wait.value)
    try await eventually { await watcher.waiterCount == 0 }
  }

  @Test("a deadline ends the wait")
  func deadline() async throws {
    set(3, 4)
    let watcher = PositionWatcher(view: view.executor.view)
    let isCovered = try await watcher.wait(
      for: try position("1~0.5"), until: .now + .milliseconds(30))
    #expect(!isCovered)
    #expect(await watcher.latest.covered == Position("1~0.3~1.4"))
  }

  @Test("a cancelled wait ends and leaves nothing behind")
  func cancelled() async throws {
    set(3, 4)
    let watcher = PositionWatcher(view: view.executor.view)
    let wanted = try position("1~0.5")
    let wait = Task { try await watcher.wait(for: wanted, until: .now + .seconds(60)) }
    try await eventually { await watcher.waiterCount == 1 }
    wait.cancel()
    #expect(try await wait.value == false)
    #expect(await watcher.waiterCount == 0)
  }

  @Test("more waiters than allowed are refused")
  func bounded() async throws {
    set(3, 4)
    var settings = PositionWatcher.Settings()
    settings.waiterCountMax = 1
    let watcher = PositionWatcher(view: view.executor.view, settings: settings)
    // From here on nothing new is seen, so the one waiter stays.
    #expect(try await watcher.wait(for: try position("1~0.3~1.4"), until: .now + .seconds(20)))
    let wanted = try position("1~0.5")
    let wait = Task { try await watcher.wait(for: wanted, until: .now + .seconds(60)) }
    try await eventually { await watcher.waiterCount == 1 }
    let error = await #expect(throws: QueryError.self) {
      try await watcher.wait(for: wanted, until: .now + .seconds(60))
    }
    #expect(error?.code == .tooManyWaiters)
    wait.cancel()
    _ = try await wait.value
  }

  @Test("without the hot copy, hours and days as they were written count")
  func hotAway() async throws {
    view.set(committed: [20, 20], coarse: [15, 18], hot: [25, 25], made: [1, 1])
    view.hot.update { $0.isAway = true }
    let watcher = PositionWatcher(view: view.executor.view)
    #expect(
      try await watcher.wait(for: try position("1~0.15~1.18"), until: .now + .seconds(20)))
    #expect(await watcher.latest.covered == Position("1~0.15~1.18"))
  }
}
