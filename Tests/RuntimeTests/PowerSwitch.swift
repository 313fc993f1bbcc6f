import Runtime
import Synchronization
import Threads

/// Ends a loop as a crash does: from the cut on no store takes anything, so that what the loop still
/// does on its way out is lost.
final class PowerSwitch: Sendable {
  private struct State {
    var isOff = false
    var stop = StopFlag()
  }

  private let state = Mutex(State())

  var isOff: Bool { state.withLock { $0.isOff } }

  /// - Parameter stop: the flag of the loop that runs next.
  func turnOn(_ stop: StopFlag) { state.withLock { $0 = State(isOff: false, stop: stop) } }

  func cut() {
    state.withLock {
      $0.isOff = true
      $0.stop.set()
    }
  }

  /// Asks the loop to end in order.
  func askToStop() { state.withLock { $0.stop.set() } }
}

/// Time that passes only by being looked at and by waiting for frames, so that a run depends on
/// nothing but its seed.
final class VirtualClock: Sendable {
  private struct State {
    var monotonic: Int64 = 1_000_000_000
    var wall: Int64 = 0
    var tick: Int64 = 1000
  }

  private let state = Mutex(State())

  /// By how much each look moves the monotonic time, microseconds.
  func setTick(_ micros: Int64) { state.withLock { $0.tick = micros } }

  func setWall(_ micros: Int64) { state.withLock { $0.wall = micros } }

  func advance(micros: Int64) { state.withLock { $0.monotonic += micros } }

  var loopClock: LoopClock {
    LoopClock(
      wall: { [self] in state.withLock { $0.wall } },
      monotonic: { [self] in
        state.withLock {
          $0.monotonic += $0.tick
          return $0.monotonic
        }
      })
  }
}
