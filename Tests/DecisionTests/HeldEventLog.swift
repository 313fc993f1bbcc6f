import Foundation
import MemoryPorts
import Ports
import Synchronization

/// A log whose streams can be held: it says that they have more, and gives nothing, as a server does that is late.
final class HeldEventLog: EventLog {
  private struct State {
    var held: Set<String> = []
    var asked: [String: Int] = [:]
  }

  let log = MemoryEventLog()
  private let state = Mutex(State())

  func hold(_ stream: String) { state.withLock { _ = $0.held.insert(stream) } }

  func release(_ stream: String) { state.withLock { _ = $0.held.remove(stream) } }

  /// How often it was asked where a stream ends.
  func asked(_ stream: String) -> Int { state.withLock { $0.asked[stream] ?? 0 } }

  fileprivate func isHeld(_ stream: String) -> Bool {
    state.withLock { $0.held.contains(stream) }
  }

  func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    HeldReader(self, stream, try log.reader(stream: stream, after: after))
  }

  func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    try log.frame(stream: stream, sequence: sequence)
  }

  func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    state.withLock { $0.asked[stream, default: 0] += 1 }
    return try log.bounds(stream: stream)
  }
}

private final class HeldReader: FrameReader {
  private let log: HeldEventLog
  private let stream: String
  private let reader: any FrameReader
  /// Came while the stream was being held.
  private var kept: [any StoredFrame] = []

  init(_ log: HeldEventLog, _ stream: String, _ reader: any FrameReader) {
    self.log = log
    self.stream = stream
    self.reader = reader
  }

  var lastKnownSequence: UInt64 { reader.lastKnownSequence }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    guard !log.isHeld(stream) else {
      usleep(1_000)
      return []
    }
    let frames = kept + (try reader.next(timeoutMs: kept.isEmpty ? min(timeoutMs, 5) : 0))
    kept = log.isHeld(stream) ? frames : []
    return kept.isEmpty ? frames : []
  }
}
