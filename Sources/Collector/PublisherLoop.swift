import Events
import HTTPServer
import Logging
import Metrics
import Ports
import Synchronization
import Threads

/// The thread that seals and publishes frames and settles their requests.
///
/// Where there is a ``Spool``, frames that the log does not take go there.
///
/// States: running -> draining (by ``stop(withinMs:)``) -> ended. While draining it publishes
/// what waits; at the deadline it fails what is left.
final class PublisherLoop: @unchecked Sendable {
  // All but the atomics and `control` is touched only by the thread itself after `start`; of the
  // publisher, other threads call only `wake`, which its contract allows.

  private struct InFlightFrame {
    let lane: Lane
    /// What was published, for another generation if this one ends.
    let bytes: [UInt8]
    let messageID: String
    var waiters: [PendingRequest]
    /// See ``OpenFrame/waitingBytes``.
    let waitingBytes: Int
    let openedMicros: Int64
    let publishedMicros: Int64
  }

  private struct Control {
    var isStarted = false
    var hasEnded = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// Between outcomes, deadlines are looked at this often.
  private static let pollTimeoutMsMax = 50
  /// The same where there are none: events wake the thread.
  private static let idlePollTimeoutMs = 500
  /// A stream that takes no frames is tried so often, so that it is found well again though nobody
  /// sends events meanwhile: a balancer sends none to a collector that is not ready.
  static let trialIntervalMicros: Int64 = 500_000

  private let isAsleep = Atomic<Bool>(false)
  /// Steady microseconds; 0 while running.
  private let drainDeadlineMicros = Atomic<Int64>(0)
  private let control = Mutex(Control())
  let lanes: LaneBoard
  let target: IngestTarget
  let parameters: IngestParameters
  let publisher: any FramePublisher
  let spool: Spool?
  let clock: CollectorClock
  let log: Logger
  /// Deadlines are looked at so often: it takes the locks of all lanes.
  private static let expiryIntervalMicros: Int64 = 20_000
  /// When they were last looked at, steady time.
  private var expiredMicros: Int64 = .min / 2
  /// When a successor of the current generation was last asked for in vain, steady time.
  var askedMicros: Int64 = .min / 2
  private var inFlight: [UInt64: InFlightFrame] = [:]
  private var nextToken: UInt64 = 1
  var batch: ResponseBatch
  private let answerDelay = ResponseBatch.Delay()
  /// Frames on their way from the spool.
  var draining: [UInt64: DrainingMessage] = [:]
  /// Why the spool did not take the last frames; nil where it did.
  var spoolProblem: String?
  /// Frames that are to be written to the spool.
  var unspooled: [UnspooledFrame] = []

  private let frames: MetricFamily<Counter>
  /// Of each lane, looked up once; lanes stay as long as this.
  private var storedFrames: [ObjectIdentifier: Counter] = [:]
  private let frameBytes: Histogram
  private let frameEvents: Histogram
  private let publishSeconds: Histogram
  let spoolFrames: MetricFamily<Counter>

  init(
    lanes: LaneBoard, target: IngestTarget, parameters: IngestParameters,
    publisher: any FramePublisher, spool: Spool?, metrics: MetricRegistry, clock: CollectorClock,
    log: Logger
  ) {
    self.lanes = lanes
    self.target = target
    self.parameters = parameters
    self.publisher = publisher
    self.spool = spool
    self.clock = clock
    self.log = log
    batch = ResponseBatch(delay: answerDelay)
    frames = metrics.counter(CollectorMetrics.frames)
    frameBytes = metrics.histogram(CollectorMetrics.frameBytes).with()
    frameEvents = metrics.histogram(CollectorMetrics.frameEvents).with()
    publishSeconds = metrics.histogram(CollectorMetrics.publishSeconds).with()
    spoolFrames = metrics.counter(CollectorMetrics.spoolFrames)
  }

  // MARK: Other threads

  func start() {
    let isFirst = control.withLock { control in
      defer { control.isStarted = true }
      return !control.isStarted
    }
    precondition(isFirst, "a publisher loop starts once")
    LoopThread(name: "publisher") { self.run() }.detach()
  }

