import NATSClient
public import Ports

/// Reads one stream in order through throw-away pull consumers (see `PullConsumer`).
///
/// The position, the sequence of the last frame handed out, lives here alone: after a lost
/// connection, missed heartbeats, a vanished consumer or a lost delivery, a new consumer starts at
/// position + 1. So nothing is skipped or repeated; and it compares the frame at its position with the
/// one that it handed out, so that a stream that went back is found out though it has grown past the
/// position again. Has a connection of its own.
///
/// Memory: at most four pulls of max(1 MiB, the server's `max_payload` + 64 KiB) wait to be read.
/// Confined to one thread.
public final class JetStreamReader: FrameReader {
  /// One batch has at most so many frames and, but for its last frame, bytes.
  static let framesMax = 1_024
  static let bytesMax = 4 << 20
  /// Between failed attempts to make a consumer.
  static let pauseMs: Int64 = 100
  /// So long the first connection may take before the lack of one is a failure.
  static let connectingMsMax: Int64 = 1_000
  /// So long a server may take to answer a ping after its silence.
  static let answerMsMax: Int64 = 500

  public let stream: String
  private let connection: NATSConnection
  private let pause = Monitor()
  private let madeAt = monotonicMs()
  private var consumer: PullConsumer?
  private var lastFailure: String?
  private var notBefore: Int64 = 0
  /// What the frame at the position was; nil before the first consumer.
  private var last: Identity?

  /// Tells a frame from others that may be stored at its sequence.
  private struct Identity: Equatable {
    let storedAt: Int64
    let byteCount: Int

    init(_ frame: JetStreamFrame) {
      storedAt = frame.storedAt
      byteCount = frame.bytes.count
    }
  }

  /// The sequence of the last frame handed out.
  public private(set) var position: UInt64
  public private(set) var lastKnownSequence: UInt64
  /// Consumers made so far; more than one means that something went wrong.
  public private(set) var consumersMade = 0
  /// Whether frames are flowing or would flow if there were any.
  public var isReading: Bool { consumer?.isPulling ?? false }

  /// - Parameter after: the sequence after which to start; 0 for the beginning.
  init(_ connection: NATSConnection, stream: String, after: UInt64) {
    self.connection = connection
    self.stream = stream
    position = after
    lastKnownSequence = after
  }

  // The consumer says good-bye over the connection, so it must go first.
  deinit { consumer = nil }

  public func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    let deadline = monotonicMs() + Int64(max(0, timeoutMs))
    var frames: [any StoredFrame] = []
    var bytes = 0
    while frames.count < Self.framesMax, bytes < Self.bytesMax {
      switch frames.isEmpty ? step(until: deadline) : stepWithoutWaiting() {
      case .frame(let frame):
        frames.append(frame)
        bytes += frame.bytes.count
      case .progress: continue
      case .idle:
        if frames.isEmpty, let lastFailure, !isReading { throw .unavailable(lastFailure) }
        return frames
      case .error(let error):
        // Found again at the next call, when there is nothing to hand out before it.
        if frames.isEmpty { throw error }
        return frames
      }
    }
    return frames
  }

  private enum Step {
    case frame(JetStreamFrame)
    /// Something happened, go on.
    case progress
    /// Nothing came in the time given.
    case idle
    case error(LogError)
  }

  private func stepWithoutWaiting() -> Step {
    guard let consumer, consumer.subscription.pendingMessages > 0 else { return .idle }
    return step(until: monotonicMs())
  }

  private func step(until deadline: Int64) -> Step {
    do throws(NATSError) {
      guard let consumer = try liveConsumer(until: deadline) else { return .idle }
      let now = monotonicMs()
      let wait = max(0, min(deadline, consumer.patienceEnd) - now)
      if let message = try consumer.subscription.next(timeoutMs: Int(wait)) {
        return settle(try consumer.receive(message, now: now + wait), of: consumer)
      }
      if monotonicMs() >= consumer.patienceEnd {
        // A new consumer on a dead connection would be as silent.
        consumer.subscription.session.closeUnlessAnswering(withinMs: Self.answerMsMax)
        abandon("stream \(stream): no sign of life from the server")
      }
    } catch {
      // A reader that was just made is asked for less time than it takes to connect: whoever waited for
      // that as for something that is away would wait longer.
      if case .disconnected = error, consumersMade == 0,
        monotonicMs() - madeAt < Self.connectingMsMax
      {
        return .idle
      }
      abandon("\(error)")
    }
    return monotonicMs() < deadline ? .progress : .idle
  }

  private func settle(_ outcome: PullConsumer.Outcome, of consumer: PullConsumer) -> Step {
    lastKnownSequence = max(lastKnownSequence, consumer.lastSequence)
    switch outcome {
    case .nothing:
      if consumer.isPulling { lastFailure = nil }
      return .progress
    case .frame(let frame):
      position = frame.sequence
      last = Identity(frame)
      return .frame(frame)
    case .known(let frame):
      if last == nil { last = Identity(frame) }
      if last == Identity(frame) { return .progress }
      self.consumer = nil
      return .error(.wentBack(stream: stream, wanted: position, last: lastKnownSequence))
    case .hole(let to):
      self.consumer = nil
      return .error(.missing(stream: stream, from: position + 1, to: to))
    case .wentBack(let last):
      self.consumer = nil
      return .error(.wentBack(stream: stream, wanted: position, last: last))
    case .failed(let reason):
      abandon(reason)
      return .progress
    }
  }

  /// The consumer, made anew if it is gone; nil when that must wait beyond `deadline`.
  private func liveConsumer(until deadline: Int64) throws(NATSError) -> PullConsumer? {
    if let consumer, consumer.subscription.session.isOpen { return consumer }
    consumer = nil
    while monotonicMs() < notBefore {
      guard monotonicMs() < deadline else { return nil }
      pause.locked { _ = pause.wait(untilMs: min(notBefore, deadline)) }
    }
    let session = try connection.session(timeoutMs: Int(max(0, deadline - monotonicMs())))
    let made = try PullConsumer(
      stream: stream, after: position, session: session, now: monotonicMs())
    consumersMade += 1
    consumer = made
    return made
  }

  /// Gives the consumer up; a new one is made at once, or a little later if this one never worked.
  private func abandon(_ reason: String) {
    if !isReading { notBefore = monotonicMs() + Self.pauseMs }
    consumer = nil
    lastFailure = reason
  }
}
