import Ports
import Synchronization
import Threads

/// Reads one stream ahead, on a thread of its own, so that the one that learns never waits for a server.
///
///     log ──next──▶ pump ──▶ [ frames, a bounded number of bytes ] ──take──▶ follower
///
/// While the log is away it tries again; what cannot be continued ends it, with the reason.
final class StreamPump: Sendable {
  /// Frames in order. `@unchecked Sendable`: whoever has them is the only one who does, and nobody changes them.
  struct Batch: @unchecked Sendable {
    var frames: [any StoredFrame]
    var byteCount: Int
  }

  private struct State: Sendable {
    var batches: [Batch] = []
    var byteCount = 0
    var lastKnown: UInt64 = 0
    var away: String?
    var failure: LogError?
  }

  /// More than this waits only where one batch is larger; a reader's batch has at most some megabytes.
  private static let bytesMax = 4 << 20
  private static let pauseMs = 100
  /// A stopped pump ends within this time.
  private static let waitMs = 250

  private let state = Mutex(State())
  private let stop = StopFlag()
  private let room = Bell()
  private let thread = Mutex<LoopThread?>(nil)

  /// - Parameters:
  ///   - after: the sequence after which to start.
  ///   - arrived: rung when there is something to take, and when the log has gone or come back.
  func start(_ log: any EventLog, stream: String, after: UInt64, arrived: Bell) {
    state.withLock { $0.lastKnown = after }
    let started = LoopThread(name: "follow-\(stream)") { [self] in
      read(log, stream, after: after, arrived)
    }
    thread.withLock { $0 = started }
  }

  /// Tells the thread to end; ``join()`` waits for it.
  func end() {
    stop.set()
    room.ring()
  }

  func join() { thread.withLock { $0 }?.join() }

  /// The frames that have come since the last call, the reason why no more come at the moment, and what ended the
  /// stream for good once everything before it is taken.
  func take() -> (batches: [Batch], lastKnown: UInt64, away: String?, failure: LogError?) {
    let taken = state.withLock { state in
      defer {
        state.batches = []
        state.byteCount = 0
      }
      return (state.batches, state.lastKnown, state.away, state.failure)
    }
    room.ring()
    return taken
  }

  private func read(_ log: any EventLog, _ stream: String, after: UInt64, _ arrived: Bell) {
    var reader: (any FrameReader)?
    while !stop.isSet {
      do throws(LogError) {
        if reader == nil { reader = try log.reader(stream: stream, after: after) }
        guard let reader else { continue }
        let frames = try reader.next(timeoutMs: Self.waitMs)
        deliver(frames, lastKnown: reader.lastKnownSequence, arrived)
      } catch .unavailable(let reason) {
        note(away: reason, arrived)
        if stop.wait(milliseconds: Self.pauseMs) { return }
      } catch {
        state.withLock { $0.failure = error }
        arrived.ring()
        return
      }
    }
  }

  private func deliver(_ frames: [any StoredFrame], lastKnown: UInt64, _ arrived: Bell) {
    let byteCount = frames.reduce(0) { $0 + $1.bytes.count }
    let batch = Batch(frames: frames, byteCount: byteCount)
    let isNews = state.withLock { state in
      let wasAway = state.away != nil
      state.away = nil
      state.lastKnown = max(state.lastKnown, lastKnown, batch.frames.last?.sequence ?? 0)
      guard !batch.frames.isEmpty else { return wasAway }
      state.batches.append(batch)
      state.byteCount += batch.byteCount
      return true
    }
    if isNews { arrived.ring() }
    while !stop.isSet, state.withLock({ $0.byteCount }) > Self.bytesMax { room.wait() }
  }

  private func note(away reason: String, _ arrived: Bell) {
    let isNews = state.withLock { state in
      defer { state.away = reason }
      return state.away == nil
    }
    if isNews { arrived.ring() }
  }
}
