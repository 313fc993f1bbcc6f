public import Analyses
import Dataflow
import Events
import Learning
import Operators
public import Ports

/// Why a log cannot be read to the end of a stretch.
public enum LogReadingError: Error, Sendable {
  case log(LogError)
  case analysis(stream: String, AnalysisError)
}

/// Where the streams of a log end for a stretch of its past: the same however often it is read.
struct LogExtent {
  let generations: [LogGeneration]
  /// The last sequence of each stream that belongs to it; 0 where none does.
  let ends: [StreamPartition: UInt64]

  /// - Parameter until: the last stored time that counts, microseconds since the epoch; nil for all that is there now.
  init(_ source: FollowedLog, until: Int64?) throws(LogError) {
    guard let generations = source.generations() else {
      throw .unavailable("the generations of the log's streams cannot be read")
    }
    self.generations = generations
    var ends: [StreamPartition: UInt64] = [:]
    for generation in generations {
      for (place, end) in zip(generation.streamPartitions, generation.ends) {
        let bounds = try source.log.bounds(stream: place.stream)
        let last = end.map { min($0, bounds.last) } ?? bounds.last
        ends[place] = try Self.end(of: place.stream, bounds.first, last, until, source.log)
      }
    }
    self.ends = ends
  }

  private static func end(
    of stream: String, _ first: UInt64, _ last: UInt64, _ until: Int64?, _ log: any EventLog
  ) throws(LogError) -> UInt64 {
    guard let until, first >= 1, first <= last else { return last }
    if try log.frame(stream: stream, sequence: last).storedAt <= until { return last }
    return try log.lastFrame(of: stream, upTo: last, storedBefore: until + 1) ?? 0
  }
}

/// Reads all streams of a log up to positions, one after the other, and hands what counts to learners. Confined to one
/// thread.
///
///     events-00 ────────┤ position ──────┤ next position ────┤ end
///     events-01 ──────┤         ────────────┤         ───────┤ end
///
/// As in a ``LogFollower`` a generation is read once all earlier ones are read to their ends.
final class LogReading {
  private let source: FollowedLog
  private let extent: LogExtent
  private let feed: LearnerFeed
  private let progress: (UInt64) -> Void
  /// Of the generation that is being read.
  private var index = 0
  private var streams: [ReadStream] = []
  /// Of the frames so far, microseconds since the epoch.
  private(set) var logTime = Int64.min

  /// - Parameter progress: told how many frames have been read since it was told last.
  init(
    _ source: FollowedLog, _ extent: LogExtent, _ feed: LearnerFeed,
    progress: @escaping (UInt64) -> Void
  ) {
    self.source = source
    self.extent = extent
    self.feed = feed
    self.progress = progress
  }

  /// Reads each stream to what a position says of it.
  func read(to position: Position) throws(LogReadingError) {
    try open()
    while index < extent.generations.count,
      extent.generations[index].number < position.generation
    {
      try finishGeneration()
    }
    for stream in streams { try read(stream, to: position.sequences[stream.place.partition] ?? 0) }
  }

  func readToEnd() throws(LogReadingError) {
    try open()
    while index < extent.generations.count { try finishGeneration() }
  }

  private func read(_ stream: ReadStream, to target: UInt64) throws(LogReadingError) {
    progress(try stream.read(to: target, source.log, feed))
    logTime = max(logTime, stream.logTime)
  }

  private func finishGeneration() throws(LogReadingError) {
    for stream in streams { try read(stream, to: .max) }
    let handovers = streams.map { ($0.handover(), $0.groups) }
    index += 1
    streams = []
    try open(handovers)
  }

  private func open(
    _ handovers: [([UInt8], Range<Int>)] = []
  ) throws(LogReadingError) {
    guard streams.isEmpty, index < extent.generations.count else { return }
    let generation = extent.generations[index]
    for place in generation.streamPartitions {
      let first: UInt64
      do throws(LogError) {
        first = try source.log.bounds(stream: place.stream).first
      } catch {
        throw .log(error)
      }
      let stream = ReadStream(
        place,
        groups: KeyGroup.groups(of: place.partition, partitions: generation.partitions),
        after: first > 0 ? first - 1 : 0, end: extent.ends[place] ?? 0, spec: source.spec)
      for (bytes, groups) in handovers { try stream.adopt(bytes, of: groups) }
      streams.append(stream)
    }
  }
}

/// One stream of a ``LogReading``.
private final class ReadStream {
  let place: StreamPartition
  let groups: Range<Int>
  private let end: UInt64
  private var judge: StreamJudge
  private var sequence: UInt64
  private var reader: (any FrameReader)?
  /// In reverse order, so that the next one is at the end.
  private var waiting: [any StoredFrame] = []

  /// A log that says for so long that nothing comes, though it holds more, is taken for away.
  private static let waitMs = 1_000
  private static let waitCountMax = 30

  init(
    _ place: StreamPartition, groups: Range<Int>, after sequence: UInt64, end: UInt64,
    spec: PipelineSpec
  ) {
    self.place = place
    self.groups = groups
    self.sequence = sequence
    self.end = end
    judge = StreamJudge(spec, groups: groups)
  }

  var logTime: Int64 { judge.logTime }

  func handover() -> [UInt8] { judge.handover() }

  func adopt(_ handover: [UInt8], of earlier: Range<Int>) throws(LogReadingError) {
    guard earlier.overlaps(groups) else { return }
    do throws(AnalysisError) {
      try judge.adopt(handover, of: earlier)
    } catch {
      throw .analysis(stream: place.stream, error)
    }
  }

  /// - Returns: how many frames were read.
  func read(
    to target: UInt64, _ log: any EventLog, _ feed: LearnerFeed
  ) throws(LogReadingError) -> UInt64 {
    feed.place = StreamPlace(generation: place.generation, partition: place.partition)
    var count: UInt64 = 0
    while sequence < min(target, end) {
      let frame = try next(log)
      do throws(AnalysisError) {
        try judge.add(frame.bytes, sequence: frame.sequence, storedAt: frame.storedAt, to: feed)
      } catch {
        throw .analysis(stream: place.stream, error)
      }
      sequence = frame.sequence
      count += 1
    }
    return count
  }

  private func next(_ log: any EventLog) throws(LogReadingError) -> any StoredFrame {
    do throws(LogError) {
      var waits = 0
      while true {
        if let frame = waiting.popLast() { return frame }
        if reader == nil { reader = try log.reader(stream: place.stream, after: sequence) }
        waiting = try (reader?.next(timeoutMs: Self.waitMs) ?? []).reversed()
        waits += waiting.isEmpty ? 1 : 0
        if waits > Self.waitCountMax {
          throw LogError.unavailable("nothing came of \(place.stream) after frame \(sequence)")
        }
      }
    } catch {
      throw .log(error)
    }
  }
}
