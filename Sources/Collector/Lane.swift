import Events
import Synchronization

/// The events of one partition on their way to its stream: one frame being filled and, under
/// load, full ones behind it.
///
/// Events that happened long before they came (``IngestParameters/oldAfterSeconds``), such as those of an
/// import of history, are old: they wait in a queue of their own, whose frames go when no live one waits,
/// and at least as every tenth (``IngestParameters/oldFrameEvery``).
///
/// Event loops append; the publisher's thread takes whole frames. Sealing happens outside the
/// lock. The bytes that wait are bounded by the caller, which asks for ``refusal(_:_:key:takesNothing:)``
/// beforehand: what a lane takes is refused to nobody because another lane is full, and never because
/// of one write key or one person alone (``LaneShares``).
final class Lane: Sendable {
  private struct Queue {
    var open = OpenFrame()
    var full: [OpenFrame] = []

    var oldest: OpenFrame { full.first ?? open }
    var isEmpty: Bool { full.isEmpty && open.encoder.count == 0 }

    func bytes(of person: Key128) -> Int {
      full.reduce(open.shares.bytes(of: person)) { $0 + $1.shares.bytes(of: person) }
    }

    func bytes(ofKey key: Int) -> Int {
      full.reduce(open.shares.bytes(ofKey: key)) { $0 + $1.shares.bytes(ofKey: key) }
    }
  }

  private struct State {
    /// Of live events, and of old ones.
    var queues = [Queue(), Queue()]
    var spare: OpenFrame?
    /// Live frames that were taken since the last old one.
    var liveInARow = 0
  }

  private static let live = 0
  private static let old = 1

  let stream: String
  /// Of the stream; 0 for dead letters, which are of none.
  let generation: UInt32
  /// Nil for dead letters.
  let partition: Int?
  /// Bytes of live events that no published frame has taken yet.
  let liveBytes = Atomic<Int>(0)
  /// Bytes of old ones.
  let oldBytes = Atomic<Int>(0)
  /// Frames that are published and not yet settled. Written by the publisher's thread.
  let inFlight = Atomic<Int>(0)
  /// Of all lanes.
  private let round: CommitRound
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

  init(
    stream: String, generation: UInt32, partition: Int?, round: CommitRound,
    parameters: IngestParameters
  ) {
    self.round = round
    self.stream = stream
    self.generation = generation
    self.partition = partition
    self.parameters = parameters
  }

  /// Appends events of one request, to more than one frame where they do not fit in one.
  ///
  /// - Parameter indices: of the events that belong to this lane.
  /// - Returns: the steady time from which on the publisher has to be woken for them; `never` where it looks here by
  ///   itself.
  func append(
    _ events: EventBatch, _ indices: some Sequence<Int>, of request: PendingRequest,
    nowMicros: Int64
  ) -> Int64 {
    let added = state.withLock { fill(&$0, events, indices, request, nowMicros) }
    return add(added)
  }

  /// The same, unless somebody else is at the lane just now.
  ///
  /// - Returns: nil where somebody is; then nothing was appended.
  func appendIfFree(
    _ events: EventBatch, _ indices: some Sequence<Int>, of request: PendingRequest,
    nowMicros: Int64
  ) -> Int64? {
    state.withLockIfAvailable { fill(&$0, events, indices, request, nowMicros) }.map { add($0) }
  }

  private func fill(
    _ state: inout State, _ events: EventBatch, _ indices: some Sequence<Int>,
    _ request: PendingRequest, _ nowMicros: Int64
  ) -> (live: Int, old: Int) {
    var added = (live: 0, old: 0)
    var (open, queue) = (state.queues[Self.live].open, Self.live)
    var cursor = EventBatch.Cursor()
    for index in indices {
      let isOld = events.isOld(index, parameters)
      if isOld != (queue == Self.old) {
        queue = isOld ? Self.old : Self.live
        open = state.queues[queue].open
        cursor = EventBatch.Cursor()
      }
      let size = events.size(index)
      if !open.isEmpty, open.isFull(for: size, parameters) {
        Self.roll(&state, queue)
        open = state.queues[queue].open
        cursor = EventBatch.Cursor()
      }
      if open.isEmpty { open.openedMicros = nowMicros }
      open.append(events, index, size, of: request, &cursor)
      if isOld { added.old += size } else { added.live += size }
    }
    return added
  }

