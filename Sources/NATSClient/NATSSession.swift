import CNats
import Synchronization

/// One connection to one server, from its opening to its loss. It never comes back: what was sent
/// and not answered before the loss is unknown, so whoever waits for answers must notice the loss
/// and send again. `NATSConnection` opens the next session.
///
/// Why not the library's own reconnect: it keeps what is published meanwhile in a buffer and sends
/// that first, before what must be sent again, and it goes on using a connection on which a write
/// ended half way. Here the library's reconnect is off, and a session whose write failed is closed
/// at once, so a half message can never be completed by the bytes of the next one.
///
/// ```text
/// open --- write failed, server gone, 3 pings unanswered (3 s), close() ---> ended
/// ```
///
/// Safe to use from any thread (the library locks). A publisher of large messages should have a
/// connection of its own: a write blocks all other callers for as long as the server does not read,
/// up to `writeDeadlineMs`.
public final class NATSSession: @unchecked Sendable {
  // @unchecked: the handle is an immutable pointer to an object that the library locks itself.

  /// A write that the server does not take within this time ends the session.
  static let writeDeadlineMs: Int64 = 1_000
  /// Time for TCP, greeting and authentication with one server.
  static let connectTimeoutMs: Int64 = 1_500
  /// How long letting go of a subscription may wait for the server.
  static let retireTimeoutMs: Int64 = 250
  static let pingIntervalMs: Int64 = 1_000
  static let pingsOutMax: Int32 = 2
  /// Of each direction; a 32 KiB frame with its headers goes out in one write.
  static let ioBufferBytes: Int32 = 256 * 1024

  let handle: OpaquePointer
  private let life: SessionLife
  /// The servers without secrets, for errors.
  let place: String
  /// 1 for the first session of a connection, then rising.
  public let number: Int

  private init(handle: OpaquePointer, life: SessionLife, place: String, number: Int) {
    self.handle = handle
    self.life = life
    self.place = place
    self.number = number
  }

  deinit { natsConnection_Destroy(handle) }

  /// False from the moment when the loss is noticed. Lock-free.
  public var isOpen: Bool { !life.ended.load(ordering: .acquiring) }

  /// The largest message that the server takes, bytes of headers and payload.
  public var maxPayload: Int { Int(natsConnection_GetMaxPayload(handle)) }

  /// Ends the session: every waiting call returns.
  public func close() {
    life.ended.store(true, ordering: .releasing)
    natsConnection_Close(handle)
  }

  /// Asks a server that has been silent for a ping's answer, and ends the session where none comes: long
  /// before the library's own pings, which are a second apart.
  public func closeUnlessAnswering(withinMs timeoutMs: Int64) {
    if isOpen, natsConnection_FlushTimeout(handle, timeoutMs) != NATS_OK { close() }
  }

  // MARK: Opening

  /// Connects to the first server that answers; blocks for at most `connectTimeoutMs` per server.
  static func open(
    _ address: NATSAddress, name: String, number: Int,
    whenEnded: @escaping @Sendable () -> Void
  ) throws(NATSError) -> NATSSession {
    let options = try NATSOptions()
    try options.apply(address, name: name)
    let life = SessionLife(whenEnded: whenEnded)
    let closure = Unmanaged.passRetained(life)
    try options.check(
      natsOptions_SetClosedCB(
        options.handle,
        { _, closure in
          // The last callback of a connection, once; on a thread of the library.
          let life = Unmanaged<SessionLife>.fromOpaque(closure!).takeRetainedValue()
          life.ended.store(true, ordering: .releasing)
          life.releaseRetired()
          life.whenEnded()
        }, closure.toOpaque()), "closed callback")
    var connection: OpaquePointer?
    let status = natsConnection_Connect(&connection, options.handle)
    guard status == NATS_OK, let connection else {
      closure.release()  // No connection was made, so the library won't call back.
      throw .cannotConnect(servers: address.description, reason: reason(status))
    }
    return NATSSession(
      handle: connection, life: life, place: address.description, number: number)
  }

