import Dataflow
import Events
import Oracles
import Ports

@testable import Runtime

/// Streams in memory, and everything that happens to a log: it is away, the end of a stream is gone,
/// its beginning is trimmed.
///
/// `@unchecked Sendable`: a simulation runs on one thread.
final class SimulatedLog: EventLog, @unchecked Sendable {
  struct Entry: Equatable {
    var bytes: [UInt8]
    var storedAt: Int64
    /// What the frame was made from; nil for partials.
    var content: LogEntry.Content?

    static func == (a: Entry, b: Entry) -> Bool { a.bytes == b.bytes && a.storedAt == b.storedAt }
  }

  private(set) var streams: [String: [Entry]] = [:]
  /// What was in a stream before it went back.
  private(set) var lost: [String: [Entry]] = [:]
  /// How many frames were left each time that a stream went back.
  private(set) var lives: [String: [Int]] = [:]
  /// The last frame that is trimmed.
  private(set) var trimmed: [String: UInt64] = [:]
  /// Sent by processes that died before they had an answer; the log gets them later, or never.
  var inTransit: [(stream: String, bytes: [UInt8])] = []
  var isAway = false
  /// The number of times that every connection was lost.
  private(set) var connections = 0
  let clock: SimulatedClock
  let faults: Faults
  let defect: Defect?

  init(clock: SimulatedClock, faults: Faults = Faults(seed: 0), defect: Defect? = nil) {
    self.clock = clock
    self.faults = faults
    self.defect = defect
  }

  func count(_ stream: String) -> UInt64 { UInt64(streams[stream, default: []].count) }

  /// The first sequence that is still there.
  func first(_ stream: String) -> UInt64 { trimmed[stream, default: 0] + 1 }

  func append(_ bytes: [UInt8], to stream: String, content: LogEntry.Content? = nil) {
    streams[stream, default: []].append(
      Entry(bytes: bytes, storedAt: clock.logTime, content: content))
  }

  /// All frames of a stream of the events, those that are trimmed too.
  func entries(_ stream: String) -> [LogEntry] {
    streams[stream, default: []].compactMap { entry in
      entry.content.map { LogEntry(content: $0, bytes: entry.bytes, storedAt: entry.storedAt) }
    }
  }

  func entry(_ stream: String, _ sequence: UInt64) -> Entry {
    streams[stream, default: []][Int(sequence) - 1]
  }

  /// Whoever reads must connect anew.
  func disconnect() { connections += 1 }

  /// The log goes back: the last frames are gone, as after a power cut without sync.
  func truncate(_ stream: String, by count: Int) {
    let entries = streams[stream, default: []]
    let kept = max(Int(trimmed[stream, default: 0]), entries.count - count)
    lost[stream, default: []] += entries[kept...]
    streams[stream] = Array(entries.prefix(kept))
    lives[stream, default: []].append(kept)
    disconnect()
  }

  /// The first frames, up to and including that one, are removed on purpose.
  func trim(_ stream: String, upTo sequence: UInt64) {
    trimmed[stream] = max(trimmed[stream, default: 0], min(sequence, count(stream)))
  }

  func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    if isAway { throw .unavailable("the log is away") }
    return SimulatedReader(self, stream, after)
  }

  func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    if isAway { throw .unavailable("the log is away") }
    guard sequence >= first(stream), sequence <= count(stream) else {
      throw .missing(stream: stream, from: sequence, to: sequence)
    }
    return stored(stream, sequence)
  }

  func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    if isAway { throw .unavailable("the log is away") }
    return (first(stream), count(stream))
  }

  func stored(_ stream: String, _ sequence: UInt64) -> MemoryFrame {
    let entry = entry(stream, sequence)
    return MemoryFrame(bytes: entry.bytes, storedAt: entry.storedAt, sequence: sequence)
  }
}

/// Heartbeats that are stored at once.
struct SimulatedHeartbeats: HeartbeatSink {
  private let log: SimulatedLog
  private let process: SimulatedHost

  init(_ log: SimulatedLog, _ process: SimulatedHost) {
    self.log = log
    self.process = process
  }

  func write(_ stream: StreamPartition) {
    if log.isAway || process.isDead { return }
    let entry = LogEntry.heartbeat(at: log.clock.logTime)
    log.append(entry.bytes, to: stream.stream, content: entry.content)
  }
}