  private func add(_ added: (live: Int, old: Int)) -> Int64 {
    let live = added.live > 0 ? add(added.live, to: liveBytes) : Self.never
    let old = added.old > 0 ? add(added.old, to: oldBytes) : Self.never
    return round.wait(added.live + added.old) ? Self.always : min(live, old)
  }

  /// Only a frame that is long by these bytes, and the first ones after a pause, are not expected: behind a frame that is on
  /// its way the publisher hears of the acknowledgement, and at the next tick it looks here.
  private func add(_ bytes: Int, to waiting: borrowing Atomic<Int>) -> Int64 {
    let (before, after) = waiting.add(bytes, ordering: .sequentiallyConsistent)
    let long = longBytes
    if before < long && after >= long { return Self.always }
    if before > 0 { return Self.never }
    if isAway.load(ordering: .relaxed) { return Self.always }
    return inFlight.load(ordering: .sequentiallyConsistent) > 0
      ? Self.never : tickMicros(waitingBytes: 0)
  }

  static let never = Int64.max
  private static let always = Int64.min

  /// From so many bytes on a frame goes at once. Where much more than two such frames' worth of events is on its way
  /// frames are up to twice as long: each costs the log a sync, which takes as long as some hundred kilobytes do.
  private var longBytes: Int {
    let long = parameters.longFrameBytes
    return max(long, min(2 * long, parameters.frameBytesMax, round.laneBytes / 2))
  }

  /// When a short frame goes that no round takes along, steady time.
  private func tickMicros(waitingBytes: Int) -> Int64 {
    let ticks = waitingBytes >= parameters.crowdedFrameBytes ? 2 : 1
    return lastTakenMicros.load(ordering: .relaxed)
      + Int64(parameters.frameIntervalMicros * ticks)
  }

  private static func roll(_ state: inout State, _ queue: Int) {
    state.queues[queue].open.isOld = queue == old
    state.queues[queue].full.append(state.queues[queue].open)
    state.queues[queue].open = state.spare ?? OpenFrame()
    state.spare = nil
  }

  /// Why the lane takes no more events; nil where it does. Old events may fill half as much as live ones.
  ///
  /// - Parameters:
  ///   - indices: of the events that belong to this lane.
  ///   - takesNothing: whether its frames can go nowhere now; then one request may wait, which tries.
  func refusal(
    _ events: EventBatch, _ indices: some Sequence<Int>, key: Int, takesNothing: Bool
  ) -> Overload? {
    let live = liveBytes.load(ordering: .relaxed)
    let old = oldBytes.load(ordering: .relaxed)
    if takesNothing { return live + old > 0 ? .log : nil }
    let max = parameters.waitingBytesMax
    // Where less waits than the smallest share, nobody has exceeded one.
    let shareMin = max / 2 / LaneShares.personPart
    guard live > shareMin || old > shareMin else { return nil }
    return state.withLock { state in
      for index in indices {
        let queue = events.isOld(index, parameters) ? Self.old : Self.live
        let (waiting, limit) = queue == Self.old ? (old, max / 2) : (live, max)
        let person = events.person(index)
        if waiting > limit
          || state.queues[queue].bytes(of: person) > limit / LaneShares.personPart
        {
          return .log
        }
        if state.queues[queue].bytes(ofKey: key) > limit / LaneShares.keyPart { return .key }
      }
      return nil
    }
  }

