import Analyses
import Dataflow
import Events
import Learning
import Logging
import Operators
import Ports
import Synchronization
import Threads

/// The thread of a ``LogFollower``.
///
///     generations, extent ─▶ streams of a generation ─▶ frames, publications … ─▶ all sealed and read ─▶ the next
final class FollowerLoop {
  /// Why it cannot go on.
  enum Halt: Error {
    case log(LogError)
    case analysis(AnalysisError)
  }

  /// Its rules are those by which events are judged now.
  var source: FollowedLog
  let rhythm: LogFollower.Rhythm
  private let shared: SharedState
  let metrics: FollowerMetrics
  let logger: Logger
  let stop: StopFlag
  private let bell: Bell
  let feed: LearnerFeed
  /// nil where none are kept.
  let snapshots: FollowerSnapshots?
  /// By whose rules events are to be judged; nil: by those of the beginning.
  let rules: @Sendable () -> PipelineSpec?
  private(set) var keeper: SnapshotKeeper?

  private(set) var state = FollowerState()
  private(set) var streams: [FollowedStream] = []
  private(set) var generations: [LogGeneration] = []
  private var resumption: Resumption?
  /// When the last snapshot was taken, and of what.
  var keptAt = ContinuousClock.now
  var keptSequences: [UInt64] = []
  /// What each stream held in the beginning.
  private var targets: [StreamPartition: UInt64] = [:]
  /// When the newest frame of the beginning was stored.
  private(set) var newest: Int64?
  /// Who reads the log again; nil while nobody does.
  var relearning: Relearner?
  var relearnsFrom = ContinuousClock.now
  var rulesAskedAt = ContinuousClock.now
  /// nil: what is known now is to be published soon.
  var published: LearningProgress?
  private var publishedAt = ContinuousClock.now
  private var askedAt = ContinuousClock.now
  private let startedAt = ContinuousClock.now
  private var eventCount: UInt64 = 0
  private var order = StreamOrder()
  /// Whether frames are there that others may come before.
  private var isWaiting = false

  /// Clocks of logs may step back by so much.
  private static let steps: Int64 = 3_600_000_000
  /// Between attempts while the log cannot be asked.
  private static let pauseMs = 200
  /// Frames that are taken before the clock is looked at.
  private static let framesAtOnce = 64
  /// Between two looks whether an older frame has come.
  private static let orderMs = 5

  init(
    _ source: FollowedLog, rhythm: LogFollower.Rhythm, shared: SharedState,
    metrics: FollowerMetrics,
    logger: Logger, stop: StopFlag, bell: Bell, feed: LearnerFeed, snapshots: FollowerSnapshots?,
    rules: @escaping @Sendable () -> PipelineSpec?
  ) {
    self.source = source
    self.rhythm = rhythm
    self.shared = shared
    self.metrics = metrics
    self.logger = logger
    self.stop = stop
    self.bell = bell
    self.feed = feed
    self.snapshots = snapshots
    self.rules = rules
  }

  func run() {
    defer { _ = relearning?.reader.end() }
    do throws(Halt) {
      guard try begin() else { return }
      var index = resumption?.index ?? 0
      while let generation = waitForGeneration(index) {
        try open(generation)
        let isRead = try read(index)
        endPumps()
        guard isRead else { break }
        index += 1
      }
      keepAtEnd()
    } catch {
      endPumps()
      halt(error)
    }
  }

  private func endPumps() {
    for stream in streams { stream.pump.end() }
    for stream in streams { stream.pump.join() }
  }

  // MARK: The beginning

  /// - Returns: false where it was stopped before the log could be asked.
  private func begin() throws(Halt) -> Bool {
    guard waitForGeneration(0) != nil else { return false }
    for generation in generations {
      for (stream, end) in zip(generation.streamPartitions, generation.ends) {
        guard
          let look = try patiently({ () throws(LogError) in
            try Self.end(of: stream.stream, in: self.source.log)
          })
        else { return false }
        targets[stream] = end.map { min($0, look.last) } ?? look.last
        if let storedAt = look.storedAt { newest = max(newest ?? storedAt, storedAt) }
      }
    }
    feed.begin(at: newest)
    openKeeper()
    resumption = resume()
    state.phase = .reading
    return !stop.isSet
  }

  /// Stored times before it are not read, microseconds since the epoch.
  func readFrom(by spec: PipelineSpec) -> Int64 {
    guard let newest else { return .min }
    let margin =
      WindowPolicy.receiptTolerance + WindowPolicy.futureTolerance + spec.dedupeHorizon
      + Self.steps + min(max(0, feed.memory), TimeRange.latest)
    return TimeRange.clamp(newest) - margin
  }

