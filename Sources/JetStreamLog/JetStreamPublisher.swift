public import NATSClient
public import Ports

/// Publishes frames to JetStream with its own matching of acknowledgements (libnats 3.4.1 loses
/// slots for lost acks and re-sends out of order).
///
/// Every frame carries `Nats-Msg-Id` and a reply subject `<inbox>.<number>`; one wildcard
/// subscription receives the acks on a library thread, which parses them into a bounded queue.
/// `PublishWindow` decides what to send and when to send again. One connection of its own, because
/// large writes would hold up everybody else's small ones.
///
/// Durability: an ack means "on disk" only if the server runs with `sync_interval: always`.
/// Order: per stream, in the order of `publish`, also over a restart of the server. A frame that was
/// reported `unavailable` may be stored all the same.
///
/// Silence: where frames are out and nothing comes back, the server is asked a small question. No
/// answer: the connection is dead and is made anew. An answer: it stores nothing, as nats-server does
/// for ever once its disk was full (see ``storeProblem``).
///
/// Memory: at most `windowMax` frames. `poll` can block longer than asked, by the write deadline of
/// a session (1 s), when the server stops reading in the middle of a write.
public final class JetStreamPublisher: FramePublisher {
  /// Timing and size of the window; the defaults are the measured ones of the design.
  public struct Settings: Sendable {
    /// Unacknowledged frames over all streams, 1 to 1,024.
    public var windowMax = 256
    /// After which a frame is sent again, with the same id.
    public var ackTimeoutMs = 1_000
    /// After which a frame is reported as `unavailable`.
    public var deadlineMs = 5_000

    public init() {}
  }

  private struct Waiting {
    let token: UInt64
    let stream: String
    let messageID: String
    let message: OutgoingMessage
    var sends = 0
  }

  private let connection: NATSConnection
  private let inbox: String
  private let subjectOfStream: @Sendable (String) -> String
  private let acks: AckQueue
  private var window: PublishWindow
  private var waiting: [UInt64: Waiting] = [:]
  private var completed: [(token: UInt64, outcome: PublishOutcome)] = []
  private var arrived: [AckQueue.Answer] = []
  private var subscription: NATSSubscription?
  private var lastID: UInt64 = 0
  /// Monotonic time since when frames are out and nothing has come back.
  private var silentSince: Int64 = 0

  public let windowMax: Int
  public var inFlight: Int { waiting.count }

  /// Frames sent again, since the start.
  public private(set) var resends = 0
  /// Set while the server answers but stores nothing.
  public private(set) var storeProblem: String?
  /// Whether a session with the server is open.
  public var isConnected: Bool { connection.isConnected }

  /// Connects in the background.
  ///
  /// - Parameter subjectOfStream: the one subject of a stream; by default its name.
  public init(
    address: NATSAddress, name: String, settings: Settings = Settings(),
    subjectOfStream: @escaping @Sendable (String) -> String = { $0 }
  ) throws(NATSError) {
    precondition((1...1_024).contains(settings.windowMax))
    precondition(settings.ackTimeoutMs > 0 && settings.deadlineMs >= settings.ackTimeoutMs)
    connection = NATSConnection(address, name: name)
    inbox = try newInbox()
    self.subjectOfStream = subjectOfStream
    windowMax = settings.windowMax
    acks = AckQueue(capacity: 4 * settings.windowMax)
    window = PublishWindow(
      .init(
        capacity: settings.windowMax, ackTimeoutMs: Int64(settings.ackTimeoutMs),
        deadlineMs: Int64(settings.deadlineMs)))
  }

  /// A publisher, for callers that know only the log's errors.
  public static func open(
    _ address: NATSAddress, name: String
  ) throws(LogError) -> JetStreamPublisher {
    do throws(NATSError) {
      return try JetStreamPublisher(address: address, name: name)
    } catch {
      throw .refused("\(error)")
    }
  }

  public func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {
    precondition(inFlight < windowMax)
    if waiting.isEmpty { silentSince = monotonicMs() }
    lastID += 1
    let id = lastID
    do throws(NATSError) {
      let message = try OutgoingMessage(
        subject: subjectOfStream(stream), reply: reply(.init(id: id)),
        headers: [("Nats-Msg-Id", messageID)], payload: frame)
      waiting[id] = Waiting(
        token: token, stream: stream, messageID: messageID, message: message)
      window.add(id, stream: stream, now: monotonicMs())
    } catch {
      completed.append((token, .unavailable("\(error)")))
      return
    }
    sendDue()
  }

