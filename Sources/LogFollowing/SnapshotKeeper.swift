import Events
import Learning
import Logging
public import Ports
import Synchronization
import Threads

/// Where a follower's snapshots are, and how often one is taken.
public struct FollowerSnapshots: Sendable {
  /// A store of this process alone.
  public var open: @Sendable () throws(SnapshotError) -> any SnapshotStore
  /// Between two snapshots, milliseconds.
  public var intervalMs: Int

  public init(
    intervalMs: Int = 60_000,
    open: @escaping @Sendable () throws(SnapshotError) -> any SnapshotStore
  ) {
    self.intervalMs = intervalMs
    self.open = open
  }
}

/// Writes snapshots on a thread of its own, one at a time. It keeps the one before each, and older ones, the fewer the longer
/// ago, so that not all of the log is read again where something is taken back late.
///
///     follower ──frozen──▶ keeper ──bytes──▶ snapshot-…07-…, snapshot-…08-…
///
///     the two newest │ the first of this hour and the one before │ of 8 h │ of 64 h │ of 512 h     by times of the log
///
/// So there are at most ten, and from an hour on none has to be that is more than eight times as old as what is looked for.
final class SnapshotKeeper: Sendable {
  /// What is to be written; the states of learners are made to bytes by the thread that writes.
  struct Frozen: Sendable {
    struct Learner: Sendable {
      var key: LearnerSnapshotKey
      var bytes: @Sendable () -> [UInt8]
    }

    /// Of the rules by which events are judged.
    var pipelineHash: UInt64
    var generation: UInt32
    var streams: [FollowerSnapshot.Stream]
    var erasures: [Key128: Int64]
    var learners: [Learner]

    /// Seconds since the epoch; 0 before the first frame.
    var seconds: Int64 { max(0, (streams.map(\.logTime).max() ?? 0) / 1_000_000) }

    func bytes() -> [UInt8] {
      FollowerSnapshot(
        generation: generation, streams: streams, erasures: erasures,
        learners: learners.map {
          FollowerSnapshot.Learned(name: $0.key.name, hash: $0.key.hash, bytes: $0.bytes())
        }
      ).bytes(pipelineHash: pipelineHash)
    }
  }

  private struct State: Sendable {
    var thread: LoopThread?
    var isWriting = false
    /// Of the newest blob.
    var number: UInt64 = 0
  }

  private let store: any SnapshotStore
  private let metrics: FollowerMetrics
  private let logger: Logger
  private let state = Mutex(State())

  private static let prefix = "snapshot-"
  /// The newest, and the one before for the case that it is damaged.
  private static let newestCount = 2
  /// Of how long stretches the first ones are kept, seconds.
  private static let stretches: [Int64] = [3_600, 8 * 3_600, 64 * 3_600, 512 * 3_600]

  init(_ store: any SnapshotStore, metrics: FollowerMetrics, logger: Logger) {
    self.store = store
    self.metrics = metrics
    self.logger = logger
  }

  /// The first of the snapshots, from the newest on, that is whole and that somebody accepts; what is refused is reported.
  ///
  /// - Parameters:
  ///   - pipelineHash: of the rules by which events are judged.
  ///   - reports: whether what is of no use is counted and logged.
  ///   - refusal: why it is of no use; nil where it is.
  func newest(
    pipelineHash: UInt64, reports: Bool = true, refusal: (FollowerSnapshot) -> String?
  ) -> FollowerSnapshot? {
    for name in names().reversed() {
      do throws(FollowerSnapshot.Refusal) {
        guard let bytes = try read(name) else { continue }
        let snapshot = try FollowerSnapshot(bytes, pipelineHash: pipelineHash)
        if let reason = refusal(snapshot) { throw FollowerSnapshot.Refusal(reason: reason) }
        return snapshot
      } catch {
        guard reports else { continue }
        metrics.snapshot(.refused)
        logger.warning(
          "a snapshot of what was learned is of no use; the one before is tried, else the log is read from further back",
          metadata: ["name": "\(name)", "reason": "\(error.reason)"])
      }
    }
    return nil
  }

  private func read(_ name: String) throws(FollowerSnapshot.Refusal) -> [UInt8]? {
    do throws(SnapshotError) {
      return try store.read(name)
    } catch {
      throw FollowerSnapshot.Refusal(reason: "\(error)")
    }
  }

  /// Those that are there, the newest last.
  private func names() -> [String] {
    do throws(SnapshotError) {
      let names = try store.names().filter { $0.hasPrefix(Self.prefix) }.sorted()
      let newest = names.last.flatMap { Self.parts(of: $0) }?.number ?? 0
      state.withLock { $0.number = max($0.number, newest) }
      return names
    } catch {
      logger.warning(
        "snapshots of what was learned cannot be listed", metadata: ["reason": "\(error)"])
      return []
    }
  }

  /// - Returns: false while the one before is still being written.
  var isFree: Bool { state.withLock { !$0.isWriting } }

  func save(_ frozen: Frozen) {
    let before = state.withLock { state in
      defer { state.thread = nil }
      state.isWriting = true
      return state.thread
    }
    before?.join()
    let thread = LoopThread(name: "learner-snap") { [self] in
      write(frozen)
      state.withLock { $0.isWriting = false }
    }
    state.withLock { $0.thread = thread }
  }

  /// Waits for what is being written.
  func end() {
    let thread = state.withLock { state in
      defer { state.thread = nil }
      return state.thread
    }
    thread?.join()
  }

  private func write(_ frozen: Frozen) {
    let begin = ContinuousClock.now
    let bytes = frozen.bytes()
    let number = state.withLock { state in
      state.number += 1
      return state.number
    }
    do throws(SnapshotError) {
      try store.write(Self.name(number, at: frozen.seconds), bytes)
      let names = try store.names().filter { $0.hasPrefix(Self.prefix) }.sorted()
      for name in Self.spare(names, at: frozen.seconds) { try store.remove(name) }
    } catch {
      metrics.snapshot(.failed)
      logger.warning(
        "what was learned could not be kept; a start reads further back",
        metadata: ["reason": "\(error)"])
      return
    }
    metrics.snapshot(.written, bytes: bytes.count)
    logger.debug(
      "what was learned is kept",
      metadata: [
        "bytes": "\(bytes.count)", "seconds": "\(begin.duration(to: .now) / .seconds(1))",
      ])
  }

  private static func name(_ number: UInt64, at seconds: Int64) -> String {
    let digits = String(number)
    return prefix + String(repeating: "0", count: 20 - digits.count) + digits + "-\(seconds)"
  }

  /// The number of a snapshot, and its time in seconds since the epoch; nil for what is none.
  private static func parts(of name: String) -> (number: UInt64, seconds: Int64)? {
    let parts = name.dropFirst(prefix.count).split(separator: "-")
    guard parts.count == 2, let number = UInt64(parts[0]), let seconds = Int64(parts[1]) else {
      return nil
    }
    return (number, seconds)
  }

  /// Those that nobody needs any more.
  ///
  /// - Parameter names: the newest last.
  static func spare(_ names: [String], at now: Int64) -> [String] {
    var kept = Set(names.suffix(newestCount))
    for stretch in stretches {
      for number in [now / stretch - 1, now / stretch] {
        let first = names.first { name in
          parts(of: name).map { $0.seconds / stretch == number } ?? false
        }
        if let first { kept.insert(first) }
      }
    }
    return names.filter { !kept.contains($0) }
  }
}
