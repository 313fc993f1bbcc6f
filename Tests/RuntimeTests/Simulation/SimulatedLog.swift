import Events
import Oracles
import Ports

/// Streams in memory, and everything that happens to a log: it is away, answers get lost, frames are
/// stored twice and out of order, the end of a stream is gone.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedLog: EventLog, @unchecked Sendable {
  struct Entry {
    var bytes: [UInt8]
    var storedAt: Int64
    /// What the frame was made from; nil for partials.
    var content: LogEntry.Content?
  }

  private(set) var streams: [String: [Entry]] = [:]
  var isAway = false
  /// Publishers lose answers, store copies and change places.
  var isUnreliable = false
  /// How often the log has gone back.
  private(set) var lives: [String: [Int]] = [:]
  let clock: SimulatedClock
  var random: SeededGenerator

  init(clock: SimulatedClock, random: SeededGenerator) {
    self.clock = clock
    self.random = random
  }

  func count(_ stream: String) -> UInt64 { UInt64(streams[stream, default: []].count) }

  func append(_ bytes: [UInt8], to stream: String, content: LogEntry.Content? = nil) {
    streams[stream, default: []].append(
      Entry(bytes: bytes, storedAt: clock.logTime, content: content))
  }

  func entries(_ stream: String) -> [LogEntry] {
    streams[stream, default: []].compactMap { entry in
      entry.content.map { LogEntry(content: $0, bytes: entry.bytes, storedAt: entry.storedAt) }
    }
  }

  /// The log goes back: the last frames are gone, as after a power cut without sync.
  func truncate(_ stream: String, by count: Int) {
    let kept = max(0, streams[stream, default: []].count - count)
    streams[stream] = Array(streams[stream, default: []].prefix(kept))
    lives[stream, default: []].append(kept)
  }

  func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    if isAway { throw .unavailable("the log is away") }
    return SimulatedReader(self, stream, after)
  }

  func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    if isAway { throw .unavailable("the log is away") }
    guard sequence >= 1, sequence <= count(stream) else {
      throw .missing(stream: stream, from: sequence, to: sequence)
    }
    return stored(stream, sequence)
  }

  func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    if isAway { throw .unavailable("the log is away") }
    return (1, count(stream))
  }

  fileprivate func stored(_ stream: String, _ sequence: UInt64) -> MemoryFrame {
    let entry = streams[stream, default: []][Int(sequence) - 1]
    return MemoryFrame(bytes: entry.bytes, storedAt: entry.storedAt, sequence: sequence)
  }

  fileprivate func next(
    _ stream: String, after: UInt64, life: Int, timeoutMs: Int
  ) throws(LogError) -> [MemoryFrame] {
    if isAway { throw .unavailable("the log is away") }
    let last = count(stream)
    // A reader that connects anew compares the frame that it read last.
    let lost = lives[stream, default: []].dropFirst(life).contains { UInt64($0) < after }
    if lost || last < after { throw .wentBack(stream: stream, wanted: after, last: last) }
    guard last > after else {
      clock.advance(micros: Int64(1 + random.below(max(1, timeoutMs))) * 1000)
      return []
    }
    let size = UInt64(1 + random.below(5))
    return ((after + 1)...min(last, after + size)).map { stored(stream, $0) }
  }
}

private final class SimulatedReader: FrameReader {
  private let log: SimulatedLog
  private let stream: String
  private var position: UInt64
  private let life: Int

  init(_ log: SimulatedLog, _ stream: String, _ position: UInt64) {
    self.log = log
    self.stream = stream
    self.position = position
    life = log.lives[stream, default: []].count
  }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    let frames = try log.next(stream, after: position, life: life, timeoutMs: timeoutMs)
    position = frames.last?.sequence ?? position
    return frames
  }

  var lastKnownSequence: UInt64 { log.count(stream) }
}

/// Publishes to a ``SimulatedLog``. What it was asked to publish is stored when it is polled.
final class SimulatedPublisher: FramePublisher {
  private let log: SimulatedLog
  private var queue: [(stream: String, frame: [UInt8], token: UInt64)] = []

  init(_ log: SimulatedLog) { self.log = log }

  var inFlight: Int { queue.count }
  var windowMax: Int { 8 }

  func publish(stream: String, messageID: String, frame: [UInt8], token: UInt64) {
    queue.append((stream, frame, token))
  }

  func poll(timeoutMs: Int) -> [(token: UInt64, outcome: PublishOutcome)] {
    var outcomes: [(token: UInt64, outcome: PublishOutcome)] = []
    var waiting: [(stream: String, frame: [UInt8], token: UInt64)] = []
    if log.isUnreliable && queue.count > 1 && log.random.once(in: 4) { queue.swapAt(0, 1) }
    for entry in queue {
      switch log.isUnreliable ? log.random.below(8) : 7 {
      case 0 where !log.isAway:
        // Stored, but the answer is lost.
        log.append(entry.frame, to: entry.stream)
        outcomes.append((entry.token, .unavailable("no answer")))
      case 1: outcomes.append((entry.token, .unavailable("not sent")))
      case 2: waiting.append(entry)
      case 3 where !log.isAway:
        log.append(entry.frame, to: entry.stream)
        log.append(entry.frame, to: entry.stream)
        outcomes.append((entry.token, .stored(sequence: 0, duplicate: true)))
      default:
        if log.isAway {
          outcomes.append((entry.token, .unavailable("the log is away")))
        } else {
          log.append(entry.frame, to: entry.stream)
          outcomes.append((entry.token, .stored(sequence: 0, duplicate: false)))
        }
      }
    }
    queue = waiting
    if outcomes.isEmpty { log.clock.advance(micros: Int64(timeoutMs) * 1000) }
    return outcomes
  }

  func wake() {}
}
