public import Operators
public import Views

/// Why a pipeline stops reading its stream. Nothing was changed by the frame at which it stops.
public enum PipelineError: Error, Hashable, Sendable {
  /// An operator has no room for the frame at `sequence`.
  case refused(sequence: UInt64, OperatorError)
  /// The reader gave a frame that is not after the one before.
  case outOfOrder(sequence: UInt64, position: UInt64)
  /// A snapshot was made by another declaration of the pipeline.
  case otherPipeline(stored: UInt64, declared: UInt64)
  /// Replay up to the committed sequence came to another result than was committed: the log, the
  /// program or the stored checkpoint is not what it was.
  case diverged(sequence: UInt64, committed: Accounting, replayed: Accounting)
}

extension PipelineError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .refused(let sequence, let error): "at frame \(sequence): \(error)"
    case .outOfOrder(let sequence, let position):
      "frame \(sequence) came after frame \(position); the reader must give frames in order"
    case .otherPipeline(let stored, let declared):
      """
      the snapshot belongs to pipeline \(String(stored, radix: 16)), this one is \
      \(String(declared, radix: 16)); raise its `version` in Streams/pipelines.yaml
      """
    case .diverged(let sequence, let committed, let replayed):
      """
      replay up to frame \(sequence) counted \(replayed), but \(committed) was committed; check \
      that the log was not changed or restored, then raise the pipeline's `version`
      """
    }
  }
}

/// What could be used of the snapshots, and from where the log must be read.
public struct RestoreReport: Hashable, Sendable {
  public enum Finding: Hashable, Sendable {
    /// No snapshot of the windows: everything is replayed.
    case headMissing
    case headUnusable(SnapshotFormatError)
    /// The head is of a frame that was not committed (the read model is older than it was).
    case headAhead(sequence: UInt64, committed: UInt64)
    /// No snapshot of the group's ids: they are collected again from the beginning.
    case groupMissing(group: Int)
    case groupUnusable(group: Int, SnapshotFormatError)
    /// The group is of a later frame than the head; what the frames between found is not known.
    case groupAhead(group: Int, sequence: UInt64, head: UInt64)
  }

  /// The sequence after which to read.
  public var replayAfter: UInt64
  /// The frame up to which windows were restored; 0 if they were not.
  public var headSequence: UInt64
  /// Everything that was not as it should be; empty after an orderly restart.
  public var findings: [Finding]

  public init(replayAfter: UInt64, headSequence: UInt64, findings: [Finding]) {
    self.replayAfter = replayAfter
    self.headSequence = headSequence
    self.findings = findings
  }
}