  private static func reason(_ status: natsStatus) -> String {
    switch status {
    case NATS_NO_SERVER: return "no server accepts connections"
    case NATS_CONNECTION_AUTH_FAILED:
      return "the server refused the credentials (authorization violation)"
    case NATS_TIMEOUT: return "no NATS greeting within \(connectTimeoutMs) ms"
    default:
      var last = NATS_OK
      guard let text = nats_GetLastError(&last), last == status else { return statusText(status) }
      return "\(statusText(status)): \(String(cString: text))"
    }
  }

  // MARK: Sending

  /// Sends without waiting for an answer; returning says only that the kernel has it.
  public func publish(_ message: OutgoingMessage) throws(NATSError) {
    guard isOpen else { throw disconnected() }
    let status = natsConnection_PublishMsg(handle, message.handle)
    if status != NATS_OK { try failWrite(status, bytes: message.payloadCount) }
  }

  /// Sends a small message without headers.
  public func publish(
    _ subject: String, reply: String = "", _ payload: [UInt8] = []
  ) throws(NATSError) {
    guard isOpen else { throw disconnected() }
    let status = payload.withUnsafeBytes { bytes in
      reply.isEmpty
        ? natsConnection_Publish(handle, subject, bytes.baseAddress, Int32(bytes.count))
        : natsConnection_PublishRequest(
          handle, subject, reply, bytes.baseAddress, Int32(bytes.count))
    }
    if status != NATS_OK { try failWrite(status, bytes: payload.count) }
  }

  private func failWrite(_ status: natsStatus, bytes: Int) throws(NATSError) -> Never {
    if status == NATS_MAX_PAYLOAD {
      throw .payloadTooLarge(bytes: bytes, allowed: maxPayload)
    }
    if status == NATS_INVALID_SUBJECT || status == NATS_INVALID_ARG {
      throw .failed(operation: "publish", reason: statusText(status))
    }
    // Part of the message may be on the wire: nothing may follow it.
    close()
    throw .disconnected(servers: place, reason: "a write failed (\(statusText(status)))")
  }

  /// The library says that the connection is gone; its callback comes a little later.
  func noticeLoss() -> NATSError {
    life.ended.store(true, ordering: .releasing)
    return disconnected()
  }

  private func disconnected() -> NATSError {
    .disconnected(servers: place, reason: "the connection was lost")
  }

  /// Sends and waits for one answer.
  public func request(
    _ subject: String, _ payload: [UInt8], timeoutMs: Int
  ) throws(NATSError) -> NATSMessage {
    guard isOpen else { throw disconnected() }
    var answer: OpaquePointer?
    let status = payload.withUnsafeBytes { bytes in
      natsConnection_Request(
        &answer, handle, subject, bytes.baseAddress, Int32(bytes.count), Int64(max(1, timeoutMs)))
    }
    if let answer { return NATSMessage(owning: answer) }
    switch status {
    case NATS_TIMEOUT: throw .timedOut(operation: "request \(subject)", milliseconds: timeoutMs)
    case NATS_NO_RESPONDERS: throw .noResponders(subject: subject)
    case NATS_CONNECTION_CLOSED, NATS_CONNECTION_DISCONNECTED: throw noticeLoss()
    default: try failWrite(status, bytes: payload.count)
    }
  }

  // MARK: Receiving

  /// A queue of the messages on `subject` (wildcards allowed), read by `NATSSubscription.next`.
  /// At most `maxMessages` of `maxBytes` wait in it; more are dropped and reported there.
  public func subscribe(
    _ subject: String, maxMessages: Int, maxBytes: Int
  ) throws(NATSError) -> NATSSubscription {
    guard isOpen else { throw disconnected() }
    var subscription: OpaquePointer?
    let status = natsConnection_SubscribeSync(&subscription, handle, subject)
    guard status == NATS_OK, let subscription else { throw failed("subscribe \(subject)", status) }
    return try NATSSubscription(
      owning: subscription, session: self, subject: subject, maxMessages: maxMessages,
      maxBytes: maxBytes)
  }

