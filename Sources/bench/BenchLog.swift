import Glibc
import Ports
import Synchronization

/// Streams in memory that give one frame at a time, and how long whoever reads them takes for each.
final class BenchLog: EventLog {
  private let streams: [String: [BenchFrame]]
  private let readers = Mutex<[String: BenchReader]>([:])

  init(_ streams: [String: [KeyedFrames.Frame]]) {
    self.streams = streams.mapValues { frames in
      frames.enumerated().map { BenchFrame($0.element, sequence: UInt64($0.offset + 1)) }
    }
  }

  /// Of a stream's loop, which is the first to read it.
  func stops(of stream: String) -> [BenchReader.Stop] {
    readers.withLock { $0[stream] }?.stops.withLock { $0 } ?? []
  }

  func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    let reader = BenchReader(streams[stream] ?? [], after: after)
    return readers.withLock { readers in
      if readers[stream] == nil { readers[stream] = reader }
      return reader
    }
  }

  func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    guard let frames = streams[stream], sequence >= 1, sequence <= frames.count else {
      throw .missing(stream: stream, from: sequence, to: sequence)
    }
    return frames[Int(sequence) - 1]
  }

  func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    (1, UInt64(streams[stream]?.count ?? 0))
  }
}

/// Notes what passes between giving a frame and being asked for the next one.
///
/// `@unchecked Sendable`: it is read on one thread; the stops are behind a lock.
final class BenchReader: FrameReader, @unchecked Sendable {
  struct Stop: Sendable {
    /// The frame that was given before.
    var sequence: UInt64
    var wall: Double
    /// Processor time of the thread.
    var busy: Double
  }

  let stops = Mutex<[Stop]>([])
  private let frames: [BenchFrame]
  private var position: Int
  private var given: (wall: ContinuousClock.Instant, busy: Double)?

  init(_ frames: [BenchFrame], after: UInt64) {
    self.frames = frames
    position = Int(after)
  }

  func next(timeoutMs: Int) throws(LogError) -> [any StoredFrame] {
    if let given {
      let stop = Stop(
        sequence: UInt64(position), wall: (ContinuousClock.now - given.wall) / .seconds(1),
        busy: CPUTime.thread() - given.busy)
      stops.withLock { $0.append(stop) }
    }
    given = nil
    guard position < frames.count else {
      sleepMs(min(timeoutMs, 10))
      return []
    }
    position += 1
    given = (ContinuousClock.now, CPUTime.thread())
    return [frames[position - 1]]
  }

  private func sleepMs(_ milliseconds: Int) {
    var time = timespec(tv_sec: 0, tv_nsec: milliseconds * 1_000_000)
    nanosleep(&time, nil)
  }

  var lastKnownSequence: UInt64 { UInt64(frames.count) }
}

/// `@unchecked Sendable`: its bytes never change.
final class BenchFrame: StoredFrame, @unchecked Sendable {
  let sequence: UInt64
  let storedAt: Int64
  private let memory: UnsafeMutableRawBufferPointer

  init(_ frame: KeyedFrames.Frame, sequence: UInt64) {
    self.sequence = sequence
    storedAt = frame.logTime
    memory = .allocate(byteCount: frame.bytes.count, alignment: 8)
    memory.copyBytes(from: frame.bytes)
  }

  deinit { memory.deallocate() }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
}