  private func openKeeper() {
    guard let snapshots, feed.hasSnapshots else { return }
    do throws(SnapshotError) {
      keeper = SnapshotKeeper(
        try snapshots.open(), metrics: metrics, logger: logger)
    } catch {
      metrics.snapshot(.failed)
      logger.warning(
        "there is no place for snapshots of what is learned; a start reads all that learners remember",
        metadata: ["reason": "\(error)"])
    }
  }

  /// The last frame of a stream, and when it was stored; nil where it is gone.
  private static func end(
    of stream: String, in log: any EventLog
  ) throws(LogError) -> (last: UInt64, storedAt: Int64?) {
    let (first, last) = try log.bounds(stream: stream)
    guard last >= 1, first <= last else { return (last, nil) }
    return (last, try log.frame(stream: stream, sequence: last).storedAt)
  }

  /// - Returns: the generation at this place, once there is one; nil where it was stopped before.
  private func waitForGeneration(_ index: Int) -> LogGeneration? {
    while generations.count <= index {
      if let found = source.generations() {
        generations = found
        isAway(nil)
        if generations.count > index { break }
      } else {
        isAway("the generations of the log's streams cannot be read")
      }
      if stop.wait(milliseconds: rhythm.generationsMs) { return nil }
    }
    return stop.isSet ? nil : generations[index]
  }

  /// The streams so far hand over to those of the generation.
  private func open(_ generation: LogGeneration) throws(Halt) {
    let handovers = streams.map { ($0.handover(), $0.groups) }
    streams = []
    state.position = Position(generation: generation.number)
    let before = resumption?.streams
    resumption = nil
    for (place, (stream, end)) in zip(generation.streamPartitions, generation.ends).enumerated() {
      let target = targets[stream] ?? 0
      var start = before?[place].sequence
      if start == nil {
        start = try patiently { () throws(LogError) in
          try self.source.start(
            of: stream.stream, target: target, from: self.readFrom(by: self.source.spec))
        }
      }
      guard let start else { return }
      let followed = FollowedStream(
        stream,
        groups: KeyGroup.groups(of: stream.partition, partitions: generation.partitions),
        end: end, target: target, after: start, spec: source.spec)
      do throws(AnalysisError) {
        for (handover, groups) in handovers { try followed.adopt(handover, of: groups) }
        if let before { try followed.resume(before[place]) }
      } catch {
        throw .analysis(error)
      }
      streams.append(followed)
    }
    state.logTime = streams.reduce(state.logTime) { max($0, $1.judge.logTime) }
    for stream in streams {
      stream.pump.start(
        source.log, stream: stream.stream.stream, after: stream.sequence, arrived: bell)
    }
  }

  /// Tries again while the log is away.
  ///
  /// - Returns: nil where it was stopped before there was an answer.
  func patiently<Value>(
    _ body: () throws(LogError) -> Value
  ) throws(Halt) -> Value? {
    while !stop.isSet {
      do throws(LogError) {
        let value = try body()
        isAway(nil)
        return value
      } catch .unavailable(let reason) {
        isAway(reason)
        if stop.wait(milliseconds: Self.pauseMs) { return nil }
      } catch {
        throw .log(error)
      }
    }
    return nil
  }

  // MARK: Reading

  /// Reads the streams of a generation until they are sealed and come to their ends.
  ///
  /// - Returns: false where it was stopped before.
  private func read(_ index: Int) throws(Halt) -> Bool {
    while !stop.isSet {
      for stream in streams { stream.look() }
      isAway(streams.lazy.compactMap(\.away).first)
      try relearn(index)
      let isIdle = try take() == 0
      if isIdle, !isWaiting, let failure = streams.lazy.compactMap(\.failure).first {
        throw .log(failure)
      }
      if isIdle { noteWhetherCaughtUp(index) }
      let waitMs = publishWhereDue()
      keepWhereDue(index)
      if streams.allSatisfy(\.hasComeToEnd) { return true }
      askForEnds(index)
      guard isIdle else { continue }
      if isWaiting {
        bell.wait(milliseconds: min(waitMs, Self.orderMs))
      } else if state.isCaughtUp, waitMs <= rhythm.newsMs {
        // Nobody sees what is read before the next publication: until then frames gather.
        _ = stop.wait(milliseconds: waitMs)
      } else {
        bell.wait(milliseconds: min(waitMs, rhythm.generationsMs))
      }
    }
    return false
  }

