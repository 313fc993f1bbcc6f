import Glibc
import SessionPool
import Synchronization
import Testing

/// What a pool does with sessions that may have died with another one.
@Suite("Pools of sessions")
struct SessionPoolTests {
  private final class Session: Sendable {
    private static let count = Atomic(0)
    /// Addresses come again, numbers do not.
    let number = count.add(1, ordering: .relaxed).newValue
  }

  private enum Busy: Error { case tooMuchWaits }

  /// Makes so many pieces of work wait for each other, so that each is on a thread of its own.
  private final class Meeting: @unchecked Sendable {
    // The barrier is for use from many threads, and is ended when nobody has it any more.
    private let barrier = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)

    init(of count: UInt32) { pthread_barrier_init(barrier, nil, count) }

    deinit {
      pthread_barrier_destroy(barrier)
      barrier.deallocate()
    }

    func wait() { pthread_barrier_wait(barrier) }
  }

  /// Uses every session of the pools at once, opening those that are missing.
  private func useAll(
    _ pools: [(pool: SessionPool<Session>, size: Int)]
  ) async throws -> Set<Int> {
    let meeting = Meeting(of: UInt32(pools.reduce(0) { $0 + $1.size }))
    return try await withThrowingTaskGroup(of: Int.self) { group in
      for (pool, size) in pools {
        for _ in 0..<size {
          group.addTask {
            try await pool.run(orElse: Busy.tooMuchWaits) { session throws(Busy) in
              meeting.wait()
              let used = session ?? Session()
              session = used
              return used.number
            }
          }
        }
      }
      return try await group.reduce(into: []) { $0.insert($1) }
    }
  }

  private func pool(_ size: Int, _ losses: SessionLosses = SessionLosses()) -> SessionPool<Session>
  {
    SessionPool(size: size, waitingMax: 16, losses: losses)
  }

  @Test("sessions are kept as long as none breaks")
  func kept() async throws {
    let pool = pool(3)
    let first = try await useAll([(pool, 3)])
    #expect(first.count == 3)
    #expect(try await useAll([(pool, 3)]) == first)
  }

  @Test("where one breaks those that idle are given up, in all pools of the server")
  func given() async throws {
    let losses = SessionLosses()
    let pools = [(pool: pool(3, losses), size: 3), (pool: pool(2, losses), size: 2)]
    let other = [(pool: pool(2), size: 2)]
    let first = try await useAll(pools)
    let elsewhere = try await useAll(other)
    try await pools[0].pool.run(orElse: Busy.tooMuchWaits) { session throws(Busy) in session = nil }
    let second = try await useAll(pools)
    #expect(second.count == 5 && second.isDisjoint(with: first))
    #expect(try await useAll(pools) == second, "each is opened anew once")
    #expect(try await useAll(other) == elsewhere, "another server's are kept")
    #expect(losses.count == 1)
  }

  @Test("one that was used after another one broke has shown that it works")
  func working() async throws {
    let losses = SessionLosses()
    let (good, bad) = (pool(1, losses), pool(1, losses))
    _ = try await useAll([(good, 1), (bad, 1)])
    let meeting = Meeting(of: 2)
    async let used: Int? = good.run(orElse: Busy.tooMuchWaits) { session throws(Busy) in
      // The other one breaks while this one is at work.
      meeting.wait()
      meeting.wait()
      return session?.number
    }
    try await bad.run(orElse: Busy.tooMuchWaits) { session throws(Busy) in
      meeting.wait()
      session = Session()
    }
    // The loss is counted before the thread takes more work.
    try await bad.run(orElse: Busy.tooMuchWaits) { _ throws(Busy) in meeting.wait() }
    let known = try await used
    #expect(losses.count == 1)
    #expect(try await useAll([(good, 1)]) == Set([known].compactMap { $0 }))
  }
}