  /// Calls `handler` for each message on `subject`, on one thread of the library, with how many more
  /// wait already. The handler must not block: it may only hand over to a bounded queue.
  public func subscribe(
    _ subject: String, maxMessages: Int, maxBytes: Int,
    handler: @escaping @Sendable (_ message: NATSMessage, _ waiting: Int) -> Void
  ) throws(NATSError) -> NATSSubscription {
    guard isOpen else { throw disconnected() }
    let box = Unmanaged.passRetained(MessageHandler(handler))
    var subscription: OpaquePointer?
    let status = natsConnection_Subscribe(
      &subscription, handle, subject,
      { _, subscription, message, closure in
        guard let message, let closure else { return }
        var waiting: UInt64 = 0
        natsSubscription_QueuedMsgs(subscription, &waiting)
        Unmanaged<MessageHandler>.fromOpaque(closure).takeUnretainedValue()
          .call(NATSMessage(owning: message), Int(waiting))
      }, box.toOpaque())
    guard status == NATS_OK, let subscription else {
      box.release()
      throw failed("subscribe \(subject)", status)
    }
    // Called when no message callback can follow: the place to let go of the handler.
    let completion = natsSubscription_SetOnCompleteCB(
      subscription, { Unmanaged<MessageHandler>.fromOpaque($0!).release() }, box.toOpaque())
    guard completion == NATS_OK else {
      // Without the callback nobody can say when the handler is not called any more: it stays.
      natsSubscription_Destroy(subscription)
      throw failed("subscribe \(subject)", completion)
    }
    return try NATSSubscription(
      owning: subscription, session: self, subject: subject, maxMessages: maxMessages,
      maxBytes: maxBytes)
  }

  /// Ends a subscription, and destroys it once the library's reading thread cannot be using it.
  ///
  /// libnats before 3.6 looks a message's subscription up and locks it in two steps: if it is
  /// destroyed between them, the program crashes. The answer to a ping is read after all that came
  /// before the unsubscription; without an answer the subscription stays until the session's end.
  func retire(_ subscription: OpaquePointer) {
    natsSubscription_Unsubscribe(subscription)
    if isOpen, natsConnection_FlushTimeout(handle, Self.retireTimeoutMs) == NATS_OK {
      natsSubscription_Destroy(subscription)
    } else {
      life.retire(subscription)
    }
  }

  private func failed(_ operation: String, _ status: natsStatus) -> NATSError {
    if status == NATS_CONNECTION_CLOSED { return noticeLoss() }
    return .failed(operation: operation, reason: statusText(status))
  }
}

/// What the library's callback thread knows of a session.
private final class SessionLife: Sendable {
  let ended = Atomic<Bool>(false)
  let whenEnded: @Sendable () -> Void
  /// Addresses of subscriptions to be destroyed at the end; nil once it has come.
  private let retired = Mutex<[UInt]?>([])

  init(whenEnded: @escaping @Sendable () -> Void) { self.whenEnded = whenEnded }

  func retire(_ subscription: OpaquePointer) {
    let address = UInt(bitPattern: subscription)
    let isKept = retired.withLock { retired in
      retired?.append(address)
      return retired != nil
    }
    if !isKept { natsSubscription_Destroy(subscription) }
  }

  /// Called when the reading thread has ended: no message can follow.
  func releaseRetired() {
    let addresses = retired.withLock { retired in
      defer { retired = nil }
      return retired ?? []
    }
    for address in addresses { natsSubscription_Destroy(OpaquePointer(bitPattern: address)) }
  }
}

private final class MessageHandler: Sendable {
  let call: @Sendable (NATSMessage, Int) -> Void

  init(_ call: @escaping @Sendable (NATSMessage, Int) -> Void) { self.call = call }
}
