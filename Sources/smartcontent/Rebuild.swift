import Dataflow
import Glibc
import Ports
import PostgresViews
import Runtime

/// Runs one pipeline version's loops until they have caught up with the active version.
///
/// The loops are those of the processor, and so is the code of their commits; only what nobody reads yet is
/// written less often (`RuntimeParameters.rebuild`).
final class Rebuild {
  /// Processors learn within a second that versions have come or gone; then their loops end or start.
  static let letGoSeconds: UInt32 = 3
  private static let pollMs: Int32 = 50
  /// So close behind the log, the rest is a matter of less than a second.
  private static let nearFrames: UInt64 = 1_000

  private let spec: PipelineSpec
  private let catalog: PipelineCatalog
  private let processor: Processor
  private var isStopped = false

  init(_ spec: PipelineSpec, catalog: PipelineCatalog, processor: Processor) {
    self.spec = spec
    self.catalog = catalog
    self.processor = processor
  }

  /// Blocks until everything that the active version has committed is committed here too.
  ///
  /// - Returns: false where it was cancelled before.
  func catchUp(isCancelled: () -> Bool) throws -> Bool {
    processor.start()
    let progress = ProgressLine("\(spec.name) v\(spec.version)", unit: "frames")
    var wanted: [String: UInt64]?
    defer { progress.end() }
    while !isCancelled() {
      let statuses = processor.statuses
      for status in statuses where status.phase == .halted {
        throw RebuildError("\(status.stream.stream): \(status.detail)")
      }
      let done = statuses.reduce(0) { $0 + $1.sequence }
      progress.update(done: done, total: statuses.reduce(0) { $0 + max($1.sequence, $1.lastKnown) })
      let isNear =
        !statuses.isEmpty && statuses.allSatisfy { $0.phase == .live && $0.lag < Self.nearFrames }
      if isNear, wanted == nil { wanted = try activeSequences() }
      if isNear, let wanted, hasReached(wanted, statuses) {
        progress.end()
        print("caught up after \(done) frames in \(progress.elapsed)")
        return true
      }
      poll(nil, 0, Self.pollMs)
    }
    return false
  }

  /// What the active version has committed by now.
  private func activeSequences() throws -> [String: UInt64] {
    var wanted: [String: UInt64] = [:]
    for version in try catalog.versions() where version.name == spec.name && version.isActive {
      let active = PipelineSpec(name: version.name, version: version.version)
      for (stream, checkpoint) in try catalog.checkpoints(of: active)
      where stream.role != .partials {
        wanted[stream.stream] = checkpoint.sequence
      }
    }
    return wanted
  }

  private func hasReached(_ wanted: [String: UInt64], _ statuses: [PartitionStatus]) -> Bool {
    statuses.allSatisfy { status in
      // A log that went back ends before what the halted version had committed.
      status.committed >= min(wanted[status.stream.stream] ?? 0, status.lastKnown)
    }
  }

  /// Goes on until processors have taken the version over, for a few seconds.
  func handOver() {
    let deadline = LoopClock.system.monotonic() + Int64(Self.letGoSeconds) * 1_000_000
    while LoopClock.system.monotonic() < deadline {
      if processor.statuses.allSatisfy({ $0.phase == .halted || $0.phase == .stopped }) { return }
      poll(nil, 0, Self.pollMs)
    }
  }

  func stop() {
    guard !isStopped else { return }
    isStopped = true
    processor.stop()
  }
}