  func stop(withinMs deadlineMs: Int) async {
    guard control.withLock({ $0.isStarted }) else { return }
    drainDeadlineMicros.store(
      max(1, clock.steadyMicros() + Int64(deadlineMs) * 1000), ordering: .sequentiallyConsistent)
    publisher.wake()
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let hasEnded = control.withLock { control in
        if !control.hasEnded { control.waiters.append(continuation) }
        return control.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }

  /// Why the log takes no frames now, of the first stream that takes none; nil where all do.
  var logProblem: String? {
    for lane in lanes.open {
      if let problem = lane.problem.withLock({ $0 }) { return "\(lane.stream): \(problem)" }
    }
    return nil
  }

  /// Called after events were appended.
  func wakeIfAsleep() {
    if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { publisher.wake() }
  }

  // MARK: The thread

  private func run() {
    while true {
      expire()
      writeSpool()
      publishReady()
      writeSpool()
      drainSpool()
      tryAgain()
      batch.deliver()
      let deadline = drainDeadlineMicros.load(ordering: .sequentiallyConsistent)
      if deadline != 0 {
        let isEmpty = inFlight.isEmpty && lanes.all.allSatisfy { $0.isEmpty }
        if isEmpty || clock.steadyMicros() >= deadline { break }
      }
      isAsleep.store(true, ordering: .sequentiallyConsistent)
      let outcomes = publisher.poll(timeoutMs: pollTimeoutMs)
      isAsleep.store(false, ordering: .sequentiallyConsistent)
      for (token, outcome) in outcomes { settle(token, outcome) }
      batch.deliver()
    }
    giveUpEverything("the collector stops")
    spool?.close()
    let waiters = control.withLock { control in
      control.hasEnded = true
      defer { control.waiters = [] }
      return control.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  var hasRoom: Bool { publisher.inFlight < publisher.windowMax }

  /// Event loops that take answers up so late have requests to read.
  private static let behindNanoseconds: UInt64 = 1_000_000

  private var loopsAreBehind: Bool { answerDelay.last > Self.behindNanoseconds }

  /// Between the call of ``stop(withinMs:)`` and the end.
  var isStopping: Bool { drainDeadlineMicros.load(ordering: .sequentiallyConsistent) != 0 }

  func takeToken() -> UInt64 {
    defer { nextToken += 1 }
    return nextToken
  }

  private func publishReady() {
    let now = clock.steadyMicros()
    var hasPublished = false
    for lane in lanes.retired { moveFrames(of: lane, now) }
    let open = lanes.open
    let (isRound, loopsAreBehind) = (lanes.round.isDue, loopsAreBehind)
    for lane in open {
      if waitsForSpool(lane) {
        divertFrames(of: lane, now)
        continue
      }
      while hasRoom,
        lane.delayMicros(nowMicros: now, isRound: isRound, loopsAreBehind: loopsAreBehind) == 0,
        let frame = lane.takeFrame(nowMicros: now)
      {
        publish(frame, lane)
        hasPublished = true
      }
    }
    if hasPublished { lanes.round.began(lanes: open.count - 1) }
  }

  /// Until the next frame is due, at most ``pollTimeoutMsMax``. Looked at after `isAsleep` is set,
  /// so that events that come now either count here or wake the thread.
  private var pollTimeoutMs: Int {
    let now = clock.steadyMicros()
    let hasRoom = hasRoom
    let (isRound, loopsAreBehind) = (lanes.round.isDue, loopsAreBehind)
    let delay = lanes.all.compactMap { lane -> Int64? in
      if waitsForSpool(lane) {
        return goesToSpool(lane) ? lane.tickDelayMicros(nowMicros: now) : nil
      }
      return hasRoom
        ? lane.delayMicros(nowMicros: now, isRound: isRound, loopsAreBehind: loopsAreBehind) : nil
    }.min()
    guard let delay else { return isIdle ? Self.idlePollTimeoutMs : Self.pollTimeoutMsMax }
    return min(Self.pollTimeoutMsMax, Int((delay + 999) / 1000))
  }

  /// Nothing waits, is under way, or is to be tried again.
  private var isIdle: Bool {
    inFlight.isEmpty && draining.isEmpty && unspooled.isEmpty && (spool?.isEmpty ?? true)
      && lanes.all.allSatisfy { $0.isEmpty && !$0.isAway.load(ordering: .relaxed) }
  }

  private func publish(_ frame: OpenFrame, _ lane: Lane) {
    let (events, waitingBytes) = (frame.encoder.count, frame.waitingBytes)
    let (bytes, messageID) = seal(frame, lane)
    let token = takeToken()
    inFlight[token] = InFlightFrame(
      lane: lane, bytes: bytes, messageID: messageID, waiters: frame.waiters,
      waitingBytes: waitingBytes, openedMicros: frame.openedMicros,
      publishedMicros: clock.steadyMicros())
    lane.inFlight.add(1, ordering: .sequentiallyConsistent)
    lanes.round.published(waitingBytes)
    lane.recycle(frame)
    frameBytes.observe(Double(bytes.count))
    frameEvents.observe(Double(events))
    publisher.publish(stream: lane.stream, messageID: messageID, frame: bytes, token: token)
  }

  func seal(_ frame: OpenFrame, _ lane: Lane) -> (bytes: [UInt8], messageID: String) {
    let header = nextHeader(lane.partition == nil ? .deadLetters : .events, lane)
    return (frame.encoder.seal(header), header.messageID)
  }

  private func nextHeader(_ kind: FrameHeader.Kind, _ lane: Lane) -> FrameHeader {
    FrameHeader(
      kind: kind, generation: lane.generation, partition: UInt32(lane.partition ?? 0),
      producer: target.producer, epoch: 0, producerSequence: lane.nextProducerSequence())
  }

  /// Sends a heartbeat to each stream that took nothing lately and for which nothing waits.
  private func tryAgain() {
    let now = clock.steadyMicros()
    for lane in lanes.open where hasRoom && lane.isEmpty && !waitsForSpool(lane) {
      guard lane.isAway.load(ordering: .relaxed), lane.inFlight.load(ordering: .relaxed) == 0,
        now - lane.lastTrialMicros.load(ordering: .relaxed) >= Self.trialIntervalMicros
      else { continue }
      let header = nextHeader(.heartbeat, lane)
      let bytes = FrameEncoder.heartbeat(header)
      let token = takeToken()
      lane.lastTrialMicros.store(now, ordering: .relaxed)
      inFlight[token] = InFlightFrame(
        lane: lane, bytes: bytes, messageID: header.messageID, waiters: [],
        waitingBytes: 0, openedMicros: now, publishedMicros: now)
      lane.inFlight.add(1, ordering: .sequentiallyConsistent)
      publisher.publish(
        stream: lane.stream, messageID: header.messageID, frame: bytes, token: token)
    }
  }

  private func settle(_ token: UInt64, _ outcome: PublishOutcome) {
    if let message = draining.removeValue(forKey: token) {
      settle(message, outcome)
      return
    }
    guard let frame = inFlight.removeValue(forKey: token) else {
      log.error("an outcome came for no frame in flight", metadata: ["token": "\(token)"])
      return
    }
    let lane = frame.lane
    lane.inFlight.subtract(1, ordering: .sequentiallyConsistent)
    lanes.round.settled(frame.waitingBytes)
    publishSeconds.observe(Double(clock.steadyMicros() - frame.publishedMicros) / 1_000_000)
    switch outcome {
    case .stored(let sequence, let isDuplicate):
      if isDuplicate { frames.with(lane.stream, "duplicate").add() } else { countStored(lane) }
      let published = PublishedFrame(
        generation: lane.generation, partition: lane.partition, sequence: sequence)
      for waiter in frame.waiters { waiter.settled(published, &batch) }
      recovered(lane)
    case .unavailable(let reason):
      frames.with(lane.stream, "unavailable").add()
      giveUp(frame, "the log is not reachable", reason)
    case .full(let reason):
      frames.with(lane.stream, "full").add()
      giveUp(frame, "the log is full", reason)
    case .sealed(let reason):
      frames.with(lane.stream, "sealed").add()
      if proceed(from: lane) {
        // Without requests it is a heartbeat, or it was given up: spooled, or to be sent again.
        guard !frame.waiters.isEmpty else { return }
        move(frame.bytes, frame.waiters, openedMicros: frame.openedMicros)
      } else {
        giveUp(frame, "the log takes no frames of this partition", reason)
      }
    }
  }

  private func countStored(_ lane: Lane) {
    if let counter = storedFrames[ObjectIdentifier(lane)] { return counter.add() }
    let counter = frames.with(lane.stream, "stored")
    storedFrames[ObjectIdentifier(lane)] = counter
    counter.add()
  }

  /// A frame was not stored: it goes to the spool, or its requests fail.
  private func giveUp(_ frame: InFlightFrame, _ answer: String, _ reason: String) {
    markAway(frame.lane, answer, reason)
    giveUp(
      UnspooledFrame(
        stream: frame.lane.stream, messageID: frame.messageID, bytes: frame.bytes,
        waiters: frame.waiters, answer: answer))
  }

  func giveUp(_ frame: UnspooledFrame) {
    guard !frame.waiters.isEmpty else { return }
    if spool != nil {
      unspooled.append(frame)
    } else {
      for waiter in frame.waiters { waiter.failed(frame.answer, &batch) }
    }
  }

  func markAway(_ lane: Lane, _ answer: String, _ reason: String) {
    lane.problem.withLock { $0 = "\(answer) (\(reason))" }
    lane.lastTrialMicros.store(clock.steadyMicros(), ordering: .relaxed)
    if !lane.isAway.exchange(true, ordering: .relaxed) {
      let consequence =
        spool == nil ? "requests get 503" : "events go to the spool while it has room"
      log.error(
        "\(answer); \(consequence) until it is back",
        metadata: ["stream": "\(lane.stream)", "reason": "\(reason)"])
    }
  }

  func recovered(_ lane: Lane) {
    guard lane.isAway.exchange(false, ordering: .relaxed) else { return }
    lane.problem.withLock { $0 = nil }
    log.notice("the log takes frames again", metadata: ["stream": "\(lane.stream)"])
  }

  /// Gives up waiting for frames that take too long. They go to the spool; without one their requests
  /// fail, and frames that were never published are dropped: the clients send their events again, with
  /// the same ids.
  private func expire() {
    let now = clock.steadyMicros()
    guard now - expiredMicros >= Self.expiryIntervalMicros else { return }
    expiredMicros = now
    let limit = now - Int64(waitMsMax) * 1000
    expireInFlight(openedBefore: limit)
    for lane in lanes.all {
      while let frame = lane.takeFrame(openedBefore: limit, nowMicros: now) {
        frames.with(lane.stream, "expired").add()
        markAway(lane, "the log is too slow", "a frame waited for a slot")
        if spool != nil {
          divert(frame, lane, "the log is too slow")
        } else {
          for waiter in frame.waiters { waiter.failed("the log is too slow", &batch) }
          drop(frame, lane)
        }
      }
    }
  }

  private func expireInFlight(openedBefore limit: Int64) {
    guard inFlight.values.contains(where: { $0.openedMicros < limit }) else { return }
    for (token, frame) in inFlightInOrder
    where frame.openedMicros < limit && !frame.waiters.isEmpty {
      inFlight[token]?.waiters = []
      frames.with(frame.lane.stream, "expired").add()
      giveUp(frame, "the log is too slow", "no acknowledgement of a frame")
    }
  }

  /// As they were published.
  private var inFlightInOrder: [(key: UInt64, value: InFlightFrame)] {
    inFlight.sorted { $0.key < $1.key }
  }

  private func drop(_ frame: OpenFrame, _ lane: Lane) {
    frame.encoder = FrameEncoder()
    lane.recycle(frame)
  }

  private func giveUpEverything(_ reason: String) {
    for (_, frame) in inFlightInOrder {
      giveUp(
        UnspooledFrame(
          stream: frame.lane.stream, messageID: frame.messageID, bytes: frame.bytes,
          waiters: frame.waiters, answer: reason))
    }
    inFlight = [:]
    let now = clock.steadyMicros()
    for lane in lanes.all {
      while let frame = lane.takeFrame(nowMicros: now) {
        let (bytes, messageID) = seal(frame, lane)
        giveUp(
          UnspooledFrame(
            stream: lane.stream, messageID: messageID, bytes: bytes, waiters: frame.waiters,
            answer: reason))
      }
    }
    writeSpool()
    batch.deliver()
  }
}
