import Events
import Synchronization

/// A frame that is being filled, with the requests that wait for it.
final class OpenFrame: @unchecked Sendable {
  // In a lane it is touched under the lane's lock; taken out of it, by the publisher's thread.

  var encoder = FrameEncoder()
  var waiters: [PendingRequest] = []
  /// Steady time of its first event.
  var openedMicros: Int64 = 0
  /// What it counts for in ``Lane/waitingBytes``.
  var waitingBytes = 0

  func append(_ event: IncomingEvent) {
    encoder.append(event)
    waitingBytes += Self.size(of: event)
  }

  /// Columns of an event besides its texts, about.
  private static let eventOverheadBytes = 65

  static func size(of event: IncomingEvent) -> Int {
    event.payload.count + event.id.utf8.count + event.dimensions.count + eventOverheadBytes
  }
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
  /// Of the stream; 0 for dead letters, which are of none.
  let generation: UInt32
  /// Nil for dead letters.
  let partition: Int?
  /// Bytes of events that no published frame has taken yet.
  let waitingBytes = Atomic<Int>(0)
  /// Frames that are published and not yet settled. Written by the publisher's thread.
  let inFlight = Atomic<Int>(0)
  /// Its last frame was refused or lost. Written by the publisher's thread.
  let isAway = Atomic<Bool>(false)
  /// Steady time when the last frame was taken. Written by the publisher's thread.
  private let lastTakenMicros = Atomic<Int64>(.min / 2)
  /// Why its last frame was not stored.
  let problem = Mutex<String?>(nil)
  /// Steady time of its last frame that was not stored, or of the last trial. Of the publisher's thread.
  let lastTrialMicros = Atomic<Int64>(0)
  /// Producer's sequence of its last frame. Of the publisher's thread.
  private let producerSequence = Atomic<UInt64>(0)
  private let parameters: IngestParameters
  private let state = Mutex(State())

  init(stream: String, generation: UInt32, partition: Int?, parameters: IngestParameters) {
    self.stream = stream
    self.generation = generation
    self.partition = partition
    self.parameters = parameters
  }

  /// Appends events of one request, to more than one frame where they do not fit in one.
  ///
  /// - Parameter indices: of the events that belong to this lane.
  /// - Returns: true where the publisher may have to act: these are the first events, or enough.
  func append(
    _ events: [IncomingEvent], _ indices: some Sequence<Int>, of request: PendingRequest,
    nowMicros: Int64
  ) -> Bool {
    var total = 0
    state.withLock { state in
      for index in indices {
        let size = OpenFrame.size(of: events[index])
        let isFull =
          state.open.encoder.count >= parameters.frameEventsMax
          || state.open.encoder.byteCount + size > parameters.frameBytesMax
        if isFull && state.open.encoder.count > 0 { Self.roll(&state) }
        if state.open.encoder.count == 0 { state.open.openedMicros = nowMicros }
        state.open.append(events[index])
        total += size
        if state.open.waiters.last !== request {
          state.open.waiters.append(request)
          request.addFrame()
        }
      }
    }
    let (before, after) = waitingBytes.add(total, ordering: .sequentiallyConsistent)
    return before == 0 || before < parameters.longFrameBytes && after >= parameters.longFrameBytes
  }

  private static func roll(_ state: inout State) {
    state.full.append(state.open)
    state.open = state.spare ?? OpenFrame()
    state.spare = nil
  }

  /// How long the oldest frame still has to wait before it is published, in microseconds; nil
  /// where there is none, or it waits for an acknowledgement.
  ///
  /// Every frame costs a sync of the log's disk and a message, so short ones gather: while another
  /// of the partition is on its way, and until the next tick of
  /// ``IngestParameters/frameIntervalMicros`` after the last. A long one goes at once, and so does
  /// the first one after a pause.
  func delayMicros(nowMicros: Int64) -> Int64? {
    let waiting = waitingBytes.load(ordering: .sequentiallyConsistent)
    guard waiting > 0 else { return nil }
    let inFlight = inFlight.load(ordering: .sequentiallyConsistent)
    if waiting >= parameters.longFrameBytes {
      return inFlight < parameters.framesInFlightMax ? 0 : nil
    }
    guard inFlight == 0 else { return nil }
    // Ticks are the same for all lanes, so that one wake of the publisher serves them all.
    let interval = Int64(max(1, parameters.frameIntervalMicros))
    let tick = (lastTakenMicros.load(ordering: .relaxed) / interval + 1) * interval
    return max(0, tick - nowMicros)
  }

  /// The number of the lane's next frame, from 1.
  func nextProducerSequence() -> UInt64 {
    producerSequence.add(1, ordering: .relaxed).newValue
  }

  var isEmpty: Bool { waitingBytes.load(ordering: .sequentiallyConsistent) == 0 }

  /// The oldest frame that has events.
  func takeFrame(nowMicros: Int64) -> OpenFrame? {
    let frame: OpenFrame? = state.withLock { state in
      if !state.full.isEmpty { return state.full.removeFirst() }
      guard state.open.encoder.count > 0 else { return nil }
      Self.roll(&state)
      return state.full.removeFirst()
    }
    if let frame {
      waitingBytes.subtract(frame.waitingBytes, ordering: .sequentiallyConsistent)
      lastTakenMicros.store(nowMicros, ordering: .relaxed)
    }
    return frame
  }

  /// The oldest frame if its first event came before `micros`.
  func takeFrame(openedBefore micros: Int64, nowMicros: Int64) -> OpenFrame? {
    let isDue = state.withLock { state in
      let oldest = state.full.first ?? state.open
      return oldest.encoder.count > 0 && oldest.openedMicros < micros
    }
    return isDue ? takeFrame(nowMicros: nowMicros) : nil
  }

  /// Takes over a frame of events that another lane could not publish; their requests wait for it.
  func adopt(_ frame: OpenFrame) {
    state.withLock { $0.full.append(frame) }
    waitingBytes.add(frame.waitingBytes, ordering: .sequentiallyConsistent)
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
