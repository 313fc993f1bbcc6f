public import Events
public import Operators
import Views

// The two stages of a pipeline. The first reads the events and counts them; what needs all partitions
// or belongs to a known person it hands on, tick by tick. The second reads what all first stages have
// handed on:
//
//     events-00 -> dedupe -> windows           -> rows, summed over partitions when read
//                      \--> persons, panes -> partials ─┐
//     events-01 -> …                                     ├─> outcome windows, trends -> rows
//                                          partials ─────┘
extension Pipeline {
  mutating func makeStage() {
    emitter = nil
    intake = nil
    emitted = []
    guard spec.hasSecondStage else { return }
    switch stream.role {
    case .events:
      emitter = PartialEmitter(
        pipelineHash: pipelineHash, generation: stream.generation,
        partition: UInt32(stream.partition), partitionCount: UInt32(partitions),
        paneLength: spec.trends?.slide ?? 0)
    case .partials: intake = PartialIntake(pipelineHash: pipelineHash)
    case .deadLetters: break
    }
  }

  // MARK: First stage

  /// The frames that were made since the last call, in order. Every one of them must be durable before
  /// a batch that is drained from now on is committed.
  public mutating func takeEmitted() -> [PartialFrame] {
    defer { emitted.removeAll(keepingCapacity: true) }
    return emitted
  }

  /// Log time from which on any frame would hand on what is held now, microseconds; nil where nothing
  /// is held.
  public var tickEnd: Int64? {
    switch emitter {
    case .some(let emitter): emitter.isHolding ? emitter.end : nil
    case .none: nil
    }
  }

  /// Closes the open tick if the moment lies past it.
  mutating func closeTick(before moment: FrameMoment) {
    guard emitter != nil else { return }
    if emitter?.isPast(moment.logTime) ?? false {
      var frames: [PartialFrame] = []
      emitter?.close(
        sequence: position, logTime: logTime, contributions: contributions, into: &frames)
      contributions.removeAll()
      // What a frame up to the committed one has closed was durable before the commit.
      if !moment.isSilent { emitted.append(contentsOf: frames) }
    }
    emitter?.open(at: moment.logTime)
  }

  /// Hands on what the frame's counted events mean to the second stage.
  mutating func handOn(_ frame: FrameView, at moment: FrameMoment) {
    emitter?.begin(frame)
    if let trends = spec.trends { countPanes(frame, trends, at: moment) }
  }

  private mutating func countPanes(
    _ frame: FrameView, _ trends: TrendPolicy, at moment: FrameMoment
  ) {
    let earliest = max(0, trends.earliest(watermark: moment.watermark))
    for index in 0..<frame.count {
      guard verdicts.isCounted(index), frame.kind(index) <= EventKind.conversion.rawValue else {
        continue
      }
      let time = WindowPolicy.eventTime(
        stated: frame.eventTime(index), receivedAt: frame.receivedAt(index),
        logTime: moment.logTime)
      guard time >= earliest else { continue }
      emitter?.count(
        tuple: frame.tuple(index), time: time, kind: frame.kind(index),
        revenueMicros: frame.revenueMicros(index))
    }
  }

  // MARK: Second stage

  /// Of a second stage: how far its sources have been taken in.
  public var sources: [SourcePosition] {
    switch intake {
    case .some(let intake):
      intake.sources.map {
        SourcePosition(
          generation: $0.generation, partition: Int($0.partition), sequence: $0.sequence)
      }
    case .none: []
    }
  }

  /// Takes a frame of partials in.
  ///
  /// - Parameters:
  ///   - bytes: the frame's, kept where it comes before its turn.
  ///   - sequence: the frame's sequence in the stream of partials.
  ///   - storedAt: when the log stored it, microseconds since the epoch.
  public mutating func process(
    partials frame: PartialFrameView, bytes: UnsafeRawBufferPointer, sequence: UInt64,
    storedAt: Int64
  ) throws(PipelineError) {
    try checkOrder(sequence)
    do throws(OperatorError) {
      switch intake?.admit(frame.head) ?? .ignore {
      case .ignore: break
      case .early: try intake?.keep(frame.head, bytes)
      case .take:
        take(frame, sequence: sequence)
        while let early = intake?.nextEarly() {
          early.withUnsafeBytes { bytes in
            let frame: PartialFrameView
            do throws(FrameError) {
              frame = try PartialFrameView(bytes)
            } catch {
              preconditionFailure("a frame is decoded before it is kept: \(error)")
            }
            if intake?.admit(frame.head) == .take { take(frame, sequence: sequence) }
          }
        }
      }
    } catch {
      throw .refused(sequence: sequence, error)
    }
    fingerprint = Checkpoint.Fingerprint(checksum: frame.checksum, storedAt: storedAt)
    let time = max(logTime, intake?.logTime ?? .min)
    let moment = moment(sequence: sequence, logTime: time)
    if time > logTime { windows.advance(to: moment) }
    try finish(moment)
  }

  private func moment(sequence: UInt64, logTime: Int64) -> FrameMoment {
    FrameMoment(
      sequence: sequence, logTime: logTime, watermark: watermark(at: logTime),
      isSilent: sequence <= committed.sequence)
  }

  private mutating func take(_ frame: PartialFrameView, sequence: UInt64) {
    let moment = moment(sequence: sequence, logTime: logTime)
    for index in 0..<frame.contributionCount {
      let record = frame.contribution(index)
      add(
        Counts(record.sums), tuple: frame.tupleBytes(Int(record.tuple)), time: record.start,
        at: moment)
    }
    windows.finishContributions()
    intake?.take(frame.head)
  }

  private mutating func add(
    _ counts: Counts, tuple: UnsafeRawBufferPointer, time: Int64, at moment: FrameMoment
  ) {
    accounting.received += 1
    switch windows.add(counts, tuple: tuple, time: time, at: moment) {
    case .onTime: accounting.onTime += 1
    default: accounting.late += 1
    }
  }
}
