import Dataflow
import Events
import Ports

/// Puts frames that cannot be read into the dead letters, with place and reason.
///
/// The frame itself stays in the log; the letter has its bytes as far as a dead letter keeps them.
/// Every copy of a letter is the same and has the same message id, so the log keeps one of those that
/// come within its duplicate window; a loop that starts again after a longer outage may write another,
/// which counts as rejected once more. Confined to one thread.
final class PoisonWriter {
  /// A stable code, for ever.
  static let code = "poison_frame"
  private static let pollMs = 250
  private static let pollsMax = 8

  private let stream: StreamPartition
  private let open: () throws(LogError) -> any FramePublisher
  private var publisher: (any FramePublisher)?

  /// - Parameters:
  ///   - stream: the dead letters.
  ///   - open: connects, at the first poison frame.
  init(stream: StreamPartition, open: @escaping () throws(LogError) -> any FramePublisher) {
    self.stream = stream
    self.open = open
  }

  /// Returns once the letter is durable.
  func write(
    _ frame: any StoredFrame, of source: StreamPartition, _ error: FrameError
  ) throws(LogError) {
    let used: any FramePublisher
    if let publisher { used = publisher } else { used = try open() }
    publisher = used
    let letter = DeadLetter(
      code: Self.code, detail: "the stored bytes are no frame that this program can read: \(error)",
      place: "\(source.stream) frame \(frame.sequence)",
      body: Array(frame.bytes.prefix(DeadLetter.sampleByteCountMax)), byteCount: frame.bytes.count)
    var encoder = FrameEncoder()
    encoder.append(
      letter.event(site: "", source: "log/\(source.stream)", receivedAt: frame.storedAt))
    let id = "poison-\(source.stream)-\(frame.sequence)"
    let bytes = encoder.seal(
      FrameHeader(
        kind: .deadLetters, generation: source.generation, partition: UInt32.max,
        producer: Array(id.utf8).withUnsafeBytes { SipHash128.hash($0) }, epoch: 0,
        producerSequence: frame.sequence))
    used.publish(stream: stream.stream, messageID: id, frame: bytes, token: frame.sequence)
    for _ in 0..<Self.pollsMax {
      for completion in used.poll(timeoutMs: Self.pollMs)
      where completion.token == frame.sequence {
        switch completion.outcome {
        case .stored: return
        case .unavailable(let reason), .full(let reason): throw .unavailable(reason)
        case .sealed: throw .unavailable("\(stream.stream) is sealed")
        }
      }
    }
    throw .unavailable("\(stream.stream) does not take a dead letter")
  }
}
