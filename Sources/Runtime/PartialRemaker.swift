import Dataflow
import Events
import Logging
import Operators
import Ports
import Synchronization
import Threads

/// Makes partials of a first stage again that the log has lost or that cannot be read, and adds them to
/// the stream of partials once more.
///
/// Partial n of a source is a function of the source's frames, so it does not matter who makes it, or how
/// often: the second stage takes each number once. It is made on a thread that nobody waits for, from a
/// snapshot of the source from before it where there is one, else from the first frame on.
final class PartialRemaker: Sendable {
  /// The best chain of snapshots of a stream that is not after a sequence; nothing is changed.
  typealias Snapshots =
    @Sendable (_ stream: StreamPartition, _ notAfter: UInt64) -> SnapshotArchive.Restored

  private enum Failure: Error {
    case reason(String)
  }

  private let spec: PipelineSpec
  private let log: any EventLog
  private let generations: GenerationBoard
  private let snapshots: Snapshots
  private let open: @Sendable () throws(LogError) -> any FramePublisher
  private let worker: SerialWorker
  private let metrics: LoopMetrics
  private let logger: Logger
  private let isBusy = Mutex(false)
  private let stop: StopFlag

  private static let pollMs = 250
  private static let pollsMax = 20
  private static let pendingCountMax = 100_000

  /// - Parameters:
  ///   - open: connects, when something is to be published.
  ///   - stop: of the loop that asks.
  init(
    spec: PipelineSpec, log: any EventLog, generations: GenerationBoard,
    snapshots: @escaping Snapshots,
    open: @escaping @Sendable () throws(LogError) -> any FramePublisher, worker: SerialWorker,
    metrics: LoopMetrics, logger: Logger, stop: StopFlag
  ) {
    self.spec = spec
    self.log = log
    self.generations = generations
    self.snapshots = snapshots
    self.open = open
    self.worker = worker
    self.metrics = metrics
    self.logger = logger
    self.stop = stop
  }

  /// Returns at once; while something is being made nothing else is begun.
  ///
  /// - Parameter attempt: differs between attempts, so that the log does not take a frame for a copy of
  ///   the one that it has lost.
  func remake(_ missing: PartialIntake.Missing, attempt: UInt64) {
    let isFree = isBusy.withLock { isBusy in
      defer { isBusy = true }
      return !isBusy
    }
    guard isFree else { return }
    let isQueued = worker.submit { [self] in
      do throws(Failure) {
        let frames = try make(missing)
        try publish(frames, attempt)
        logger.notice(
          "partials were made again from the events",
          metadata: ["first": "\(missing.numbers.lowerBound)", "count": "\(frames.count)"])
      } catch {
        if case .reason(let reason) = error {
          logger.error("partials cannot be made again", metadata: ["reason": "\(reason)"])
        }
      }
      isBusy.withLock { $0 = false }
    }
    if !isQueued { isBusy.withLock { $0 = false } }
  }

  private func make(_ missing: PartialIntake.Missing) throws(Failure) -> [PartialFrame] {
    guard let generation = generations.generation(missing.generation),
      Int(missing.partition) < generation.partitions
    else { throw .reason("generation \(missing.generation) is not known here") }
    let stream = generation.streamPartitions[Int(missing.partition)]
    var pipeline = Pipeline(
      spec: spec, stream: stream,
      groups: KeyGroup.groups(of: stream.partition, partitions: generation.partitions),
      partitions: generation.partitions)
    try begin(&pipeline, missing.sequence)
    let reader: any FrameReader
    do throws(LogError) {
      reader = try log.reader(stream: stream.stream, after: pipeline.position)
    } catch {
      throw .reason("\(error)")
    }
    var made: [PartialFrame] = []
    var emptyPolls = 0
    while made.last.map({ $0.number + 1 < missing.numbers.upperBound }) ?? true {
      if stop.isSet { throw .reason("the loop has ended") }
      let frames: [any StoredFrame]
      do throws(LogError) {
        frames = try reader.next(timeoutMs: Self.pollMs)
      } catch {
        throw .reason("\(error)")
      }
      emptyPolls = frames.isEmpty ? emptyPolls + 1 : 0
      if emptyPolls == Self.pollsMax {
        throw .reason("\(stream.stream) does not lead to partial \(missing.numbers.lowerBound)")
      }
      for frame in frames {
        do throws(PipelineError) {
          try pipeline.process(FrameContent(frame, of: stream.role), of: frame)
        } catch {
          throw .reason("\(error)")
        }
        made += pipeline.takeEmitted().filter { missing.numbers.contains($0.number) }
        if pipeline.pendingCount > Self.pendingCountMax {
          _ = pipeline.drainCommit(includeCoarse: false)
        }
      }
      if pipeline.emittedNumber >= missing.numbers.upperBound { break }
    }
    guard made.first?.number == missing.numbers.lowerBound else {
      throw .reason("a snapshot of \(stream.stream) lies after what is lost")
    }
    return made
  }

  /// What the source took over from an earlier generation is in its snapshots only.
  private func begin(_ pipeline: inout Pipeline, _ sequence: UInt64) throws(Failure) {
    let chain = snapshots(pipeline.stream, sequence)
    let isWhole: Bool
    do throws(PipelineError) {
      isWhole = try pipeline.resume(base: chain.base, increments: chain.increments)
    } catch {
      throw .reason("\(error)")
    }
    guard isWhole else {
      throw .reason("the snapshots of \(pipeline.stream.stream) cannot be read")
    }
    if pipeline.position == 0, generations.predecessor(of: pipeline.stream.generation) != nil {
      throw .reason(
        "no snapshot of \(pipeline.stream.stream) has what it took over from the generation before")
    }
  }

  private func publish(_ frames: [PartialFrame], _ attempt: UInt64) throws(Failure) {
    let publisher: any FramePublisher
    do throws(LogError) {
      publisher = try open()
    } catch {
      throw .reason("\(error)")
    }
    for frame in frames {
      publisher.publish(
        stream: spec.partialsStream, messageID: "\(frame.messageID)-again-\(attempt)",
        frame: frame.bytes, token: frame.number)
      try wait(for: frame.number, publisher)
      metrics.partialRemade()
    }
  }

  private func wait(for token: UInt64, _ publisher: any FramePublisher) throws(Failure) {
    for _ in 0..<Self.pollsMax {
      for completion in publisher.poll(timeoutMs: Self.pollMs) where completion.token == token {
        switch completion.outcome {
        case .stored: return
        case .unavailable(let reason), .full(let reason), .sealed(let reason):
          throw .reason(reason)
        }
      }
    }
    throw .reason("\(spec.partialsStream) does not answer")
  }
}
