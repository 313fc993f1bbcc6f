/// A connection to a NATS cluster that is kept open for ever: a thread of its own opens the first
/// session and, when one is lost, the next, until the object goes away.
///
/// Nothing is queued while there is no session: sending fails with `disconnected`, and what must
/// not get lost is sent again by its owner in the next session (see `NATSSession`).
///
/// ```text
/// connecting --> open (session n) --> lost --> connecting --> open (session n + 1) …   -- deinit
///     ^  refused: wait 50 … 500 ms |
///     +----------------------------+
/// ```
public final class NATSConnection: Sendable {
  private let keeper: SessionKeeper

  /// Starts to connect in the background and returns at once.
  ///
  /// - Parameter name: shown by the server's monitoring.
  public init(_ address: NATSAddress, name: String) {
    keeper = SessionKeeper(address, name: name)
    keeper.start()
  }

  /// Connects and waits for the first session.
  public static func connect(
    url: String, name: String, timeoutMs: Int = 5_000
  ) throws(NATSError) -> NATSConnection {
    let connection = NATSConnection(try NATSAddress(url), name: name)
    do {
      _ = try connection.session(timeoutMs: timeoutMs)
    } catch {
      guard case .disconnected(let servers, let reason) = error else { throw error }
      throw .cannotConnect(servers: servers, reason: reason)
    }
    return connection
  }

  deinit { keeper.stop() }

  /// The servers without secrets.
  public var servers: String { keeper.address.description }
  public var address: NATSAddress { keeper.address }

  /// Whether a session is open now. Lock-free.
  public var isConnected: Bool { keeper.isConnected }
  /// Sessions opened so far; every one after the first is a reconnect. Lock-free.
  public var sessionsOpened: Int { keeper.sessionsOpened }

  /// The open session, waiting for it for at most `timeoutMs` (0: not at all).
  ///
  /// Throws `disconnected` with the reason of the last attempt.
  public func session(timeoutMs: Int) throws(NATSError) -> NATSSession {
    try keeper.session(timeoutMs: timeoutMs)
  }

  /// Sends one message in the present session.
  public func publish(
    _ subject: String, reply: String = "", headers: [(name: String, value: String)] = [],
    payload: UnsafeRawBufferPointer
  ) throws(NATSError) {
    let message = try OutgoingMessage(
      subject: subject, reply: reply, headers: headers, payload: payload)
    try session(timeoutMs: 0).publish(message)
  }

  /// Sends `payload` and blocks until one answer or for `timeoutMs`, connecting included.
  public func request(
    _ subject: String, _ payload: [UInt8], timeoutMs: Int
  ) throws(NATSError) -> [UInt8] {
    let start = monotonicMs()
    let session = try session(timeoutMs: timeoutMs)
    let left = timeoutMs - Int(monotonicMs() - start)
    return try session.request(subject, payload, timeoutMs: left).copiedPayload()
  }

  /// A queue of messages on `subject` in the present session; see `NATSSession.subscribe`.
  public func subscribe(
    _ subject: String, maxMessages: Int = 1_024, maxBytes: Int = 16 << 20
  ) throws(NATSError) -> NATSSubscription {
    try session(timeoutMs: 0).subscribe(subject, maxMessages: maxMessages, maxBytes: maxBytes)
  }
}