  public func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] {
    let deadline = monotonicMs() + Int64(max(0, timeoutMs))
    while true {
      sendDue()
      let now = monotonicMs()
      // Where nothing is out nobody misses the session: the next frame looks for one.
      let slice = waiting.isEmpty ? deadline : min(deadline, now + Self.sliceMs)
      var until = completed.isEmpty ? slice : now
      if let time = window.nextTime(after: now) { until = min(until, time) }
      let isAwake = acks.drain(into: &arrived, untilMs: until)
      for answer in arrived { settle(answer) }
      if arrived.isEmpty { examineSilence() } else { silentSince = monotonicMs() }
      for (id, refusal) in window.expire(now: monotonicMs()) { giveUp(id, refusal) }
      sendDue()
      if !completed.isEmpty || isAwake || monotonicMs() >= deadline { break }
    }
    defer { completed.removeAll(keepingCapacity: true) }
    return completed
  }

  public func wake() { acks.wake() }

  /// After so much silence the server is asked, and then again.
  private static let silenceMsMax: Int64 = 1_000
  private static let questionTimeoutMs = 500

  /// How soon a lost or new session is noticed while frames are out.
  private static let sliceMs: Int64 = 20

  // MARK: Outcomes

  private func settle(_ answer: AckQueue.Answer) {
    let id = answer.copy.id
    let now = monotonicMs()
    switch answer.ack {
    case .stored(let sequence, let duplicate):
      storeProblem = nil
      if window.stored(answer.copy, now: now) {
        complete(id, .stored(sequence: sequence, duplicate: duplicate))
      }
    case .full(let reason):
      if window.decided(id, now: now) { complete(id, .full(reason)) }
    case .sealed(let reason):
      if window.decided(id, now: now) { complete(id, .sealed(reason)) }
    case .refused(let reason):
      if window.decided(id, now: now) { complete(id, .unavailable(reason)) }
    case .retriable(let reason):
      window.refused(id, reason: reason, now: now)
    }
  }

  /// Finds out why nothing comes back.
  private func examineSilence() {
    guard !waiting.isEmpty, let session = subscription?.session, session.isOpen,
      monotonicMs() - silentSince >= Self.silenceMsMax, let stream = waiting.values.first?.stream
    else { return }
    do throws(NATSError) {
      _ = try session.request(
        "$JS.API.STREAM.INFO.\(stream)", [], timeoutMs: Self.questionTimeoutMs)
      storeProblem =
        "NATS answers but stores nothing: its disk is full, or was; restart nats-server once there is"
        + " space"
    } catch {
      if session.isOpen { session.close() }
    }
    silentSince = monotonicMs()
  }

  private func giveUp(_ id: UInt64, _ refusal: String?) {
    var reason = "not acknowledged within \(window.parameters.deadlineMs) ms"
    if !connection.isConnected {
      reason += ": no connection to NATS at \(connection.servers)"
    } else if let storeProblem {
      reason += ": \(storeProblem)"
    } else if let refusal {
      reason += ": \(refusal)"
    }
    complete(id, .unavailable(reason))
  }

  private func complete(_ id: UInt64, _ outcome: PublishOutcome) {
    guard let frame = waiting.removeValue(forKey: id) else { return }
    completed.append((frame.token, outcome))
  }

  // MARK: Sending

  private func sendDue() {
    guard let session = liveSession() else { return }
    let now = monotonicMs()
    while let copy = window.next(now: now), let frame = waiting[copy.id] {
      do throws(NATSError) {
        try session.publish(copy.isProbe ? probe(of: frame, copy) : frame.message)
        window.sent(copy, now: now)
        if frame.sends > 0 { resends += 1 }
        waiting[copy.id]!.sends += 1
      } catch {
        if case .disconnected = error { return }  // The next session sends it again.
        _ = window.decided(copy.id, now: now)
        complete(copy.id, .unavailable("\(error)"))
      }
    }
  }

  /// The same message with another reply subject. A copy of the payload, but rare.
  private func probe(
    of frame: Waiting, _ copy: PublishWindow.Send
  ) throws(NATSError) -> OutgoingMessage {
    try frame.message.copy(
      subject: subjectOfStream(frame.stream), reply: reply(copy),
      headers: [("Nats-Msg-Id", frame.messageID)])
  }

  private func reply(_ copy: PublishWindow.Send) -> String {
    "\(inbox).\(AckQueue.token(of: copy))"
  }

  /// The open session with our ack subscription in it, or nil.
  private func liveSession() -> NATSSession? {
    if let subscription, subscription.session.isOpen { return subscription.session }
    subscription = nil
    guard connection.isConnected else { return nil }
    do {
      let session = try connection.session(timeoutMs: 0)
      subscription = try session.subscribe(
        "\(inbox).*", maxMessages: 4 * windowMax, maxBytes: 1 << 20,
        handler: { [acks] in acks.receive($0, waiting: $1) })
      window.sessionBegan()
      silentSince = monotonicMs()
      return session
    } catch {
      return nil  // Not open after all: the next call asks again, deadlines go on.
    }
  }
}
