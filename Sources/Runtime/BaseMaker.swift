import Dataflow
import Operators
import Ports
import Views

/// Makes bases of a stream's state away from its loop: of stored snapshots, and of the log where these
/// do not reach.
///
///     stored   base ─▶ increments ─▶ │ gap │ increments ─▶
///     log      ······················│·····│
///     base     ────── restored ──────│ read ▶ base
///
/// State is a function of the log, so it does not matter who makes it. Cost: the memory of a second
/// state, and the time that a silent replay of the gap takes, on a thread that nobody waits for.
struct BaseMaker: Sendable {
  /// What the stream's state was before its first frame.
  enum Origin: Sendable {
    case empty
    /// Persons of the generation before, out of these bases. None where they are not at hand: then only
    /// what is stored can be begun from.
    case inherited([[UInt8]])
  }

  enum Failure: Error {
    /// Nobody wants the base any more.
    case interrupted
    /// It may be possible later.
    case failed(String)
    /// What it would be made of is gone.
    case impossible(String)
  }

  let spec: PipelineSpec
  let stream: StreamPartition
  let partitions: Int
  let log: any EventLog

  private static let pollMs = 250
  private static let emptyPollsMax = 20

  /// Everything that the chain gives.
  func base(of chain: SnapshotArchive.Restored) throws(Failure) -> [UInt8] {
    let base: [UInt8]?
    do throws(PipelineError) {
      base = try Pipeline.compact(
        spec: spec, stream: stream, groups: PartitionLoop.groups(stream, partitions: partitions),
        partitions: partitions, base: chain.base, increments: chain.increments)
    } catch {
      throw .failed("\(error)")
    }
    guard let base else { throw .failed("the chain cannot be restored") }
    return base
  }

  /// Everything at a frame that lies after the chain, from the frames between.
  ///
  /// - Parameter isWanted: asked between batches.
  func base(
    of chain: SnapshotArchive.Restored, origin: Origin, upTo mark: PipelineMark,
    isWanted: () -> Bool
  ) throws(Failure) -> [UInt8] {
    var pipeline = Pipeline(
      spec: spec, stream: stream, groups: PartitionLoop.groups(stream, partitions: partitions),
      partitions: partitions)
    try begin(&pipeline, with: chain, origin)
    try read(into: &pipeline, upTo: mark.sequence, isWanted)
    guard pipeline.mark == mark else {
      throw .failed(
        "the log gives another state at frame \(mark.sequence) than was processed:"
          + " \(pipeline.mark), not \(mark)")
    }
    return pipeline.snapshot(.everything)
  }

  private func begin(
    _ pipeline: inout Pipeline, with chain: SnapshotArchive.Restored, _ origin: Origin
  ) throws(Failure) {
    // All of it is silent: nothing is to be handed out.
    var endless = Checkpoint()
    endless.sequence = .max
    do throws(PipelineError) {
      _ = try pipeline.restore(
        base: chain.base, increments: chain.increments, committed: endless,
        accounting: Accounting())
    } catch {
      throw .failed("\(error)")
    }
    guard pipeline.position == 0, case .inherited(let bases) = origin else { return }
    if bases.isEmpty { throw .impossible("what the stream took over is not at hand any more") }
    for base in bases { try adopt(base, into: &pipeline) }
  }

  private func adopt(_ base: [UInt8], into pipeline: inout Pipeline) throws(Failure) {
    let problem: SnapshotFormatError?
    do throws(PipelineError) {
      problem = try pipeline.adopt(base: base)
    } catch {
      throw .failed("\(error)")
    }
    if let problem { throw .impossible("\(problem)") }
  }

  private func read(
    into pipeline: inout Pipeline, upTo end: UInt64, _ isWanted: () -> Bool
  ) throws(Failure) {
    var emptyPolls = 0
    let reader: any FrameReader
    do throws(LogError) {
      reader = try log.reader(stream: stream.stream, after: pipeline.position)
    } catch {
      throw Failure(error)
    }
    while pipeline.position < end {
      guard isWanted() else { throw .interrupted }
      let frames: [any StoredFrame]
      do throws(LogError) {
        frames = try reader.next(timeoutMs: Self.pollMs)
      } catch {
        throw Failure(error)
      }
      emptyPolls = frames.isEmpty ? emptyPolls + 1 : 0
      if emptyPolls == Self.emptyPollsMax {
        throw .failed("\(stream.stream) gives nothing after frame \(pipeline.position)")
      }
      for frame in frames where frame.sequence <= end {
        do throws(PipelineError) {
          try pipeline.process(FrameContent(frame, of: stream.role), of: frame)
        } catch {
          throw .failed("\(error)")
        }
      }
      // Where frames are gone the next one may lie past the end.
      if let last = frames.last?.sequence, last >= end, pipeline.position < end {
        throw .failed("\(stream.stream) has no frame \(end)")
      }
    }
  }
}

extension BaseMaker.Failure {
  init(_ error: LogError) {
    switch error {
    case .missing: self = .impossible("\(error)")
    case .unavailable, .wentBack, .refused: self = .failed("\(error)")
    }
  }
}
