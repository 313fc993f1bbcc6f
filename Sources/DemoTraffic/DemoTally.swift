import Events
import Synchronization

/// What the connections of one run have seen, gathered from all their threads.
final class DemoTally: Sendable {
  private struct State {
    var outcome = DemoOutcome()
    /// Why the run can't go on.
    var failure: DemoError?
  }

  private let state = Mutex(State())

  var outcome: DemoOutcome { state.withLock(\.outcome) }
  var failure: DemoError? { state.withLock(\.failure) }

  func answered(_ request: DemoRequest, status: Int, position: Position?) {
    state.withLock { state in
      state.outcome.statuses[status, default: 0] += 1
      guard status == 200 else { return }
      if let position {
        state.outcome.cover(position)
      } else {
        state.outcome.spooledRequestCount += 1
      }
      guard request.expectation == .accepted else { return }
      state.outcome.acknowledgedEventCount += request.events.count
      for event in request.events { state.outcome.truth.add(event) }
    }
  }

  func sentAgain() { state.withLock { $0.outcome.retryCount += 1 } }

  func refused(status: Int, body: String) {
    state.withLock { state in
      state.outcome.unexpectedRefusalCount += 1
      if state.outcome.firstUnexpectedRefusal == nil {
        state.outcome.firstUnexpectedRefusal = "status \(status): \(body.prefix(400))"
      }
    }
  }

  func gaveUp() { state.withLock { $0.outcome.unacknowledgedRequestCount += 1 } }

  func failed(_ failure: DemoError) {
    state.withLock { state in if state.failure == nil { state.failure = failure } }
  }
}
