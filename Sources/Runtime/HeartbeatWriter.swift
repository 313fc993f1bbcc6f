import Dataflow
import Events
public import Logging
public import Ports
import Threads

/// Where a loop asks for heartbeats of its stream. Does not wait.
protocol HeartbeatSink {
  func write(_ stream: StreamPartition)
}

/// Writes heartbeat frames: they move a quiet partition's log time on, so that its windows close.
///
/// Loops ask from their threads and do not wait; a heartbeat that cannot be stored is dropped, the
/// loop asks again a second later.
public final class HeartbeatWriter: HeartbeatSink, Sendable {
  private struct Request: Sendable {
    var stream: String
    var header: FrameHeader
  }

  private let queue: BoundedQueue<Request>
  private let thread: LoopThread
  private let producer: Key128
  private let stop: StopFlag

  /// It is a producer of its own: with another producer's number its message ids would be those of
  /// that producer's frames, which the log would then take for copies and drop.
  ///
  /// - Parameter publisher: made and used on the writer's own thread.
  public init(logger: Logger, publisher: @escaping @Sendable () -> any FramePublisher) {
    let queue = BoundedQueue<Request>(countMax: 64)
    let stop = StopFlag()
    self.queue = queue
    self.stop = stop
    producer = Key128(low: .random(in: 1 ... .max), high: .random(in: 0 ... .max))
    thread = LoopThread(name: "heartbeat") {
      let publisher = publisher()
      var token: UInt64 = 0
      while true {
        let requests = queue.popAll()
        if requests.isEmpty { return }
        for request in requests where publisher.inFlight < publisher.windowMax {
          token += 1
          var header = request.header
          header.producerSequence = token
          publisher.publish(
            stream: request.stream, messageID: header.messageID,
            frame: FrameEncoder.heartbeat(header), token: token)
        }
        while publisher.inFlight > 0 && !stop.isSet {
          for completion in publisher.poll(timeoutMs: 100) {
            // A sealed stream needs no heartbeats any more.
            switch completion.outcome {
            case .stored, .sealed: continue
            case .unavailable, .full: break
            }
            logger.warning("heartbeat not stored", metadata: ["outcome": "\(completion.outcome)"])
          }
        }
      }
    }
  }

  func write(_ stream: StreamPartition) {
    let header = FrameHeader(
      kind: .heartbeat, generation: stream.generation, partition: UInt32(stream.partition),
      producer: producer, epoch: 0, producerSequence: 0)
    // A full queue means that the log is away; the loop asks again.
    _ = queue.push(Request(stream: stream.stream, header: header))
  }

  public func close() {
    stop.set()
    queue.close()
    thread.join()
  }
}
