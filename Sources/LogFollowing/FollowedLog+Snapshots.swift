import Dataflow
import Ports

extension FollowedLog {
  /// Why a snapshot is of another log than this one; nil where it is of this one.
  ///
  /// - Parameter generation: the snapshot's.
  func refusal(
    of snapshot: FollowerSnapshot, _ generation: LogGeneration
  ) throws(LogError) -> String? {
    let streams = generation.streamPartitions.map(\.stream)
    guard streams.count == snapshot.streams.count else {
      return "it is of \(snapshot.streams.count) streams, the log has \(streams.count)"
    }
    for (stream, before) in zip(streams, snapshot.streams) {
      let (first, last) = try log.bounds(stream: stream)
      if before.sequence > last {
        return "stream \(stream) ends at \(last), and \(before.sequence) was learned"
      }
      if before.sequence + 1 < first {
        return "stream \(stream) begins at \(first), and \(before.sequence + 1) is next"
      }
      guard before.sequence >= max(1, first), let storedAt = before.storedAt else { continue }
      let frame = try log.frame(stream: stream, sequence: before.sequence)
      if frame.storedAt != storedAt {
        return "frame \(before.sequence) of stream \(stream) is another one"
      }
    }
    return nil
  }
}