  /// How long the oldest frame still has to wait before it is published, in microseconds; nil
  /// where it waits for an acknowledgement, or there is none and none is expected before somebody wakes the publisher.
  ///
  /// Every frame costs a sync of the log's disk and a message, so short ones gather: while another
  /// of the partition is on its way, and until the tick that is
  /// ``IngestParameters/frameIntervalMicros`` after the last, or until all lanes have enough for a
  /// ``CommitRound``; unless the event loops are behind, because then there is more that nobody has read yet. A long
  /// one goes at once, and so does the first one after a pause.
  ///
  /// - Parameters:
  ///   - isRound: whether the lanes have enough.
  ///   - loopsAreBehind: whether requests wait to be read.
  func delayMicros(nowMicros: Int64, isRound: Bool, loopsAreBehind: Bool) -> Int64? {
    let live = liveBytes.load(ordering: .sequentiallyConsistent)
    let old = oldBytes.load(ordering: .sequentiallyConsistent)
    let waiting = live > 0 ? live : old
    // An old frame leaves room for live ones that come meanwhile.
    let inFlightMax = live > 0 ? parameters.framesInFlightMax : 1
    let inFlight = inFlight.load(ordering: .sequentiallyConsistent)
    if waiting >= longBytes { return inFlight < inFlightMax ? 0 : nil }
    guard inFlight == 0 else { return nil }
    let delay = tickMicros(waitingBytes: waiting) - nowMicros
    if waiting == 0 { return delay > 0 ? delay : nil }
    let isCrowd = waiting >= parameters.crowdedFrameBytes
    if isRound && !(isCrowd && loopsAreBehind) { return 0 }
    return max(0, delay)
  }

  /// The same for a lane whose frames go to the spool, where none is on its way.
  func tickDelayMicros(nowMicros: Int64) -> Int64? {
    let delay = tickMicros(waitingBytes: 0) - nowMicros
    if isEmpty { return delay > 0 ? delay : nil }
    return max(0, delay)
  }

  /// The number of the lane's next frame, from 1.
  func nextProducerSequence() -> UInt64 {
    producerSequence.add(1, ordering: .relaxed).newValue
  }

  /// Bytes of all events that no published frame has taken yet.
  var waitingBytes: Int {
    liveBytes.load(ordering: .sequentiallyConsistent)
      + oldBytes.load(ordering: .sequentiallyConsistent)
  }

  var isEmpty: Bool { waitingBytes == 0 }

  /// Whether live events find room, of those whose key and person have a share left.
  var takesLive: Bool { liveBytes.load(ordering: .relaxed) <= parameters.waitingBytesMax }

  /// The frame whose turn it is.
  func takeFrame(nowMicros: Int64) -> OpenFrame? {
    let frame = state.withLock { state in
      let hasLive = !state.queues[Self.live].isEmpty
      let hasOld = !state.queues[Self.old].isEmpty
      let isOldsTurn = !hasLive || state.liveInARow >= parameters.oldFrameEvery - 1
      return Self.take(&state, hasOld && isOldsTurn ? Self.old : Self.live)
    }
    return taken(frame, nowMicros)
  }

  /// The oldest frame if its first event came before `micros`.
  func takeFrame(openedBefore micros: Int64, nowMicros: Int64) -> OpenFrame? {
    let frame: OpenFrame? = state.withLock { state in
      for queue in state.queues.indices
      where !state.queues[queue].isEmpty && state.queues[queue].oldest.openedMicros < micros {
        return Self.take(&state, queue)
      }
      return nil
    }
    return taken(frame, nowMicros)
  }

  private static func take(_ state: inout State, _ queue: Int) -> OpenFrame? {
    guard !state.queues[queue].isEmpty else { return nil }
    if state.queues[queue].full.isEmpty { roll(&state, queue) }
    let frame = state.queues[queue].full.removeFirst()
    state.liveInARow = queue == old ? 0 : state.liveInARow + 1
    return frame
  }

  private func taken(_ frame: OpenFrame?, _ nowMicros: Int64) -> OpenFrame? {
    guard let frame else { return nil }
    if frame.isOld {
      oldBytes.subtract(frame.waitingBytes, ordering: .sequentiallyConsistent)
    } else {
      liveBytes.subtract(frame.waitingBytes, ordering: .sequentiallyConsistent)
    }
    round.taken(frame.waitingBytes)
    lastTakenMicros.store(nowMicros, ordering: .relaxed)
    return frame
  }

  /// Takes over a frame of events that another lane could not publish; their requests wait for it.
  func adopt(_ frame: OpenFrame) {
    frame.isOld = false
    state.withLock { state in
      state.queues[Self.live].full.append(frame)
    }
    liveBytes.add(frame.waitingBytes, ordering: .sequentiallyConsistent)
    _ = round.wait(frame.waitingBytes)
  }

  /// Gives a sealed frame's buffers back.
  func recycle(_ frame: OpenFrame) {
    frame.recycle()
    state.withLock { state in
      if state.spare == nil { state.spare = frame }
    }
  }
}
