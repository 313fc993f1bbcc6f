public import Dataflow
public import Learning
public import Logging
public import Metrics
import Synchronization
import Threads

/// Reads all streams of the log, for ever, and hands what counts to learners, on one thread.
///
///     generation 1: events-00 ─▶ pump ─▶ judge ─┐
///                   events-01 ─▶ pump ─▶ judge ─┼─▶ learners ─publish▶ answers
///     generation 2: events-g2-00 … ◀────────────╯ ids, once all streams above have come to their ends
///
/// As in the processor, copies, late events and bots are told by the pipeline's own rules, and a generation is read
/// once all earlier ones are read to their ends. Frames are taken in order of stored time over all streams
/// (``StreamOrder``), so that processes come to the same models.
///
/// Learners hear of what was stored since their memory begins, counted back from the newest frame that the log held
/// at the start: no clock has a say. Copies are known from the dedupe horizon before that.
///
/// While the log is away learning waits and goes on by itself; a log that went back, or that lost frames before they
/// were read, halts it (``FollowerState/problem`` says why), and what was learned goes on answering.
public final class LogFollower: Sendable {
  /// How often learners publish.
  public struct Rhythm: Sendable {
    /// After something was taken in, milliseconds.
    public var newsMs = 50
    /// When only time has passed, and while the beginning is read, milliseconds.
    public var timeMs = 250
    /// How often the log is asked for generations that follow, milliseconds.
    public var generationsMs = 1_000

    public init() {}
  }

  /// What the thread tells the others.
  struct Shared: Sendable {
    var state = FollowerState()
    var positions: [(stream: String, sequence: UInt64)] = []
  }

  private let source: FollowedLog
  private let rhythm: Rhythm
  private let learners: @Sendable () -> [any Learner]
  private let snapshots: FollowerSnapshots?
  private let rules: @Sendable () -> PipelineSpec?
  private let shared: SharedState
  private let metrics: FollowerMetrics
  private let logger: Logger
  private let stopFlag = StopFlag()
  private let bell = Bell()
  private let thread = Mutex<LoopThread?>(nil)

  /// - Parameters:
  ///   - snapshots: where learners that have some are kept (``SnapshotLearner``); nil: nowhere, and each start reads all
  ///     that they remember.
  ///   - rules: the pipeline by whose rules events count now, asked every second; where they are not those of before, learners
  ///     that can (``Learner/anew()``) read the log again beside, and then all goes by them. nil: they stay what they are.
  ///   - clock: microseconds since the epoch; for metrics alone.
  ///   - learners: made on the thread that they live on.
  public init(
    _ source: FollowedLog, rhythm: Rhythm = Rhythm(), snapshots: FollowerSnapshots? = nil,
    rules: @escaping @Sendable () -> PipelineSpec? = { nil }, registry: MetricRegistry,
    clock: @escaping @Sendable () -> Int64, logger: Logger,
    learners: @escaping @Sendable () -> [any Learner]
  ) {
    self.source = source
    self.rhythm = rhythm
    self.learners = learners
    self.snapshots = snapshots
    self.rules = rules
    self.logger = logger
    let shared = SharedState()
    self.shared = shared
    metrics = FollowerMetrics(
      registry, state: { shared.value.withLock { $0.state } },
      positions: { shared.value.withLock { $0.positions } }, clock: clock)
  }

  /// Safe to use from any thread; costs a lock.
  public var state: FollowerState { shared.value.withLock { $0.state } }

  public func start() {
    let started = LoopThread(name: "follower") { [self] in
      FollowerLoop(
        source, rhythm: rhythm, shared: shared, metrics: metrics, logger: logger, stop: stopFlag,
        bell: bell, feed: LearnerFeed(learners()), snapshots: snapshots,
        rules: rules
      ).run()
    }
    thread.withLock { $0 = started }
  }

  /// Ends the thread; waits for it.
  public func stop() {
    stopFlag.set()
    bell.ring()
    thread.withLock { $0 }?.join()
  }
}

/// What the follower's thread writes and others read.
final class SharedState: Sendable {
  let value = Mutex(LogFollower.Shared())
}
