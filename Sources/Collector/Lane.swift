import Events
import Synchronization

/// A frame that is being filled, with the requests that wait for it.
final class OpenFrame: @unchecked Sendable {
  // In a lane it is touched under the lane's lock; taken out of it, by the publisher's thread.

  var encoder = FrameEncoder()
  var waiters: [PendingRequest] = []
  /// Steady time of its first event.
  var openedMs: Int64 = 0
  /// What it counts for in ``Lane/waitingBytes``.
  var waitingBytes = 0
}

/// The events of one partition on their way to its stream: one frame being filled and, under
/// load, full ones behind it.
///
/// Event loops append; the publisher's thread takes whole frames. Sealing happens outside the
/// lock. The bytes that wait are bounded by the caller, which refuses requests beforehand.
final class Lane: Sendable {
  private struct State {
    var open = OpenFrame()
    var full: [OpenFrame] = []
    var spare: OpenFrame?
  }

  let stream: String
  /// Nil for dead letters.
  let partition: Int?
  /// Bytes of events that no published frame has taken yet.
  let waitingBytes = Atomic<Int>(0)
  /// Frames that are published and not yet settled. Written by the publisher's thread.
  let inFlight = Atomic<Int>(0)
  private let parameters: IngestParameters
  private let state = Mutex(State())

  /// Columns of an event besides its texts, about.
  private static let eventOverheadBytes = 65

  init(stream: String, partition: Int?, parameters: IngestParameters) {
    self.stream = stream
    self.partition = partition
    self.parameters = parameters
  }

  /// Appends events of one request, to more than one frame where they do not fit in one.
  ///
  /// - Parameter indices: of the events that belong to this lane.
  func append(
    _ events: [IncomingEvent], _ indices: some Sequence<Int>, of request: PendingRequest,
    nowMs: Int64
  ) {
    var total = 0
    state.withLock { state in
      for index in indices {
        let size =
          events[index].payload.count + events[index].id.utf8.count
          + events[index].dimensions.count + Self.eventOverheadBytes
        let isFull =
          state.open.encoder.count >= parameters.frameEventsMax
          || state.open.encoder.byteCount + size > parameters.frameBytesMax
        if isFull && state.open.encoder.count > 0 { Self.roll(&state) }
        if state.open.encoder.count == 0 { state.open.openedMs = nowMs }
        state.open.encoder.append(events[index])
        state.open.waitingBytes += size
        total += size
        if state.open.waiters.last !== request {
          state.open.waiters.append(request)
          request.addFrame()
        }
      }
    }
    waitingBytes.add(total, ordering: .sequentiallyConsistent)
  }

  private static func roll(_ state: inout State) {
    state.full.append(state.open)
    state.open = state.spare ?? OpenFrame()
    state.spare = nil
  }

  /// The oldest frame that has events.
  func takeFrame() -> OpenFrame? {
    let frame: OpenFrame? = state.withLock { state in
      if !state.full.isEmpty { return state.full.removeFirst() }
      guard state.open.encoder.count > 0 else { return nil }
      Self.roll(&state)
      return state.full.removeFirst()
    }
    if let frame { waitingBytes.subtract(frame.waitingBytes, ordering: .sequentiallyConsistent) }
    return frame
  }

  /// The oldest frame if its first event came before `ms`.
  func takeFrame(openedBefore ms: Int64) -> OpenFrame? {
    let isDue = state.withLock { state in
      let oldest = state.full.first ?? state.open
      return oldest.encoder.count > 0 && oldest.openedMs < ms
    }
    return isDue ? takeFrame() : nil
  }

  /// Gives a sealed frame's buffers back.
  func recycle(_ frame: OpenFrame) {
    frame.waiters.removeAll(keepingCapacity: true)
    frame.waitingBytes = 0
    state.withLock { state in
      if state.spare == nil { state.spare = frame }
    }
  }
}
