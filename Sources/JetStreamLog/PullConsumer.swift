import NATSClient

/// One ephemeral pull consumer, from its creation to the first thing that is not as expected; then
/// it is thrown away and the reader makes another at its position. The server's state of it is never
/// relied on: `AckNone`, kept in memory, forgotten by the server 30 s after the last pull.
///
/// ```text
/// asking (STREAM.INFO) --> creating (CONSUMER.CREATE) --> pulling (MSG.NEXT, a few outstanding)
/// ```
///
/// All answers and frames come to one subscription, `<inbox>.*`: `i` info, `c` creation, `p` pulls.
/// Frames arrive with the stream's subject and are known by their `$JS.ACK` reply subject.
///
/// It starts with the frame at the position once more, if that is still there: what it is tells whether
/// the stream is the one that was read before.
///
/// A jump in the stream sequence while the consumer's own sequence goes on by one means that the
/// server skipped deleted messages: a hole. A jump in both means that a delivery was lost.
final class PullConsumer {
  /// What a received message means.
  enum Outcome {
    case nothing
    case frame(JetStreamFrame)
    /// The frame at the position, which was handed on before this consumer was made.
    case known(JetStreamFrame)
    /// Frames up to and including this one are gone from the stream.
    case hole(to: UInt64)
    /// The stream's last sequence is before the position.
    case wentBack(last: UInt64)
    /// Make another consumer.
    case failed(String)
  }

  private enum Phase { case asking, creating, pulling }

  /// Messages per pull, and outstanding pulls; their product bounds the inbound queue.
  static let batch = 256
  static let pullsMax = 4
  static let heartbeatMs: Int64 = 500
  static let expiresMs: Int64 = 30_000
  static let inactiveMs: Int64 = 30_000
  /// Without a sign of life for this long the consumer is given up. More than two heartbeats.
  static let silenceMsMax: Int64 = 1_250
  /// The same until it pulls: a server that works on a hundred of them at its start has no heartbeats.
  static let answerMsMax: Int64 = 2_500

  let subscription: NATSSubscription
  private let stream: String
  private let name: String
  private let inbox: String
  private var phase = Phase.asking
  /// The last frame that was handed on.
  private var position: UInt64
  private var consumerSequence: UInt64 = 0
  /// Messages that pulls have asked for and that haven't come.
  private var outstanding = 0
  private var lastHeard: Int64
  private let pullBytes: Int
  /// The stream's last sequence as far as known.
  private(set) var lastSequence: UInt64 = 0

  var isPulling: Bool { phase == .pulling }
  /// When the silence becomes too long.
  var patienceEnd: Int64 { lastHeard + (isPulling ? Self.silenceMsMax : Self.answerMsMax) }

  /// Asks for the stream's state; the rest follows from the answers.
  init(
    stream: String, after position: UInt64, session: NATSSession, now: Int64
  ) throws(NATSError) {
    self.stream = stream
    self.position = position
    inbox = try newInbox()
    name = "reader_" + inbox.dropFirst("_INBOX.".count)
    // A pull must have room for the largest message with subject and headers.
    pullBytes = max(1 << 20, session.maxPayload + 64 * 1024)
    subscription = try session.subscribe(
      "\(inbox).*", maxMessages: Self.batch * Self.pullsMax + 1_024,
      maxBytes: pullBytes * Self.pullsMax + (1 << 20))
    lastHeard = now
    try session.publish("$JS.API.STREAM.INFO.\(stream)", reply: "\(inbox).i")
  }

  deinit {
    guard phase != .asking, subscription.session.isOpen else { return }
    do {
      try subscription.session.publish(
        "$JS.API.CONSUMER.DELETE.\(stream).\(name)", reply: "\(inbox).d")
    } catch {
      // The server forgets it by itself after `inactiveMs`.
    }
  }

