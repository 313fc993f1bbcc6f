public import Events
import HTTPServer
public import Logging
public import Metrics
public import Ports
import Synchronization

/// One generation of the event streams: the partitions among which persons are divided.
public struct IngestGeneration: Hashable, Sendable {
  public var number: UInt32
  /// The stream of each partition, in order; at least one.
  public var streams: [String]

  public init(number: UInt32, streams: [String]) {
    self.number = number
    self.streams = streams
  }
}

/// Where a pipeline puts its frames.
public struct IngestTarget: Sendable {
  /// The one to begin with. Where it is sealed, frames go to its successor.
  public var generation: IngestGeneration
  public var deadLetterStream: String
  /// A random number chosen at the start of this process.
  public var producer: Key128

  /// What follows a generation that is sealed; nil where nothing is known to. Called on the
  /// publisher's thread; may ask a server.
  public var successor: @Sendable (_ generation: UInt32) -> IngestGeneration?

  public init(
    generation: IngestGeneration, deadLetterStream: String, producer: Key128,
    successor: @escaping @Sendable (_ generation: UInt32) -> IngestGeneration? = { _ in nil }
  ) {
    precondition(!generation.streams.isEmpty, "a log has at least one partition")
    self.generation = generation
    self.deadLetterStream = deadLetterStream
    self.producer = producer
    self.successor = successor
  }
}

/// Group commit: gathers the events of many requests into frames, one being filled per partition
/// while at most two are on their way, and answers a request when all its frames are durable.
///
///     event loops ──append──► lane 0 [open frame] ─┐
///                             lane 1 [open frame] ─┼─► publisher thread ──► log
///                             dead letters  […]   ─┘        │
///          ◄────────── one task per event loop ─────────────┘ acknowledgements
///
/// At low load a frame leaves at once; at high load frames fill while earlier ones are synced.
public final class IngestPipeline: Sendable {
  let parameters: IngestParameters
  private let lanes: LaneBoard
  private let clock: CollectorClock
  private let loop: PublisherLoop
  private let spool: Spool.Gauges?

  /// - Parameters:
  ///   - publisher: the pipeline's alone from now on.
  ///   - spool: where frames go that the log does not take; the pipeline's alone too. Without one,
  ///     requests fail.
  /// - Throws: ``IngestParameterError``.
  public init(
    _ parameters: IngestParameters, target: IngestTarget, publisher: any FramePublisher,
    spool: Spool? = nil, metrics: MetricRegistry, clock: CollectorClock = .system, log: Logger
  ) throws(IngestParameterError) {
    try parameters.check()
    self.parameters = parameters
    self.clock = clock
    self.spool = spool?.gauges
    let lanes = LaneBoard(target, parameters: parameters)
    self.lanes = lanes
    loop = PublisherLoop(
      lanes: lanes, target: target, parameters: parameters, publisher: publisher,
      spool: spool, metrics: metrics, clock: clock, log: log)
    metrics.computed(CollectorMetrics.inFlight) {
      lanes.all.map { MetricSample([$0.stream], Double($0.inFlight.load(ordering: .relaxed))) }
    }
    metrics.computed(CollectorMetrics.waitingBytes) {
      lanes.all.map { MetricSample([$0.stream], Double($0.waitingBytes)) }
    }
    if let spool { spool.gauges.declare(metrics, clock) }
  }

  /// The generation that new events go to.
  var generation: UInt32 { lanes.current.generation.number }

  /// Starts the publisher's thread.
  public func start() { loop.start() }

  /// Publishes what waits, then ends the thread; what is left at the deadline gets a 503.
  /// Nothing may be submitted any more. Blocks no thread.
  public func stop(withinMs deadlineMs: Int) async { await loop.stop(withinMs: deadlineMs) }

  /// True while requests should be refused before they are parsed: too much waits in all, or no
  /// partition takes more. Where only some are full, or away with others already trying them, a request
  /// is refused once it is known to need one of them, see ``Lane``.
  public var isSaturated: Bool {
    var total = 0
    var isAnyOpen = false
    for lane in lanes.current.lanes {
      total += lane.waitingBytes
      isAnyOpen = isAnyOpen || (takesNothing(lane) ? lane.isEmpty : lane.takesLive)
    }
    return !isAnyOpen || total > parameters.waitingBytesTotalMax
  }

  private func takesNothing(_ lane: Lane) -> Bool {
    lane.isAway.load(ordering: .relaxed) && !takesFrames(spool)
  }

  private func takesFrames(_ spool: Spool.Gauges?) -> Bool {
    spool.map { !$0.isFull.load(ordering: .relaxed) } ?? false
  }

