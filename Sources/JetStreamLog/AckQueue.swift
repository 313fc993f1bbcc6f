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
  ///
  /// - Parameter waiting: how many more messages the thread has already: the publisher is woken with
  ///   the last of them (or when the queue fills), which saves most of the wake-ups under load.
  func receive(_ message: NATSMessage, waiting: Int) {
    let id = Self.id(of: message.subject)
    let ack = PubAck(message)
    monitor.locked {
      if let id, acks.count < capacity { acks.append((id, ack)) }
      if waiting == 0 || acks.count % 32 == 0 { monitor.broadcast() }
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
    if acks.isEmpty {
      while !isAwake, acks.isEmpty, monitor.wait(untilMs: untilMs) {}
    }
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