  func receive(_ message: NATSMessage, now: Int64) throws(NATSError) -> Outcome {
    lastHeard = now
    if let delivery = message.withReplyBytes(DeliverySubject.init) {
      return try received(message, delivery)
    }
    if let status = message.status {
      return try receivedStatus(status, message)
    }
    let answer = JSONSlice(message.copiedPayload())
    if let error = APIError(answer) {
      let hint =
        error.number == APIError.streamNotFound ? "; apply the stream definitions" : ""
      return .failed("stream \(stream): \(error)\(hint)")
    }
    switch phase {
    case .asking: return try receivedInfo(answer)
    case .creating:
      phase = .pulling
      try pull()
      return .nothing
    case .pulling: return .failed("stream \(stream): an answer that nobody asked for")
    }
  }

  // MARK: Starting

  private func receivedInfo(_ answer: JSONSlice) throws(NATSError) -> Outcome {
    guard let info = StreamInfo(answer) else {
      return .failed("stream \(stream): its description is not understood")
    }
    lastSequence = info.lastSequence
    if position > info.lastSequence { return .wentBack(last: info.lastSequence) }
    if info.firstSequence > position + 1 { return .hole(to: info.firstSequence - 1) }
    phase = .creating
    let config =
      "{\"stream_name\":\"\(stream)\",\"config\":{\"name\":\"\(name)\""
      + ",\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":\(max(1, position))"
      + ",\"ack_policy\":\"none\",\"replay_policy\":\"instant\",\"mem_storage\":true"
      + ",\"num_replicas\":1,\"max_waiting\":\(4 * Self.pullsMax)"
      + ",\"inactive_threshold\":\(Self.inactiveMs * 1_000_000)}}"
    try subscription.session.publish(
      "$JS.API.CONSUMER.CREATE.\(stream).\(name)", reply: "\(inbox).c", Array(config.utf8))
    return .nothing
  }

  // MARK: Pulling

  /// Keeps `pullsMax` pulls outstanding.
  private func pull() throws(NATSError) {
    while outstanding <= Self.batch * (Self.pullsMax - 1) {
      let request =
        "{\"batch\":\(Self.batch),\"max_bytes\":\(pullBytes)"
        + ",\"expires\":\(Self.expiresMs * 1_000_000)"
        + ",\"idle_heartbeat\":\(Self.heartbeatMs * 1_000_000)}"
      try subscription.session.publish(
        "$JS.API.CONSUMER.MSG.NEXT.\(stream).\(name)", reply: "\(inbox).p", Array(request.utf8))
      outstanding += Self.batch
    }
  }

  private func received(
    _ message: NATSMessage, _ delivery: DeliverySubject
  ) throws(NATSError) -> Outcome {
    let isKnown = consumerSequence == 0 && delivery.streamSequence == position
    guard phase == .pulling, delivery.consumerSequence == consumerSequence + 1,
      delivery.streamSequence > position || isKnown
    else { return .failed("stream \(stream): a delivery was lost or repeated") }
    guard delivery.streamSequence <= position + 1 else {
      return .hole(to: delivery.streamSequence - 1)
    }
    consumerSequence += 1
    position = delivery.streamSequence
    lastSequence = max(lastSequence, position + delivery.pending)
    outstanding -= 1
    try pull()
    let frame = JetStreamFrame(message, delivery)
    return isKnown ? .known(frame) : .frame(frame)
  }

  private func receivedStatus(_ status: Int, _ message: NATSMessage) throws(NATSError) -> Outcome {
    let why = message.statusDescription
    switch status {
    case 100: return .nothing
    case 404, 408: try pullEnded(message)
    case 409 where why == "Message Size Exceeds MaxBytes" || why == "Batch Completed":
      try pullEnded(message)
    case 503 where phase != .pulling:
      return .failed("stream \(stream): JetStream doesn't answer; check that the server runs it")
    default: return .failed("stream \(stream): the server ended the consumer (\(status) \(why))")
    }
    return .nothing
  }

  private func pullEnded(_ message: NATSMessage) throws(NATSError) {
    let left = message.header("Nats-Pending-Messages").flatMap { Int($0) } ?? Self.batch
    outstanding = max(0, outstanding - left)
    try pull()
  }
}
