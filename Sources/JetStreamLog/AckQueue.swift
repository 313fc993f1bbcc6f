import NATSClient

/// Hands acknowledgements from the library's thread to the publisher's. Bounded: an ack that finds
/// it full is dropped and its frame is sent again, which the server answers as a duplicate.
final class AckQueue: @unchecked Sendable {
  // @unchecked: guarded by `monitor`.

  /// An ack and the copy that it is for.
  struct Answer {
    let copy: PublishWindow.Send
    let ack: PubAck
  }

  private let monitor = Monitor()
  private var acks: [Answer] = []
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
    let answer = Self.copy(of: message.subject).map { Answer(copy: $0, ack: PubAck(message)) }
    let isDue = monitor.locked {
      if let answer, acks.count < capacity { acks.append(answer) }
      return waiting == 0 || acks.count % 32 == 0
    }
    // Behind the lock: who wakes needs it, and would sleep again at once.
    if isDue { monitor.broadcast() }
  }

  func wake() {
    monitor.locked { isAwake = true }
    monitor.broadcast()
  }

  /// Moves what came to `batch`, waiting until `untilMs` (monotonic) if there is nothing.
  ///
  /// - Returns: whether someone called `wake` since.
  func drain(into batch: inout [Answer], untilMs: Int64) -> Bool {
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

  /// The last token of a copy's reply subject.
  static func token(of copy: PublishWindow.Send) -> String {
    copy.isProbe ? "p\(copy.id)" : "\(copy.id)"
  }

  private static func copy(of subject: String) -> PublishWindow.Send? {
    let utf8 = subject.utf8
    guard let dot = utf8.lastIndex(of: UInt8(ascii: ".")) else { return nil }
    var token = subject[utf8.index(after: dot)...]
    let isProbe = token.first == "p"
    if isProbe { token = token.dropFirst() }
    return UInt64(token).map { PublishWindow.Send(id: $0, isProbe: isProbe) }
  }
}