  /// Frames and bytes in the spool, and whether it takes more; nil without a spool.
  public var spoolState: (frames: Int, bytes: Int, takesFrames: Bool)? {
    spool.map {
      (
        $0.frames.load(ordering: .relaxed), $0.bytes.load(ordering: .relaxed), takesFrames($0)
      )
    }
  }

  /// False while some stream of the log has refused or lost frames and taken none since.
  public var logIsReachable: Bool { loop.logProblem == nil }

  /// Which stream takes no frames now, and why; nil where all do.
  public var logProblem: String? { loop.logProblem }

  /// Hands the events of one request over. The completion comes once, on the publisher's thread,
  /// or on this one where there is nothing to store.
  public func submit(
    _ events: [IncomingEvent], deadLetters letters: [IncomingEvent] = [],
    completion: @escaping @Sendable (IngestOutcome) -> Void
  ) {
    submit(EventBatch(events), deadLetters: EventBatch(letters)) { settlement, _ in
      completion(settlement.outcome)
    }
  }

  /// - Parameter key: the number of the write key, see ``LaneShares``.
  /// - Returns: false where there was no room for them.
  @discardableResult
  func submit(
    _ events: EventBatch, deadLetters letters: EventBatch, key: Int = 0,
    completion: @escaping PendingRequest.Completion
  ) -> Bool {
    let target = lanes.current
    let lanes = target.lanes
    let parts = EventParts(events, partitions: lanes.count)
    if let overload = refusal(events, parts, letters, lanes, key: key) {
      var batch = ResponseBatch()
      completion(.overloaded(overload), &batch)
      batch.deliver()
      return false
    }
    let request = PendingRequest(
      generation: target.generation.number, key: key, completion: completion)
    let nowMicros = clock.steadyMicros()
    var wakeMicros = Lane.never
    // Lanes that another event loop fills just now come last: nobody waits for them in vain, and nobody follows
    // another loop from lane to lane.
    var taken: [Int] = []
    for partition in parts.partitions {
      let micros = lanes[partition].appendIfFree(
        events, parts.indices(of: partition), of: request, nowMicros: nowMicros)
      if let micros { wakeMicros = min(wakeMicros, micros) } else { taken.append(partition) }
    }
    for partition in taken {
      let micros = lanes[partition].append(
        events, parts.indices(of: partition), of: request, nowMicros: nowMicros)
      wakeMicros = min(wakeMicros, micros)
    }
    if !letters.isEmpty {
      let micros = self.lanes.deadLetters.append(
        letters, letters.indices, of: request, nowMicros: nowMicros)
      wakeMicros = min(wakeMicros, micros)
    }
    var batch = ResponseBatch()
    request.submitted(&batch)
    batch.deliver()
    // The clock is read behind the appending: a publisher that has looked before expects the same tick.
    if wakeMicros < Lane.never, wakeMicros <= clock.steadyMicros() { loop.wakeIfAsleep() }
    return true
  }

  /// Whether a lane that the request needs takes no more.
  private func refusal(
    _ events: EventBatch, _ parts: borrowing EventParts, _ letters: EventBatch,
    _ lanes: [Lane], key: Int
  ) -> Overload? {
    if !letters.isEmpty {
      let lane = self.lanes.deadLetters
      let refusal = lane.refusal(
        letters, letters.indices, key: key, takesNothing: takesNothing(lane))
      if let refusal { return refusal }
    }
    for partition in parts.partitions {
      let lane = lanes[partition]
      let refusal = lane.refusal(
        events, parts.indices(of: partition), key: key, takesNothing: takesNothing(lane))
      if let refusal { return refusal }
    }
    return nil
  }
}

/// The events of a request by partition, each partition's in their order.
private struct EventParts {
  /// Those that have events, in order.
  private(set) var partitions: [Int] = []
  /// Of all events, one partition's after the other's.
  private var order: [Int]
  /// Where a partition's begin, and where the last one's end.
  private var starts: [Int]

  init(_ events: EventBatch, partitions count: Int) {
    starts = [Int](repeating: 0, count: count + 1)
    guard events.count != 1 else {
      let partition = KeyGroup.partition(of: events.person(0), partitions: count)
      for next in partition + 1...count { starts[next] = 1 }
      order = [0]
      partitions = [partition]
      return
    }
    order = [Int](repeating: 0, count: events.count)
    let all = events.indices.map {
      KeyGroup.partition(of: events.person($0), partitions: count)
    }
    for partition in all { starts[partition + 1] += 1 }
    for partition in 0..<count {
      if starts[partition + 1] > 0 { partitions.append(partition) }
      starts[partition + 1] += starts[partition]
    }
    var ends = starts
    for (index, partition) in all.enumerated() {
      order[ends[partition]] = index
      ends[partition] += 1
    }
  }

  func indices(of partition: Int) -> ArraySlice<Int> {
    order[starts[partition]..<starts[partition + 1]]
  }
}
