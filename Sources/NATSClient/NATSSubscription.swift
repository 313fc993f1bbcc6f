import CNats

/// Interest in a subject for the life of one session, with a bounded queue of what arrived.
/// Confined to one thread. Letting go of it ends the interest.
public final class NATSSubscription {
  private let handle: OpaquePointer
  public let session: NATSSession
  public let subject: String

  init(
    owning handle: OpaquePointer, session: NATSSession, subject: String, maxMessages: Int,
    maxBytes: Int
  ) throws(NATSError) {
    self.handle = handle
    self.session = session
    self.subject = subject
    let status = natsSubscription_SetPendingLimits(
      handle, Int32(clamping: maxMessages), Int32(clamping: maxBytes))
    guard status == NATS_OK else {
      throw .failed(operation: "queue limits of \(subject)", reason: statusText(status))
    }
  }

  deinit { session.retire(handle) }

  /// Messages that wait in the queue.
  public var pendingMessages: Int {
    var count: UInt64 = 0
    guard natsSubscription_QueuedMsgs(handle, &count) == NATS_OK else { return 0 }
    return Int(count)
  }

  /// The next message, waiting for at most `timeoutMs` (0: not at all); nil on time-out. Only for
  /// subscriptions without a handler.
  ///
  /// Throws `disconnected` when the session has ended (what is still queued is lost) and
  /// `slowConsumer` once after messages were dropped, `noResponders` where nobody gets what was asked with this
  /// as its reply subject.
  public func next(timeoutMs: Int) throws(NATSError) -> NATSMessage? {
    var message: OpaquePointer?
    let status = natsSubscription_NextMsg(&message, handle, Int64(max(0, timeoutMs)))
    if let message { return NATSMessage(owning: message) }
    switch status {
    case NATS_TIMEOUT: return nil
    case NATS_SLOW_CONSUMER: throw .slowConsumer(subject: subject)
    case NATS_NO_RESPONDERS: throw .noResponders(subject: subject)
    case NATS_CONNECTION_CLOSED, NATS_INVALID_SUBSCRIPTION: throw session.noticeLoss()
    default: throw .failed(operation: "receive \(subject)", reason: statusText(status))
    }
  }
}
