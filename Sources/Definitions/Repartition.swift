/// The way to another number of partitions, one step at a time.
///
///     shrink old streams ── create new ones ── close an old stream ── write its end ── … ── done
///
/// Each step is worked out from the streams as they are, so a change that was interrupted anywhere is
/// carried on by asking again. Nothing is copied: the old generation stays and is read first. It is
/// closed only once the new one is complete, so that collectors always have somewhere to go.
public enum Repartition {
  public enum Step: Hashable, Sendable {
    /// Give up room that the new streams need.
    case shrink(StreamConfig)
    case create(StreamConfig)
    /// Let the stream refuse frames from now on.
    case close(StreamConfig)
    /// The stream refuses frames; write its last sequence into ``StreamDefinitions/endKey``.
    case writeEnd(StreamConfig)
    case done(StreamGeneration)
  }

  public enum Refusal: Error, Hashable, Sendable, CustomStringConvertible {
    case noStreams
    case otherChange(partitions: Int)
    case tooLongName(String)

    public var description: String {
      switch self {
      case .noStreams:
        "there are no event streams yet: write the number of partitions into streams.yaml, then"
          + " streams apply"
      case .otherChange(let partitions):
        "a change to \(partitions) partitions is under way; finish it with --partitions \(partitions)"
      case .tooLongName(let name):
        "\(name) is no name of a stream: 60 of a-z, A-Z, 0-9, - and _ are allowed"
      }
    }
  }

  /// Room that a stream keeps until it is closed.
  private static let headroomMax: Int64 = 64 << 20

  /// - Parameters:
  ///   - partitions: how many there are to be, 1 to 100.
  ///   - usedBytes: of streams by name, what they hold.
  public static func next(
    _ generations: StreamGenerations, to partitions: Int, usedBytes: [String: Int64]
  ) throws(Refusal) -> Step {
    precondition((1...StreamDefinitions.partitionsMax).contains(partitions))
    guard let last = generations.all.last else { throw .noStreams }
    if let made = generations.unfinished {
      guard made.partitions == partitions else { throw .otherChange(partitions: made.partitions) }
      return .create(try missing(made.streams, made.number, partitions, after: last))
    }
    let old = generations.all.dropLast().filter { !$0.isSealed }
    if old.isEmpty {
      guard last.partitions != partitions else { return .done(last) }
      for stream in last.streams {
        if let smaller = shrunk(stream, usedBytes[stream.name] ?? 0) { return .shrink(smaller) }
      }
      return .create(try missing([:], last.number + 1, partitions, after: last))
    }
    guard last.partitions == partitions else {
      throw .otherChange(partitions: last.partitions)
    }
    for var stream in old.flatMap(\.streams) where stream.end == nil {
      if stream.isClosed { return .writeEnd(stream) }
      stream.messageBytesMax = StreamDefinitions.closedMessageBytes
      return .close(stream)
    }
    return .done(last)
  }

  /// The stream with a quarter of its free room, at most; nil where that has been done.
  private static func shrunk(_ stream: StreamConfig, _ used: Int64) -> StreamConfig? {
    guard stream.bytesMax > 0 else { return nil }
    let room = self.room(of: stream)
    let kept = used + min(headroomMax, max(0, room - used) / 4)
    let bytesMax = min(room, max(kept, stream.messageBytesMax))
    guard stream.bytesMax > bytesMax else { return nil }
    var stream = stream
    stream.metadata[StreamDefinitions.roomKey] = "\(room)"
    stream.bytesMax = bytesMax
    return stream
  }

  /// Its `max_bytes` before it was shrunk.
  private static func room(of stream: StreamConfig) -> Int64 {
    stream.metadata[StreamDefinitions.roomKey].flatMap { Int64($0) } ?? stream.bytesMax
  }

  /// The first stream of a generation that is not there: like its siblings, or like those before, which
  /// leave it its share of the room that they gave up.
  private static func missing(
    _ streams: [Int: StreamConfig], _ generation: UInt32, _ partitions: Int,
    after last: StreamGeneration
  ) throws(Refusal) -> StreamConfig {
    let partition = (0..<partitions).first { streams[$0] == nil } ?? 0
    var config = streams.values.first ?? last.streams[0]
    if streams.isEmpty {
      let room = last.streams.reduce(Int64(0)) { $0 + max(0, self.room(of: $1) - $1.bytesMax) }
      config.bytesMax = max(config.messageBytesMax, room / Int64(partitions))
    }
    config.name = name(generation, partition, like: last)
    guard config.name.utf8.count <= 60 else { throw .tooLongName(config.name) }
    config.subjects = [config.name]
    config.metadata = StreamDefinitions.metadata(generation, partition, of: partitions)
    return config
  }

  /// `events-00` is followed by `events-g2-00`, that by `events-g3-00`.
  private static func name(
    _ generation: UInt32, _ partition: Int, like last: StreamGeneration
  ) -> String {
    var base = last.streams[0].name
    if let zeros = base.ranges(of: "00").last { base.removeSubrange(zeros) }
    if base.hasSuffix("g\(last.number)-") { base.removeLast("g\(last.number)-".utf8.count) }
    return base + "g\(generation)-" + (partition < 10 ? "0" : "") + "\(partition)"
  }

  /// What to write into streams.yaml afterwards.
  public static func declaration(of generation: StreamGeneration) -> String {
    var pattern = generation.streams[0].name
    if let zeros = pattern.ranges(of: "00").last { pattern.replaceSubrange(zeros, with: "NN") }
    return """
        name: \(pattern)
        generation: \(generation.number)
        partitions: \(generation.partitions)
      """
  }
}
