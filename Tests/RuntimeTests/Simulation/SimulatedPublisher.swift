import Oracles
import Ports

/// Publishes to a ``SimulatedLog``. What it was asked to publish is stored when it is polled.
final class SimulatedPublisher: FramePublisher {
  private typealias Entry = (stream: String, frame: [UInt8], token: UInt64)

  private let log: SimulatedLog
  private let process: SimulatedHost
  private var queue: [Entry] = []

  init(_ log: SimulatedLog, _ process: SimulatedHost) {
    self.log = log
    self.process = process
  }

  var inFlight: Int { queue.count }
  var windowMax: Int { 8 }

  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {
    queue.append((stream, frame, token))
    if log.faults.strikes(.killedInPublish, onceIn: 150) { die() }
  }

  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] {
    if process.isDead { return [] }
    if queue.count > 1 && log.faults.strikes(.publishOvertaken, onceIn: 4) { queue.swapAt(0, 1) }
    var outcomes: [(token: UInt64, outcome: PublishOutcome)] = []
    var waiting: [Entry] = []
    while !queue.isEmpty {
      if log.faults.strikes(.killedInPublish, onceIn: 150) {
        die()
        return []
      }
      let entry = queue.removeFirst()
      if let outcome = store(entry) {
        outcomes.append((entry.token, outcome))
      } else {
        waiting.append(entry)
      }
    }
    queue = waiting
    if outcomes.isEmpty { log.clock.advance(micros: Int64(timeoutMs) * 1000) }
    return outcomes
  }

  func wake() {}

  /// - Returns: nil while there is no answer yet.
  private func store(_ entry: Entry) -> PublishOutcome? {
    let faults = log.faults
    if log.isAway { return .unavailable("the log is away") }
    if faults.strikes(.publishNotSent, onceIn: 8) { return .unavailable("not sent") }
    if faults.strikes(.logFull, onceIn: 20) { return .full("no room") }
    if faults.isOn && faults.random.once(in: 8) { return nil }
    log.append(entry.frame, to: entry.stream)
    if faults.strikes(.publishAnswerLost, onceIn: 8) { return .unavailable("no answer") }
    if faults.strikes(.publishedTwice, onceIn: 8) {
      log.append(entry.frame, to: entry.stream)
      return .stored(sequence: 0, duplicate: true)
    }
    return .stored(sequence: log.count(entry.stream), duplicate: false)
  }

  /// Some of what was sent already still comes to the log.
  private func die() {
    process.die()
    let sent = queue.prefix(log.faults.random.below(queue.count + 1))
    log.inTransit += sent.map { ($0.stream, $0.frame) }
    queue = []
  }
}
