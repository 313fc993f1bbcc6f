import Synchronization

/// What the collectors have acknowledged: what must be in the log, whatever happened.
final class Ledger: Sendable {
  /// Events with consecutive numbers that one 200 answered for.
  struct Entry: Sendable {
    var sender: Int
    var numbers: Range<Int>
    var site: Int
  }

  private struct State {
    var entries: [Entry] = []
    var eventCount = 0
    var copyCount = 0
    var malformedCount = 0
    var refusals: [String: Int] = [:]
    /// Answers that must not be.
    var surprises: [String] = []
  }

  private static let surprisesMax = 20
  private let state = Mutex(State())

  func acknowledged(_ entry: Entry, malformed: Int) {
    state.withLock { state in
      state.entries.append(entry)
      state.eventCount += entry.numbers.count
      state.malformedCount += malformed
    }
  }

  func copied(_ count: Int) { state.withLock { $0.copyCount += count } }

  /// An attempt that brought no 200: the sender tries again.
  func refused(_ reason: String) { state.withLock { $0.refusals[reason, default: 0] += 1 } }

  func surprised(_ what: String) {
    state.withLock { if $0.surprises.count < Self.surprisesMax { $0.surprises.append(what) } }
  }

  var entries: [Entry] { state.withLock(\.entries) }
  var eventCount: Int { state.withLock(\.eventCount) }
  var copyCount: Int { state.withLock(\.copyCount) }
  var malformedCount: Int { state.withLock(\.malformedCount) }
  var refusals: [String: Int] { state.withLock(\.refusals) }
  var surprises: [String] { state.withLock(\.surprises) }
}
