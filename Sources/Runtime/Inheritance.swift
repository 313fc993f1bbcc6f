import Dataflow
import Events
import Operators
import Ports
import Views

/// Hands the persons of a finished generation over to one stream of the next.
///
///     generation 1: events-00 ──────────┤ end
///                   events-01 ──────────┤ end
///     generation 2: events-g2-00   waits │ persons of its key groups ─▶ live
///
/// It waits until every stream of the earlier generation is finished: then all that was stored before
/// is counted before what was stored after. Of each earlier partition that had some of the stream's key
/// groups, it makes the state that its loop ended with: from that loop's snapshots, and from the frames
/// after them where they are old or lost. That state is a function of the log, so it does not matter
/// who makes it, or how often.
///
/// What an earlier stream had itself taken over is in its snapshots and not in its frames: where it has
/// to be made from its first frame on, it takes over first, from the generation before its own, and so
/// on to the first generation.
///
/// A machine of steps, driven by the loop; of each generation one partition's state is in memory at a
/// time.
final class Inheritance {
  /// The best chain of snapshots of a stream that is not after a sequence.
  typealias Snapshots =
    (_ stream: StreamPartition, _ notAfter: UInt64) -> (base: [UInt8]?, increments: [[UInt8]])

  enum Step {
    /// Nothing to wait for.
    case again
    /// A state of an earlier partition, complete: a base that is to be adopted.
    case state([UInt8])
    case done
  }

  private let spec: PipelineSpec
  private let earlier: LogGeneration
  private let generations: GenerationBoard
  private let log: any EventLog
  private let views: any ViewStore
  private let snapshots: Snapshots
  /// Earlier streams that are still to be checked for their end, and those whose state is needed.
  private var unfinished: ArraySlice<StreamPartition>
  private var sources: ArraySlice<StreamPartition>
  private var pipeline: Pipeline?
  /// What `pipeline` itself takes over before its first frame.
  private var before: Inheritance?
  private var reader: (any FrameReader)?

  init(
    spec: PipelineSpec, groups: Range<Int>, earlier: LogGeneration, generations: GenerationBoard,
    log: any EventLog, views: any ViewStore, snapshots: @escaping Snapshots
  ) {
    self.spec = spec
    self.earlier = earlier
    self.generations = generations
    self.log = log
    self.views = views
    self.snapshots = snapshots
    unfinished = earlier.streamPartitions[...]
    sources =
      earlier.streamPartitions.filter { stream in
        KeyGroup.groups(of: stream.partition, partitions: earlier.partitions).overlaps(groups)
      }[...]
  }

  func step() throws(LoopExit) -> Step {
    if let stream = unfinished.first {
      guard try committed(stream).checkpoint.isFinished else {
        throw .waiting("generation \(earlier.number) to be finished: \(stream.stream) is not yet")
      }
      unfinished.removeFirst()
      return .again
    }
    guard let stream = sources.first else { return .done }
    if let before {
      try takeOver(before, of: stream)
      return .again
    }
    guard let reader else {
      try restore(stream)
      return .again
    }
    let end = try committed(stream).checkpoint.sequence
    if position >= end {
      pipeline?.end()
      let base = pipeline?.snapshot(.everything)
      pipeline = nil
      self.reader = nil
      sources.removeFirst()
      guard let base else { preconditionFailure("a reader comes with its pipeline") }
      return .state(base)
    }
    try read(reader, to: end)
    return .again
  }

  private var position: UInt64 {
    switch pipeline {
    case .some(let pipeline): pipeline.position
    case .none: 0
    }
  }

  private func committed(
    _ stream: StreamPartition
  ) throws(LoopExit) -> (checkpoint: Checkpoint, accounting: Accounting) {
    do throws(ViewStoreError) {
      return try views.committed(stream)
    } catch {
      throw LoopExit(error, spec)
    }
  }

  private func restore(_ stream: StreamPartition) throws(LoopExit) {
    let (checkpoint, accounting) = try committed(stream)
    let chain = snapshots(stream, checkpoint.sequence)
    var pipeline = Pipeline(
      spec: spec, stream: stream,
      groups: KeyGroup.groups(of: stream.partition, partitions: earlier.partitions),
      partitions: earlier.partitions)
    let report: RestoreReport
    do throws(PipelineError) {
      report = try pipeline.restore(
        base: chain.base, increments: chain.increments, committed: checkpoint,
        accounting: accounting)
    } catch {
      throw LoopExit(error, spec)
    }
    self.pipeline = consume pipeline
    if report.replayAfter == 0, let predecessor = generations.predecessor(of: earlier.number) {
      before = Inheritance(
        spec: spec,
        groups: KeyGroup.groups(of: stream.partition, partitions: earlier.partitions),
        earlier: predecessor, generations: generations, log: log, views: views,
        snapshots: snapshots)
    } else {
      try open(stream, after: report.replayAfter)
    }
  }

  private func takeOver(_ before: Inheritance, of stream: StreamPartition) throws(LoopExit) {
    switch try before.step() {
    case .again: break
    case .state(let base):
      let problem: SnapshotFormatError?
      do throws(PipelineError) {
        problem = try pipeline?.adopt(base: base)
      } catch {
        throw LoopExit(error, spec)
      }
      if let problem {
        throw .halted("state of an earlier stream cannot be taken over: \(problem)")
      }
    case .done:
      self.before = nil
      try open(stream, after: 0)
    }
  }

  private func open(_ stream: StreamPartition, after sequence: UInt64) throws(LoopExit) {
    do throws(LogError) {
      reader = try log.reader(stream: stream.stream, after: sequence)
    } catch {
      throw LoopExit(error, spec)
    }
  }

  private func read(_ reader: any FrameReader, to end: UInt64) throws(LoopExit) {
    let frames: [any StoredFrame]
    do throws(LogError) {
      frames = try reader.next(timeoutMs: PartitionLoop.retryIntervalMs)
    } catch {
      throw LoopExit(error, spec)
    }
    for frame in frames where frame.sequence <= end {
      do throws(PipelineError) {
        try pipeline?.process(FrameContent(frame, of: .events), of: frame)
      } catch {
        throw LoopExit(error, spec)
      }
    }
  }
}
