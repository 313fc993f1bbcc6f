import NATSClient

/// Hands acknowledgements from the library's thread to the publisher's. Bounded: an ack that finds
/// it full is dropped and its frame is sent again, which the server answers as a duplicate.
final class AckQueue: @unchecked Sendable {
  // @unchecked: guarded by `monitor`.
  private let monitor = Monitor()
  private var acks: [(id: UInt64, ack: PubAck)] = []
  private var isAwake = false
  private let capacity: Int

  init(capacity: Int) {
    self.capacity = capacity
    acks.reserveCapacity(capacity)
  }

  /// Called on a thread of the library. Foreign messages are ignored.
  func receive(_ message: NATSMessage) {
    guard let id = Self.id(of: message.subject) else { return }
    let ack = PubAck(message)
    monitor.locked {
      guard acks.count < capacity else { return }
      acks.append((id, ack))
      if acks.count == 1 { monitor.broadcast() }
    }
  }

  func wake() {
    monitor.locked {
      isAwake = true
      monitor.broadcast()
    }
  }

  /// Moves what came to `batch`, waiting until `untilMs` (monotonic) if there is nothing.
  ///
  /// - Returns: whether someone called `wake` since.
  func drain(into batch: inout [(id: UInt64, ack: PubAck)], untilMs: Int64) -> Bool {
    batch.removeAll(keepingCapacity: true)
    monitor.lock()
    defer { monitor.unlock() }
    while acks.isEmpty, !isAwake, monitor.wait(untilMs: untilMs) {}
    swap(&acks, &batch)
    let wasAwake = isAwake
    isAwake = false
    return wasAwake
  }

  /// The digits after the last dot of a reply subject.
  private static func id(of subject: String) -> UInt64? {
    let utf8 = subject.utf8
    guard let dot = utf8.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    return UInt64(subject[utf8.index(after: dot)...])
  }
}
