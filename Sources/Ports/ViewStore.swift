public import Dataflow
public import Views

/// Why a view store did not do as asked.
public enum ViewStoreError: Error, Hashable, Sendable {
  /// Cannot be reached now; nothing was written. Try again.
  case unavailable(String)
  /// Has no room left; nothing was written. Try again: it may be given some.
  case full(String)
  /// Another owner has taken the stream over: stop reading it.
  case fenced(stream: String)
  /// Another owner's lease on the stream runs.
  case held(stream: String, by: String)
  /// Stored state belongs to another declaration of the pipeline: raise its version or rebuild.
  case otherPipeline(stored: UInt64, declared: UInt64)
  /// The store refused the data; trying again cannot help.
  case refused(String)
}

/// Where a pipeline's rows and checkpoints are kept durably. Confined to one thread.
public protocol ViewStore: AnyObject {
  /// Takes a stream that nobody owns, that `owner` owns already, or whose owner's lease ran out or
  /// was ended: raises its epoch so that an earlier owner's commits fail. Waits for a commit that an
  /// earlier owner has under way.
  ///
  /// - Parameter owner: id of the process, ``Member/id``.
  /// - Returns: the new epoch, and the committed checkpoint and accounting (zero if there is none).
  /// - Throws: `held` where another owner's lease runs.
  func claim(
    _ stream: StreamPartition, owner: String
  ) throws(ViewStoreError) -> (epoch: Int64, checkpoint: Checkpoint, accounting: Accounting)

  /// What is committed of a stream that somebody else may own; zero if there is nothing.
  func committed(
    _ stream: StreamPartition
  ) throws(ViewStoreError) -> (checkpoint: Checkpoint, accounting: Accounting)

  /// Writes everything in `batch` in one transaction whose checkpoint replaces `previous`.
  ///
  /// All or nothing, durable on return. Where a connection breaks while committing, the outcome is
  /// settled by reading the checkpoint again; where that is not possible either it is `unavailable`, and
  /// the next call, with the same batch, settles it first.
  func commit(
    _ batch: CommitBatch, stream: StreamPartition, epoch: Int64, previous: UInt64
  ) throws(ViewStoreError)
}
