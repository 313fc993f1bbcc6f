public import Analyses
public import Events
public import Operators

/// What learns from the log while it grows: a fold over what counts of it, read by somebody all the time.
///
///     events-00 ─▶ judge ─┐
///     events-01 ─▶ judge ─┼─▶ learner ─publish▶ what answers are given from
///     events-02 ─▶ judge ─┘   one thread
///
/// The contract:
///
/// * **One thread.** All calls come from one thread, frame after frame; each stream in order of sequence.
/// * **Sets.** What is learned is a function of what was read of each stream: sums, or tables whose entries know their own
///   time. What hangs on the order hangs on that in which frames were stored, over all streams, which is the one in which
///   they come.
/// * **Pure.** No clock and no random source: a learner that begins anew comes to the same state. What it is
///   asked with is the log's time.
/// * **Bounded.** Every table has a maximum; what was turned away is counted.
/// * **Forgetful.** Of a person who was erased nothing is kept, and nothing comes that was received before.
public protocol Learner: AnyObject, SendableMetatype {
  /// How far back in stored time it wants to read when it begins, microseconds; what is older has no say.
  var memory: Int64 { get }

  /// Takes in what counts of a frame. The view is valid only during the call.
  func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment,
    from stream: StreamPlace)

  /// Forgets what is known of a person, who was erased at a time of the log. Part of what others are told, such as
  /// sums over all persons, goes as far as it can be taken back.
  func forget(_ person: Key128, erasedAt: Int64)

  /// Makes what was taken in visible to those who answer; called after some frames, and when time passes.
  func publish(_ progress: LearningProgress)

  /// One that has learned nothing and is told beforehand what this one was told too late; it reads the log from where its
  /// memory begins, says nothing meanwhile, and takes this one's place once it has read as far. nil where there is no need.
  func successor() -> (any Learner)?

  /// One like ``successor()``, whether there is need of one or not: for a log whose events are judged by other rules from now
  /// on. nil: what was learned by the old rules stays learned until the process starts again.
  func anew() -> (any Learner)?
}

extension Learner {
  /// What was learned is never wrong.
  public func successor() -> (any Learner)? { nil }

  public func anew() -> (any Learner)? { nil }
}

/// Which stream a frame comes from.
public struct StreamPlace: Hashable, Sendable {
  public var generation: UInt32
  public var partition: Int

  public init(generation: UInt32, partition: Int) {
    self.generation = generation
    self.partition = partition
  }
}

/// How far the log has been read.
public struct LearningProgress: Hashable, Sendable {
  /// Of the newest generation.
  public var position: Position
  /// The greatest stored time of all frames, heartbeats included, microseconds since the epoch; `.min` before
  /// the first one. Models take it for now.
  public var logTime: Int64
  /// True once everything that was in the log at the beginning is read, and from then on.
  public var isCaughtUp: Bool

  public init(position: Position, logTime: Int64, isCaughtUp: Bool) {
    self.position = position
    self.logTime = logTime
    self.isCaughtUp = isCaughtUp
  }
}
