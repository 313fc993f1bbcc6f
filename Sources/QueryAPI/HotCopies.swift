import Ports
import Synchronization

/// When each partition's hot copy was first seen.
///
/// A copy that is written as a whole has only the windows in state; those that had expired since
/// the last commit are in neither place until the next one. A checkpoint at or past the sequence
/// at which the copy was first seen is past that commit.
final class HotCopies: Sendable {
  private struct Seen {
    var epoch: Int64
    var copy: Int64
    var sequence: UInt64
  }

  /// One entry per partition.
  private let seen = Mutex<[Int: Seen]>([:])

  /// - Returns: a sequence at or past the one at which the header's copy was written as a whole.
  func firstSequence(partition: Int, _ header: HotHeader) -> UInt64 {
    seen.withLock { seen in
      if let known = seen[partition], known.epoch == header.epoch, known.copy == header.copy,
        known.sequence <= header.sequence
      {
        return known.sequence
      }
      seen[partition] = Seen(
        epoch: header.epoch, copy: header.copy, sequence: header.sequence)
      return header.sequence
    }
  }
}
