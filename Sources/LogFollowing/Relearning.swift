import Analyses
import Dataflow
import Events
import Learning
import Operators
import Ports
import States
import Synchronization
import Threads

/// Leads learners over the log again, on a thread of its own, while those whose places they will take go on learning.
///
///     log ─▶ one follower, as ever ──────────────┤ waits ├─▶ goes on, with the successor
///        └─▶ relearning ─▶ limit ─▶ next limit ──┤ same position: exchanged
///
/// Where there is a snapshot in which what is taken back was not settled yet, it begins there. It reads as far as it is allowed to, in order of stored time, and waits; the follower sets limits to where it is itself, and
/// takes the learners when both have read the same. Whatever is wrong ends it, and the learners of before stay.
final class Relearning: Sendable {
  /// How far it may read.
  struct Limit: Sendable {
    /// From the first one to the one that the follower reads.
    var generations: [LogGeneration]
    /// Of the last generation's streams.
    var sequences: [UInt64]
  }

  /// Where the log is begun to be read.
  struct Beginning: Sendable {
    var source: FollowedLog
    /// Stored times before it are not read, microseconds since the epoch.
    var readFrom: Int64
    /// The newest frame when the follower began; learners count their memory from it.
    var newest: Int64?
    var erasures: PersonErasures
    /// Whose older snapshots may be begun from; nil where all is read from the beginning.
    var keeper: SnapshotKeeper?
  }

  enum Progress: Sendable, Equatable {
    case reading
    /// Everything up to the limit is learned.
    case atLimit
    case failed(String)
  }

  private enum Failure: Error {
    case log(LogError)
    case analysis(AnalysisError)
    case stopped
  }

  private struct State: Sendable {
    var limit: Limit
    var progress = Progress.reading
  }

  /// `@unchecked Sendable`: the thread alone uses it until it waits at a limit, and then who has told it to.
  private final class Handed: @unchecked Sendable {
    let learners: [any Learner]
    var streams: [FollowedStream] = []

    init(_ learners: [any Learner]) { self.learners = learners }
  }

  private let begin: Beginning
  private let handed: Handed
  private let state: Mutex<State>
  private let stop = StopFlag()
  private let bell = Bell()
  private let thread = Mutex<LoopThread?>(nil)

  /// Frames between two times that the learner is told the time.
  private static let framesPerTick = 256
  private static let waitMs = 50

  init(_ learners: [any Learner], from begin: Beginning, to limit: Limit) {
    handed = Handed(learners)
    self.begin = begin
    state = Mutex(State(limit: limit))
  }

  func start() {
    let started = LoopThread(name: "relearn") { [self] in
      do throws(Failure) {
        try run()
      } catch {
        let reason =
          switch error {
          case .log(let error): "the log cannot be read: \(error)"
          case .analysis(let error): "what counts cannot be told: \(error)"
          case .stopped: "it was stopped"
          }
        state.withLock { $0.progress = .failed(reason) }
      }
    }
    thread.withLock { $0 = started }
  }

  var progress: Progress { state.withLock { $0.progress } }

  var limit: Limit { state.withLock { $0.limit } }

  /// Lets it read on.
  func go(to limit: Limit) {
    state.withLock { $0 = State(limit: limit) }
    bell.ring()
  }

  /// Ends the thread.
  ///
  /// - Returns: the learners, and the streams that they were led along, which nobody else uses any more.
  @discardableResult
  func end() -> (learners: [any Learner], streams: [FollowedStream]) {
    stop.set()
    bell.ring()
    thread.withLock { $0 }?.join()
    return (handed.learners, handed.streams)
  }

  // MARK: The thread

  private func run() throws(Failure) {
    let feed = LearnerFeed(handed.learners, erasures: begin.erasures)
    let before = resume()
    if before == nil { feed.begin(at: begin.newest) }
    var streams: [FollowedStream] = []
    defer { Self.endPumps(streams) }
    var index = before?.index ?? 0
    streams = try open(limit.generations[index], after: [], from: before?.streams)
    while true {
      let limit = limit
      let isLast = index == limit.generations.count - 1
      let bounds =
        isLast ? limit.sequences : limit.generations[index].ends.map { $0 ?? .max }
      try read(streams, to: bounds, of: limit.generations[index], feed)
      if isLast {
        handed.streams = streams
        state.withLock { $0.progress = .atLimit }
        while progress == .atLimit {
          bell.wait()
          if stop.isSet { return }
        }
      } else {
        Self.endPumps(streams)
        index += 1
        streams = try open(limit.generations[index], after: streams)
      }
    }
  }

