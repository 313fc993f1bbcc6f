import Ports
import Synchronization

/// Selections that somebody reads at the moment: whoever asks for the same waits, and finds their sums kept.
final class FirstReads: Sendable {
  /// One read, and who waits for its end.
  final class Read: Sendable {
    private struct State {
      var hasEnded = false
      var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    fileprivate init() {}

    func end() async {
      await withCheckedContinuation { continuation in
        let hasEnded = state.withLock { state in
          if !state.hasEnded { state.waiting.append(continuation) }
          return state.hasEnded
        }
        if hasEnded { continuation.resume() }
      }
    }

    fileprivate func finish() {
      let waiting = state.withLock { state in
        state.hasEnded = true
        return state.waiting
      }
      for continuation in waiting { continuation.resume() }
    }
  }

  private let reads = Mutex<[ViewSelection: Read]>([:])

  func underWay(_ selection: ViewSelection) -> Read? { reads.withLock { $0[selection] } }

  /// - Returns: nil where somebody reads it already.
  func begin(_ selection: ViewSelection) -> Read? {
    reads.withLock { reads in
      if reads[selection] != nil { return nil }
      let read = Read()
      reads[selection] = read
      return read
    }
  }

  /// - Parameter read: what ``begin(_:)`` gave.
  func end(_ selection: ViewSelection, _ read: Read?) {
    guard let read else { return }
    reads.withLock { $0[selection] = nil }
    read.finish()
  }
}
