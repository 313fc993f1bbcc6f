import Synchronization

/// When the short frames of all partitions go to the log together.
///
/// Every frame costs the log a sync, so what is worth waiting for is that clients have sent again: they do so as soon
/// as they are answered, and most wait for nothing else. How many bytes are on their way at most is known from
/// what was there lately; when most of that waits in the lanes again, little more can come, and all lanes go at once.
///
///     in flight  ████████          ████████          ████████
///     waiting    ▁▁▂▂▂▂▂▃▃▅▅▆▆▇▇▇▁▁▁▂▂▂▂▂▃▃▅▅▆▆▇▇▇▁▁▁
///                                ▲ 7/8 of both   ▲
///
/// Where clients do not send again it never comes true; then a tick does
/// (``IngestParameters/frameIntervalMicros``).
final class CommitRound: Sendable {
  /// Bytes of events of all lanes that no published frame has taken yet.
  let waitingBytes = Atomic<Int>(0)
  /// Those of frames that are published and not settled. Of the publisher's thread.
  private let inFlightBytes = Atomic<Int>(0)
  /// The most that was waiting or in flight lately. Of the publisher's thread.
  private let outstandingBytes = Atomic<Int>(0)
  private let dueBytes = Atomic<Int>(bytesMin)
  private let laneDueBytes = Atomic<Int>(bytesMin)

  /// Of some ten events: fewer are not worth a sync.
  private static let bytesMin = 2048

  /// A lane's part of a round, in bytes.
  var laneBytes: Int { laneDueBytes.load(ordering: .relaxed) }

  /// Whether enough waits.
  var isDue: Bool {
    waitingBytes.load(ordering: .sequentiallyConsistent) >= dueBytes.load(ordering: .relaxed)
  }

  /// - Returns: true where these bytes, which are waiting from now on, complete a round.
  func wait(_ bytes: Int) -> Bool {
    let (before, after) = waitingBytes.add(bytes, ordering: .sequentiallyConsistent)
    let due = dueBytes.load(ordering: .relaxed)
    return before < due && after >= due
  }

  func taken(_ bytes: Int) { waitingBytes.subtract(bytes, ordering: .sequentiallyConsistent) }

  // MARK: The publisher's thread

  func published(_ bytes: Int) { inFlightBytes.add(bytes, ordering: .relaxed) }

  func settled(_ bytes: Int) {
    look(fades: false)
    inFlightBytes.subtract(bytes, ordering: .relaxed)
  }

  /// Called when frames were published. Clients that have gone are forgotten within some rounds.
  ///
  /// - Parameter lanes: among which events are divided.
  func began(lanes: Int) {
    look(fades: true)
    laneDueBytes.store(
      dueBytes.load(ordering: .relaxed) / max(1, lanes), ordering: .relaxed)
  }

  private func look(fades: Bool) {
    let now =
      waitingBytes.load(ordering: .relaxed) + inFlightBytes.load(ordering: .relaxed)
    let known = outstandingBytes.load(ordering: .relaxed)
    let outstanding = max(now, fades ? known - known / 8 : known)
    outstandingBytes.store(outstanding, ordering: .relaxed)
    dueBytes.store(max(Self.bytesMin, outstanding - outstanding / 8), ordering: .relaxed)
  }
}
