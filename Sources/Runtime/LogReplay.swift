public import Dataflow
import Events
import Operators
public import Ports
import Views

/// Why a replay did not come to its end.
public enum ReplayError: Error, Sendable {
  case log(LogError)
  case pipeline(stream: String, PipelineError)
}

/// Runs a pipeline on the log up to an instant of its past, into memory.
///
/// The operators are those of the processor. Frames of a generation's streams come in order of their
/// stored times, and what a first stage hands on goes to the second at once: the result is a function of
/// the log, of the pipeline and of the instant.
///
///     generation 1: events-00 ───────────┤ end
///                   events-01 ─────────┤ end       state of persons
///     generation 2: events-g2-00          ╰──────▶ ─────────────│ until
///
/// As in the processor, a generation begins once all streams of the one before have come to their ends,
/// and takes over what these knew of persons. An instant at which one of them still had frames to come
/// is one at which nothing of the next generation had been processed. When a stream was sealed the log
/// does not say: its windows are closed once something of the next generation is stored.
///
/// Memory: all rows within their retention, and at a cut the persons of one generation twice. Confined to
/// one thread.
public final class LogReplay {
  public struct Progress: Sendable {
    public var done: UInt64
    public var total: UInt64
  }

  private let log: any EventLog
  private let until: Int64
  private let progress: (Progress) -> Void
  private let deadLetters: ReplayedStream
  /// Those that are still to be read, the one that is being read first.
  private var generations: ArraySlice<[ReplayedStream]>
  private let secondStage: ReplayedStream?
  private var rows: ReplayedRows
  private var frameCount: UInt64 = 0
  private var total: UInt64 = 0
  private var nextSweep = Int64.min

  /// Stored time between two sweeps for rows whose retention is over, microseconds.
  private static let sweepInterval: Int64 = 86_400_000_000

  /// - Parameters:
  ///   - generations: of the events, rising.
  ///   - until: the last stored time that counts, microseconds since the epoch.
  public init(
    _ spec: PipelineSpec, generations: [LogGeneration], deadLetters: StreamPartition,
    log: any EventLog, until: Int64, progress: @escaping (Progress) -> Void = { _ in }
  ) {
    self.log = log
    self.until = until
    self.progress = progress
    self.deadLetters = ReplayedStream(Pipeline(spec: spec, stream: deadLetters, groups: 0..<0))
    self.generations =
      generations.map { generation in
        zip(generation.streamPartitions, generation.ends).map { stream, end in
          let partitions = generation.partitions
          return ReplayedStream(
            Pipeline(
              spec: spec, stream: stream,
              groups: KeyGroup.groups(of: stream.partition, partitions: partitions),
              partitions: partitions), end: end)
        }
      }[...]
    secondStage =
      spec.hasSecondStage
      ? ReplayedStream(
        Pipeline(spec: spec, stream: .partials(of: spec), groups: 0..<KeyGroup.count)) : nil
    rows = ReplayedRows(spec)
  }

  public func run() throws(ReplayError) -> ReplayedViews {
    for stream in [deadLetters] + generations.joined() {
      total += try reading { () throws(LogError) in try stream.look(at: log) }
    }
    try read([deadLetters])
    rows.finish(deadLetters)
    while let streams = generations.first {
      try read(streams)
      let isFollowed = try isFollowed(streams)
      if isFollowed { try handOver(streams) }
      for stream in streams { rows.finish(stream) }
      sweep(streams)
      if !isFollowed { break }
      generations.removeFirst()
    }
    if let secondStage {
      rows.finish(secondStage)
      sweep([])
    }
    return rows.views
  }

  // MARK: A generation

  /// Processes all frames of these streams up to the instant.
  private func read(_ streams: [ReplayedStream]) throws(ReplayError) {
    while let next = try firstStored(of: streams) {
      guard let frame = next.take() else { return }
      frameCount += 1
      do throws(PipelineError) {
        try next.process(frame)
        try handOn(next, storedAt: frame.storedAt)
      } catch {
        throw .pipeline(stream: next.name, error)
      }
      for stream in [next, secondStage].compactMap({ $0 }) where stream.isFull {
        rows.drain(stream)
      }
      if frame.storedAt >= nextSweep {
        nextSweep = frame.storedAt + Self.sweepInterval
        sweep(streams)
      }
      if frameCount.isMultiple(of: 256) {
        progress(Progress(done: frameCount, total: max(total, frameCount)))
      }
    }
  }

  /// The stream whose next frame was stored first; nil once all have come to the instant.
  private func firstStored(of streams: [ReplayedStream]) throws(ReplayError) -> ReplayedStream? {
    var first: (stream: ReplayedStream, time: Int64)?
    for stream in streams {
      guard let time = try nextTime(stream) else { continue }
      if let first, first.time <= time { continue }
      first = (stream, time)
    }
    return first?.stream
  }

  private func nextTime(_ stream: ReplayedStream) throws(ReplayError) -> Int64? {
    try reading { () throws(LogError) in try stream.nextTime(in: log, until: until) }
  }

  private func handOn(_ stream: ReplayedStream, storedAt: Int64) throws(PipelineError) {
    for partial in stream.pipeline.takeEmitted() {
      try secondStage?.process(partials: partial, storedAt: storedAt)
    }
  }

  /// Whether all streams have come to their ends, and something came after them up to the instant.
  private func isFollowed(_ streams: [ReplayedStream]) throws(ReplayError) -> Bool {
    guard streams.allSatisfy(\.hasComeToEnd), let next = generations.dropFirst().first else {
      return false
    }
    return try firstStored(of: next) != nil
  }

  /// Ends the streams of a generation, and gives what they know of persons to those of the next.
  private func handOver(_ streams: [ReplayedStream]) throws(ReplayError) {
    for stream in streams {
      stream.pipeline.end()
      let base = stream.pipeline.snapshot(.everything)
      do throws(PipelineError) {
        try handOn(stream, storedAt: stream.pipeline.logTime)
        for heir in generations.dropFirst().first ?? []
        where heir.pipeline.groups.overlaps(stream.pipeline.groups) {
          if let problem = try heir.pipeline.adopt(base: base) {
            preconditionFailure("a base of this program can be taken over: \(problem)")
          }
        }
      } catch {
        throw .pipeline(stream: stream.name, error)
      }
    }
  }

  private func sweep(_ streams: [ReplayedStream]) {
    rows.removeExpired(
      events: streams.map { $0.pipeline.logTime }.min() ?? .min,
      partials: secondStage?.pipeline.logTime ?? .min)
  }

  private func reading<Value>(
    _ body: () throws(LogError) -> Value
  ) throws(ReplayError) -> Value {
    do throws(LogError) {
      return try body()
    } catch {
      throw .log(error)
    }
  }
}
