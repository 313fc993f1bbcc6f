import Dataflow
import Operators
import Ports

/// Hands the partials of a first stage to the log, in order, and knows when they are durable.
///
/// A copy of a partial frame is harmless (the second stage takes each number once), so after a failure
/// the frame is simply sent again. What is not yet durable is kept here; the loop commits nothing that
/// depends on it, and reads nothing further while there is too much of it.
struct PartialSender: ~Copyable {
  private let publisher: any FramePublisher
  private let stream: String
  private let metrics: LoopMetrics
  /// Frames that are not durable, in order of their numbers.
  private var waiting: [UInt64: PartialFrame] = [:]
  /// Numbers that are to be published, in order: new ones at the end, failed ones at the front.
  private var queue: [UInt64] = []
  private(set) var failure: String?

  /// More frames than this not yet durable stop the loop's reading.
  static let countMax = 512

  init(publisher: any FramePublisher, stream: String, metrics: LoopMetrics) {
    self.publisher = publisher
    self.stream = stream
    self.metrics = metrics
  }

  var isEmpty: Bool { waiting.isEmpty }
  var isFull: Bool { waiting.count >= Self.countMax }

  mutating func send(_ frames: [PartialFrame]) {
    guard !frames.isEmpty else { return }
    metrics.handedOn(frames: frames.count)
    for frame in frames {
      waiting[frame.number] = frame
      queue.append(frame.number)
    }
    publish()
  }

  /// Takes in what the log has answered; waits for at most that long if nothing has come.
  mutating func poll(timeoutMs: Int) {
    guard !waiting.isEmpty else { return }
    publish()
    var failed: [UInt64] = []
    for completion in publisher.poll(timeoutMs: timeoutMs) {
      switch completion.outcome {
      case .stored:
        waiting[completion.token] = nil
        failure = nil
      case .unavailable(let reason), .full(let reason), .sealed(let reason):
        failed.append(completion.token)
        failure = reason
        metrics.partialFailed()
      }
    }
    if !failed.isEmpty { queue = failed.sorted() + queue }
    if failure == nil { publish() }
  }

  private mutating func publish() {
    var count = 0
    for number in queue {
      guard publisher.inFlight < publisher.windowMax else { break }
      count += 1
      guard let frame = waiting[number] else { continue }
      publisher.publish(
        stream: stream, messageID: frame.messageID, frame: frame.bytes, token: number)
    }
    queue.removeFirst(count)
  }
}
