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
  /// A source has handed on a number in two forms: its own log is not what it was.
  case sourceWentBack(partition: UInt32, number: UInt64)
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
      \(String(declared, radix: 16)); raise its `version` in Streams/pipelines.yaml, then run \
      `smartcontent rebuild`
      """
    case .diverged(let sequence, let committed, let replayed):
      """
      replay up to frame \(sequence) counted \(replayed), but \(committed) was committed: the log was \
      changed or restored, or another program wrote it
      """
    case .sourceWentBack(let partition, let number):
      """
      the log of partition \(partition) of the events went back in time after it was read: partial \
      \(number) came once more with other events
      """
    }
  }
}
