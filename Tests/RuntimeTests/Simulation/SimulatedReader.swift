import Oracles
import Ports

/// Reads a ``SimulatedLog`` as the real reader does: from a consumer that is thrown away at the first
/// thing that is not as expected, and made anew behind the last frame that was handed out.
///
/// On the way from the log frames are lost, come twice and overtake each other. Whoever calls `next`
/// sees short batches and errors of it, and every frame once and in order.
final class SimulatedReader: FrameReader {
  /// What the log knows of one consumer, and what of it has come.
  private struct Consumer {
    var connection: Int
    /// The last frame that was sent, and how many were.
    var sent: UInt64
    var sentCount: UInt64 = 0
    var receivedCount: UInt64 = 0
  }

  private struct Message {
    var sequence: UInt64
    /// Its number among what the consumer was sent.
    var number: UInt64
  }

  private enum Arrival {
    case next, missing(upTo: UInt64), unexpected
  }

  private let log: SimulatedLog
  private let stream: String
  private var position: UInt64
  private var consumer: Consumer?
  /// What the frame at the position was; nil before the first consumer.
  private var last: SimulatedLog.Entry?

  init(_ log: SimulatedLog, _ stream: String, _ position: UInt64) {
    self.log = log
    self.stream = stream
    self.position = position
  }

  var lastKnownSequence: UInt64 { log.count(stream) }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    if log.isAway {
      consumer = nil
      throw .unavailable("the log is away")
    }
    var consumer = try connected()
    let messages = deliver(&consumer)
    if messages.isEmpty {
      let wait = Int64(1 + log.faults.random.below(max(1, timeoutMs))) * 1000
      log.clock.advance(micros: wait)
    }
    var frames: [any StoredFrame] = []
    for message in messages {
      switch arrive(message, &consumer) {
      case .next:
        position = message.sequence
        last = log.entry(stream, position)
        frames.append(log.stored(stream, position))
      case .missing(let end):
        self.consumer = nil
        // Found again at the next call, when there is nothing to hand out before it.
        if frames.isEmpty { throw .missing(stream: stream, from: position + 1, to: end) }
        return frames
      case .unexpected:
        self.consumer = nil
        if frames.isEmpty && log.faults.random.once(in: 2) {
          throw .unavailable("a delivery was lost or repeated")
        }
        return frames
      }
    }
    self.consumer = consumer
    return frames
  }

  /// A reader that connects anew compares the frame that it read last: a stream that went back may have
  /// grown past it again.
  private func connected() throws(LogError) -> Consumer {
    if let consumer, consumer.connection == log.connections { return consumer }
    let end = log.count(stream)
    if last == nil && position >= log.first(stream) && position <= end {
      last = log.entry(stream, position)
    }
    let isOther = last.map { position <= end && log.entry(stream, position) != $0 } ?? false
    if end < position || isOther {
      throw .wentBack(stream: stream, wanted: position, last: end)
    }
    if log.first(stream) > position + 1 {
      throw .missing(stream: stream, from: position + 1, to: log.first(stream) - 1)
    }
    return Consumer(connection: log.connections, sent: position)
  }

  private func deliver(_ consumer: inout Consumer) -> [Message] {
    let faults = log.faults
    let first = max(consumer.sent + 1, log.first(stream))
    let end = min(log.count(stream), consumer.sent + UInt64(1 + faults.random.below(5)))
    guard first <= end else { return [] }
    var messages: [Message] = []
    for sequence in first...end {
      consumer.sentCount += 1
      messages.append(Message(sequence: sequence, number: consumer.sentCount))
    }
    consumer.sent = end
    if faults.strikes(.redelivered, onceIn: 60) {
      consumer.sentCount += 1
      messages.append(Message(sequence: end, number: consumer.sentCount))
    }
    if faults.strikes(.deliveryRepeated, onceIn: 60) {
      let place = faults.random.below(messages.count)
      messages.insert(messages[place], at: place)
    }
    if messages.count > 1 && faults.strikes(.deliveryOvertaken, onceIn: 60) {
      let place = faults.random.below(messages.count - 1)
      messages.swapAt(place, place + 1)
    }
    if faults.strikes(.deliveryLost, onceIn: 60) {
      messages.remove(at: faults.random.below(messages.count))
    }
    return messages
  }

  private func arrive(_ message: Message, _ consumer: inout Consumer) -> Arrival {
    if log.defect == .deliveryTrusted { return .next }
    guard message.number == consumer.receivedCount + 1, message.sequence > position else {
      return .unexpected
    }
    consumer.receivedCount += 1
    return message.sequence == position + 1 ? .next : .missing(upTo: message.sequence - 1)
  }
}
