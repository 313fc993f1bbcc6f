/// One generation of the event streams: the partitions among which persons were divided for a time.
///
/// Changing the number of partitions begins another generation at a sealed cut. A generation is
/// processed once all earlier ones are finished, so whoever has read into one has read all before it.
public struct LogGeneration: Hashable, Sendable {
  public var number: UInt32
  /// The stream of each partition, in order.
  public var streams: [String]
  /// By partition: the last sequence of a sealed stream, nil while frames can be added.
  public var ends: [UInt64?]

  /// - Parameter ends: nil where the whole generation is open.
  public init(number: UInt32, streams: [String], ends: [UInt64?]? = nil) {
    self.number = number
    self.streams = streams
    self.ends = ends ?? Array(repeating: nil, count: streams.count)
    precondition(self.ends.count == streams.count, "every stream has an end or none")
  }

  public var partitions: Int { streams.count }

  /// True once every stream has its end.
  public var isSealed: Bool { ends.allSatisfy { $0 != nil } }

  /// True once some stream has its end: the next generation is written to.
  public var isEnding: Bool { ends.contains { $0 != nil } }

  public var streamPartitions: [StreamPartition] {
    streams.enumerated().map { partition, stream in
      StreamPartition(stream: stream, generation: number, partition: partition)
    }
  }
}

extension Seams {
  /// Of a finished stream: every window lies before them, so all of its rows are durable.
  public static let finished: Seams = {
    var seams = Seams()
    // 9999-12-31T00:00:00Z.
    seams.values = seams.values.map { _ in 253_402_214_400_000_000 }
    return seams
  }()
}

extension Checkpoint {
  /// True where the stream is sealed and everything in it is committed: nobody reads it any more.
  public var isFinished: Bool { seams == .finished }
}