  /// Restores the learner from the newest snapshot from which what it was told can be taken back.
  ///
  /// - Returns: nil where there is none.
  private func resume() -> FollowerLoop.Resumption? {
    guard let keeper = begin.keeper, handed.learners.count == 1,
      let learner = handed.learners[0] as? any SnapshotLearner
    else { return nil }
    let generations = limit.generations
    let source = begin.source
    var place: Int?
    let found = keeper.newest(pipelineHash: source.spec.hash, reports: false) { snapshot in
      if stop.isSet { return "this process ends" }
      place = generations.firstIndex { $0.number == snapshot.generation }
      guard let place else { return "generation \(snapshot.generation) is not of this log" }
      do throws(LogError) {
        if let reason = try source.refusal(of: snapshot, generations[place]) { return reason }
      } catch {
        return "\(error)"
      }
      let key = learner.snapshotKey
      guard
        let state = snapshot.learners.first(where: { $0.name == key.name && $0.hash == key.hash })
      else { return "the learner is not in it" }
      do throws(StateError) {
        try learner.restoreSuccessor(state.bytes)
        return nil
      } catch {
        return "\(error)"
      }
    }
    guard let found, let place else { return nil }
    return FollowerLoop.Resumption(index: place, streams: found.streams)
  }

  private static func endPumps(_ streams: [FollowedStream]) {
    for stream in streams { stream.pump.end() }
    for stream in streams { stream.pump.join() }
  }

  private func open(
    _ generation: LogGeneration, after earlier: [FollowedStream],
    from before: [FollowerSnapshot.Stream]? = nil
  ) throws(Failure) -> [FollowedStream] {
    let handovers = earlier.map { ($0.handover(), $0.groups) }
    var streams: [FollowedStream] = []
    for (number, place) in generation.streamPartitions.enumerated() {
      let start: UInt64
      do throws(LogError) {
        start =
          if let before {
            before[number].sequence
          } else {
            try begin.source.start(of: place.stream, target: .max, from: begin.readFrom)
          }
      } catch {
        throw .log(error)
      }
      let stream = FollowedStream(
        place,
        groups: KeyGroup.groups(of: place.partition, partitions: generation.partitions), end: nil,
        target: 0, after: start, spec: begin.source.spec)
      do throws(AnalysisError) {
        for (handover, groups) in handovers { try stream.adopt(handover, of: groups) }
        if let before { try stream.resume(before[number]) }
      } catch {
        throw .analysis(error)
      }
      streams.append(stream)
    }
    for stream in streams {
      stream.pump.start(
        begin.source.log, stream: stream.stream.stream, after: stream.sequence, arrived: bell)
    }
    return streams
  }

  /// Takes frames in order of stored time over all streams, each to its bound.
  private func read(
    _ streams: [FollowedStream], to bounds: [UInt64], of generation: LogGeneration,
    _ feed: LearnerFeed
  ) throws(Failure) {
    var count = 0
    while !stop.isSet {
      var next: (stream: FollowedStream, storedAt: Int64)?
      var owing: FollowedStream?
      for (stream, bound) in zip(streams, bounds) where stream.sequence < bound {
        stream.look()
        guard let storedAt = stream.nextStoredAt else {
          owing = stream
          continue
        }
        if next.map({ storedAt < $0.storedAt }) ?? true { next = (stream, storedAt) }
      }
      if let owing {
        // Nobody runs ahead of a stream of which more is known to come.
        if let failure = owing.failure { throw .log(failure) }
        bell.wait(milliseconds: Self.waitMs)
        continue
      }
      guard let next else { break }
      do throws(AnalysisError) {
        try next.stream.takeNext(to: feed)
      } catch {
        throw .analysis(error)
      }
      count += 1
      if count.isMultiple(of: Self.framesPerTick) { tell(feed, streams, generation) }
    }
    guard !stop.isSet else { throw .stopped }
    tell(feed, streams, generation)
  }

  /// The time is all that the learner has to know: it says nothing yet.
  private func tell(
    _ feed: LearnerFeed, _ streams: [FollowedStream], _ generation: LogGeneration
  ) {
    feed.publish(
      LearningProgress(
        position: Position(generation: generation.number),
        logTime: streams.map { $0.judge.logTime }.max() ?? .min, isCaughtUp: false))
  }
}

extension FollowedLog {
  /// The frame of a stream after which to read, so that everything is read that was stored from a time on.
  ///
  /// - Parameter target: this one is read in any case, for its time.
  func start(of stream: String, target: UInt64, from time: Int64) throws(LogError) -> UInt64 {
    let (first, last) = try log.bounds(stream: stream)
    let left = first > 0 ? first - 1 : 0
    let target = min(target, last)
    guard time > TimeRange.earliest, target > 1 else { return left }
    let older = try log.lastFrame(of: stream, upTo: target, storedBefore: time)
    return max(left, min(older ?? 0, target - 1))
  }
}
