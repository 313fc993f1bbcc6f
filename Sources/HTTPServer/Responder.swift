import NIOCore
import Synchronization

/// The right to answer one request of a fast route later, once, from any thread.
///
/// A responder that is dropped without an answer leaves its client to the server's
/// `answerTimeoutMs`. Answers after the client has gone are ignored.
public struct Responder: Sendable {
  let connection: Connection
  let exchange: UInt64

  /// Answers now, or by one task on the request's event loop. For many requests use
  /// ``ResponseBatch``.
  public func complete(_ response: FastResponse) {
    let exchange = exchange
    let connection = connection
    if connection.eventLoop.inEventLoop {
      connection.complete(exchange: exchange, with: response)
      connection.flushCompleted()
    } else if !connection.loop.hasEnded.load(ordering: .acquiring) {
      connection.eventLoop.execute {
        connection.complete(exchange: exchange, with: response)
        connection.flushCompleted()
      }
    }
  }

  /// Answers after this time unless there is an answer by then. Of two answers the first counts.
  public func complete(_ response: FastResponse, afterMs delayMs: Int) {
    _ = connection.eventLoop.scheduleTask(in: .milliseconds(Int64(delayMs))) { complete(response) }
  }
}

/// Answers to many requests, delivered with one task per event loop.
public struct ResponseBatch: Sendable {
  /// How long answers wait for their event loop, in nanoseconds, of the last ones that were taken up.
  public final class Delay: Sendable {
    private let nanoseconds = Atomic<UInt64>(0)

    public init() {}

    public var last: UInt64 { nanoseconds.load(ordering: .relaxed) }

    fileprivate func took(since start: NIODeadline) {
      nanoseconds.store(
        NIODeadline.now().uptimeNanoseconds &- start.uptimeNanoseconds, ordering: .relaxed)
    }
  }

  private struct LoopBatch: Sendable {
    let loop: LoopState
    var answers: [(responder: Responder, response: FastResponse)]
  }

  /// Of answers to the requests of one frame, about.
  private static let usualCount = 32
  /// By index of event loop; at most one entry per loop.
  private var batches: [LoopBatch?] = []
  private let delay: Delay?

  /// - Parameter delay: is told how long answers wait.
  public init(delay: Delay? = nil) { self.delay = delay }

  public mutating func add(_ responder: Responder, _ response: FastResponse) {
    let index = responder.connection.loop.index
    while batches.count <= index { batches.append(nil) }
    if batches[index] == nil {
      batches[index] = LoopBatch(loop: responder.connection.loop, answers: [])
      batches[index]?.answers.reserveCapacity(Self.usualCount)
    }
    batches[index]?.answers.append((responder: responder, response: response))
  }

  /// Sends all answers and empties the batch.
  public mutating func deliver() {
    for index in batches.indices {
      guard let batch = batches[index] else { continue }
      batches[index] = nil
      if batch.loop.hasEnded.load(ordering: .acquiring) { continue }
      let delay = delay
      let start = NIODeadline.now()
      batch.loop.eventLoop.execute {
        delay?.took(since: start)
        // By their places: an answer has many parts, which a copy would count.
        let answers = batch.answers
        for index in answers.indices {
          answers[index].responder.connection.complete(
            exchange: answers[index].responder.exchange, with: answers[index].response)
        }
        for index in answers.indices { answers[index].responder.connection.flushCompleted() }
      }
    }
  }
}
