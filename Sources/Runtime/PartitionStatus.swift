public import Dataflow
public import Operators
import Synchronization

/// What a partition's loop does now, as readiness, `/metrics` and the console show it.
public struct PartitionStatus: Sendable {
  public enum Phase: String, Sendable {
    /// Taking the stream over and loading snapshots; next: `replaying` or `waiting`.
    case starting
    /// Reading again, silently, what is already committed; next: `live`.
    case replaying
    /// Processing and committing.
    case live
    /// Something outside cannot be reached; `detail` names it. Goes on by itself.
    case waiting
    /// Stopped for good; `detail` says why and what to do.
    case halted
    /// Ended because it was asked to, or because another process owns the stream now.
    case stopped
  }

  public var pipeline: String
  public var stream: StreamPartition
  public var phase: Phase
  public var detail: String
  /// The fence of its claim; 0 before it claimed.
  public var epoch: Int64 = 0
  /// The last frame processed.
  public var sequence: UInt64
  /// The last frame committed.
  public var committed: UInt64
  /// The last frame known to be in the stream.
  public var lastKnown: UInt64
  public var logTime: Int64
  public var watermark: Int64
  public var times = LoopTimes()
  /// Event ids remembered for deduplication, and the most that may be.
  public var idCount = 0
  public var idCountMax: Int
  /// Window rows in state.
  public var rowCount = 0
  /// Events that counted for `(other)` because there were too many tuples.
  public var overflowedCount: Int64 = 0

  /// What each operator holds.
  public var stateSizes: [(operator: String, size: StateSize)] = []
  /// What limits of operators have cost since the beginning of the log.
  public var limitCounts: [LimitCount] = []
  /// Of a second stage: frames that came and wait for one that has not.
  public var waitingPartialCount = 0
  var snapshots = SnapshotProgress()
  /// What has no room for what the loop writes.
  var fullStores: Set<WrittenStore> = []
  /// Why the hot copy cannot be written, and why partials are waited for, where that is so.
  var hotProblem: String?
  var partialsProblem: String?
  /// The last frame in a written snapshot; 0 before the first.
  public var snapshotSequence: UInt64 { snapshots.sequence }
  /// When the newest written snapshot was taken, microseconds since the epoch; 0 before the first.
  public var snapshotTakenAt: Int64 { snapshots.takenAt }

  /// What keeps it from being as it should be, though it may go on; nil where nothing does. One that
  /// has stopped is about to be another process's.
  public var problem: String? {
    switch phase {
    case .stopped: return nil
    case .starting, .replaying, .waiting, .halted:
      return "is \(phase.rawValue)" + (detail.isEmpty ? "" : ": \(detail)")
    case .live:
      let problems = [
        hotProblem.map { "cannot write the hot copy to Redis: \($0)" },
        snapshots.problem.map {
          "cannot write snapshots, so that a restart would take longer: \($0)"
        },
        partialsProblem,
      ].compactMap { $0 }
      return problems.isEmpty ? nil : problems.joined(separator: "; ")
    }
  }

  /// What is worst of what several loops have, with the loop's name; nil where all is well.
  public static func worstProblem(of statuses: [PartitionStatus]) -> String? {
    let failing = statuses.filter { $0.problem != nil }
    let worst =
      failing.first { $0.phase == .halted } ?? failing.first { $0.phase != .live }
      ?? failing.first
    return worst.flatMap { status in
      status.problem.map { "\(status.pipeline)/\(status.stream.stream) \($0)" }
    }
  }

  /// Frames in the stream that are not processed yet.
  public var lag: UInt64 { lastKnown > sequence ? lastKnown - sequence : 0 }
}

/// A value that one thread writes and others read.
final class Shared<Value: Sendable>: Sendable {
  private let value: Mutex<Value>

  init(_ value: Value) { self.value = Mutex(value) }

  var current: Value { value.withLock { $0 } }

  func update(_ change: (inout Value) -> Void) { value.withLock { change(&$0) } }
}
