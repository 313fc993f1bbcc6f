import Synchronization

/// The log times of a pipeline's partitions, so that a quiet one learns that the others moved on.
final class LogTimes: Sendable {
  let partitions: Int
  private let times = Mutex<[Int: Int64]>([:])

  init(partitions: Int) {
    self.partitions = partitions
  }

  func report(_ partition: Int, _ time: Int64) {
    times.withLock { $0[partition] = max($0[partition] ?? .min, time) }
  }

  /// The furthest log time of any partition, microseconds since the epoch.
  var latest: Int64 { times.withLock { $0.values.max() ?? .min } }
}