  /// Takes frames in order of stored time over all streams, as far as they are there.
  ///
  /// - Returns: how many.
  private func take() throws(Halt) -> Int {
    let eventsBefore = streams.reduce(0) { $0 + $1.judge.tally.events }
    var count = 0
    isWaiting = false
    let unsureBefore = order.unsure
    taking: while count < Self.framesAtOnce {
      // In the beginning nobody runs ahead of a stream of which more is known to come.
      if !state.isCaughtUp, streams.contains(where: \.owesFrames) { break }
      let stream: FollowedStream
      switch order.next(streams, in: source.streams, isLive: state.isCaughtUp) {
      case .take(let next): stream = next
      case .wait:
        isWaiting = true
        break taking
      case .nothing: break taking
      }
      do throws(AnalysisError) {
        try stream.takeNext(to: feed)
      } catch {
        throw .analysis(error)
      }
      count += 1
    }
    guard count > 0 else { return 0 }
    if order.unsure > unsureBefore {
      metrics.tookUnsure(Int(order.unsure - unsureBefore))
      logger.warning(
        "frames were learned that older ones of another stream may follow: it has not come for two seconds",
        metadata: ["frames": "\(order.unsure - unsureBefore)"])
    }
    let events = streams.reduce(0) { $0 + $1.judge.tally.events } - eventsBefore
    eventCount += events
    metrics.read(frames: count, events: Int(events))
    state.logTime = streams.reduce(state.logTime) { max($0, $1.judge.logTime) }
    return count
  }

  private func noteWhetherCaughtUp(_ index: Int) {
    guard !state.isCaughtUp, streams.allSatisfy({ $0.sequence >= $0.target }) else { return }
    // Later generations that held something in the beginning are part of it.
    let later = generations.dropFirst(index + 1).flatMap(\.streamPartitions)
    guard later.allSatisfy({ (targets[$0] ?? 0) == 0 }) else { return }
    state.isCaughtUp = true
    published = nil
    let seconds = startedAt.duration(to: .now) / .seconds(1)
    logger.info(
      "learning has caught up with the log",
      metadata: [
        "events": "\(eventCount)", "seconds": "\(seconds)", "position": "\(state.position)",
      ])
  }

  /// Asks now and then where the streams end and what follows them.
  private func askForEnds(_ index: Int) {
    let isDue = askedAt.duration(to: .now) >= .milliseconds(rhythm.generationsMs)
    guard isDue, state.away == nil, streams.contains(where: { $0.end == nil }) else { return }
    askedAt = .now
    guard let found = source.generations(), found.count > index else { return }
    generations = found
    for (stream, end) in zip(streams, found[index].ends) { stream.end = end }
  }

  // MARK: What others see

  /// - Returns: when it should be called again at the latest, milliseconds.
  private func publishWhereDue() -> Int {
    for stream in streams where stream.sequence > 0 {
      state.position.advance(partition: stream.stream.partition, to: stream.sequence)
    }
    state.framesBehind = streams.reduce(0) { $0 + $1.framesBehind }
    let progress = LearningProgress(
      position: state.position, logTime: state.logTime, isCaughtUp: state.isCaughtUp)
    guard progress != published else { return rhythm.timeMs }
    let isSoon = (feed.hasNews && state.isCaughtUp) || published == nil
    let restMs = isSoon ? rhythm.newsMs : rhythm.timeMs
    let passed = publishedAt.duration(to: .now)
    if published != nil, passed < .milliseconds(restMs) {
      return max(1, restMs - Int(passed / .milliseconds(1)))
    }
    let begin = ContinuousClock.now
    feed.publish(progress)
    publishedAt = .now
    metrics.published(in: publishedAt - begin)
    published = progress
    share()
    return rhythm.timeMs
  }

  private func isAway(_ reason: String?) {
    guard state.away != reason else { return }
    let wasAway = state.away != nil
    state.away = reason
    share()
    if let reason {
      if !wasAway {
        logger.warning(
          "the log cannot be read; learning waits for it", metadata: ["reason": "\(reason)"])
      }
    } else {
      logger.notice("the log can be read again; learning goes on")
    }
  }

  private func halt(_ halt: Halt) {
    let reason =
      switch halt {
      case .log(.wentBack(let stream, let wanted, let last)):
        "stream \(stream) ends at \(last), though \(wanted) was read: the log went back; restart this"
          + " process, which learns anew from what the log has"
      case .log(.missing(let stream, let from, let to)):
        "frames \(from) to \(to) of stream \(stream) went before they were learned; restart this"
          + " process, which begins with what the log has"
      case .log(.refused(let reason)), .log(.unavailable(let reason)):
        "the log cannot be read on: \(reason)"
      case .analysis(let error): "what counts cannot be told any more: \(error)"
      }
    state.phase = .halted(reason)
    share()
    logger.error("learning has halted", metadata: ["why": "\(reason)"])
  }

  private func share() {
    let positions = streams.map { (stream: $0.stream.stream, sequence: $0.sequence) }
    let state = state
    shared.value.withLock {
      $0.state = state
      $0.positions = positions
    }
  }
}
