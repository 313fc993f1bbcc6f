public import Events
public import Ports
import Synchronization
import Threads

/// A log of several streams in memory, with the contract of the real one; it can be made to be away, and to go back.
public final class MemoryEventLog: EventLog {
  private struct State {
    var streams: [String: [Entry]] = [:]
    var isAway = false
    var readers: [Bell] = []
  }

  fileprivate struct Entry {
    var bytes: [UInt8]
    var storedAt: Int64
  }

  private let state = Mutex(State())

  public init() {}

  /// Readers get nothing while it is.
  public var isAway: Bool {
    get { state.withLock { $0.isAway } }
    set { change { $0.isAway = newValue } }
  }

  /// A frame of one event, stored when the event was received.
  public func append(_ event: IncomingEvent, to stream: String) {
    append([event], to: stream, storedAt: event.receivedAt)
  }

  /// - Parameter storedAt: microseconds since the epoch.
  public func append(_ events: [IncomingEvent], to stream: String, storedAt: Int64) {
    var encoder = FrameEncoder()
    for event in events { encoder.append(event) }
    let bytes = encoder.seal(
      FrameHeader(
        kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 1), epoch: 0,
        producerSequence: 1))
    change { $0.streams[stream, default: []].append(Entry(bytes: bytes, storedAt: storedAt)) }
  }

  /// Loses the newest frames of a stream.
  public func goBack(_ stream: String, to last: UInt64) {
    change { state in
      state.streams[stream] = Array((state.streams[stream] ?? []).prefix(Int(last)))
    }
  }

  private func change(_ body: (inout State) -> Void) {
    let readers = state.withLock { state in
      body(&state)
      return state.readers
    }
    for reader in readers { reader.ring() }
  }

  fileprivate func frames(
    _ stream: String, after position: UInt64
  ) throws(LogError) -> [MemoryEventFrame] {
    let (entries, isAway) = state.withLock { ($0.streams[stream] ?? [], $0.isAway) }
    if isAway { throw .unavailable("closed") }
    if position > entries.count {
      throw .wentBack(stream: stream, wanted: position, last: UInt64(entries.count))
    }
    return entries.enumerated().dropFirst(Int(position)).prefix(64).map { offset, entry in
      MemoryEventFrame(entry, sequence: UInt64(offset + 1))
    }
  }

  public func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    let bell = Bell()
    state.withLock { $0.readers.append(bell) }
    return MemoryEventReader(self, stream, after, bell)
  }

  public func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    guard sequence >= 1, let frame = try frames(stream, after: sequence - 1).first else {
      throw .missing(stream: stream, from: sequence, to: sequence)
    }
    return frame
  }

  public func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    (1, UInt64(state.withLock { $0.streams[stream] ?? [] }.count))
  }
}

/// Reads a stream of a ``MemoryEventLog`` in order.
private final class MemoryEventReader: FrameReader {
  private let log: MemoryEventLog
  private let stream: String
  private let bell: Bell
  private var position: UInt64
  private(set) var lastKnownSequence: UInt64

  init(_ log: MemoryEventLog, _ stream: String, _ position: UInt64, _ bell: Bell) {
    self.log = log
    self.stream = stream
    self.position = position
    self.bell = bell
    lastKnownSequence = position
  }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    var frames = try log.frames(stream, after: position)
    if frames.isEmpty {
      bell.wait(milliseconds: timeoutMs)
      frames = try log.frames(stream, after: position)
    }
    position = frames.last?.sequence ?? position
    lastKnownSequence = try log.bounds(stream: stream).last
    return frames
  }
}

private final class MemoryEventFrame: StoredFrame {
  let sequence: UInt64
  let storedAt: Int64
  private let memory: UnsafeMutableRawBufferPointer

  init(_ entry: MemoryEventLog.Entry, sequence: UInt64) {
    self.sequence = sequence
    storedAt = entry.storedAt
    memory = .allocate(byteCount: entry.bytes.count, alignment: 8)
    memory.copyBytes(from: entry.bytes)
  }

  deinit { memory.deallocate() }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
