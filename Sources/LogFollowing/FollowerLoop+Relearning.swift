import Analyses
import Dataflow
import Learning
import Logging
import Threads

/// Learners that begin anew and read the log beside those whose places they take: one that was told something too late, or all
/// that can, where events are judged by other rules from now on.
extension FollowerLoop {
  /// Who reads the log again, and for whom.
  struct Relearner {
    var reader: Relearning
    /// Of the learners whose places are taken.
    var places: [Int]
    /// By whose rules events are judged; nil: by those of now.
    var spec: PipelineSpec?
    var begun = ContinuousClock.now
  }

  /// After one that failed, the next attempt.
  private static let relearnPause = Duration.seconds(30)
  /// With fewer frames between them who reads anew is waited for.
  private static let relearnFramesMax: UInt64 = 2_000
  private static let relearnWaitMs = 2_000

  /// Has the log read again where there is need of it, and takes over who has read it once both have read the same.
  func relearn(_ index: Int) throws(Halt) {
    guard state.isCaughtUp else { return }
    guard let relearning else {
      if relearnsFrom <= .now { beginRelearning(index) }
      return
    }
    let reader = relearning.reader
    switch reader.progress {
    case .reading: return
    case .failed(let reason):
      reader.end()
      self.relearning = nil
      relearnsFrom = .now + Self.relearnPause
      metrics.relearned(.failed)
      logger.warning(
        "the log could not be read again; what was learned before stays learned until the next attempt",
        metadata: ["reason": "\(reason)"])
    case .atLimit:
      let here = limit(index)
      guard isNear(here, reader.limit) else { return reader.go(to: here) }
      if here.sequences != reader.limit.sequences {
        reader.go(to: here)
        var waitedMs = 0
        while reader.progress == .reading, waitedMs < Self.relearnWaitMs, !stop.isSet {
          _ = stop.wait(milliseconds: 2)
          waitedMs += 2
        }
        guard reader.progress == .atLimit else { return }
      }
      try takeOver(relearning)
    }
  }

  private func beginRelearning(_ index: Int) {
    var source = source
    let spec = otherRules()
    let others: [(place: Int, learner: any Learner)]
    if let spec {
      source.spec = spec
      others = feed.anew()
    } else {
      others = feed.successor().map { [$0] } ?? []
    }
    guard spec != nil || !others.isEmpty else { return }
    let reader = Relearning(
      others.map(\.learner),
      from: Relearning.Beginning(
        source: source, readFrom: readFrom(by: source.spec), newest: self.newest,
        erasures: feed.erasures, keeper: spec == nil ? keeper : nil),
      to: limit(index))
    reader.start()
    relearning = Relearner(reader: reader, places: others.map(\.place), spec: spec)
    logger.info(
      spec == nil
        ? "reading the log again, without what was taken back too late"
        : "reading the log again, because events are judged by other rules",
      metadata: ["pipeline": "\(source.spec.name) v\(source.spec.version)"])
  }

  /// The pipeline whose rules hold now, where they are others than those by which events are judged.
  private func otherRules() -> PipelineSpec? {
    guard rulesAskedAt.duration(to: .now) >= .milliseconds(rhythm.generationsMs) else { return nil }
    rulesAskedAt = .now
    guard let spec = rules(), spec.hash != source.spec.hash else { return nil }
    return spec
  }

  private func takeOver(_ relearning: Relearner) throws(Halt) {
    let read = relearning.reader.end()
    self.relearning = nil
    if let spec = relearning.spec {
      source.spec = spec
      keptSequences = []
      do throws(AnalysisError) {
        for (stream, other) in zip(streams, read.streams) { try stream.judge(as: other, by: spec) }
      } catch {
        throw .analysis(error)
      }
    }
    feed.exchange(relearning.places, for: read.learners, byOtherRules: relearning.spec != nil)
    published = nil
    metrics.relearned(.done)
    logger.info(
      "the log was read again",
      metadata: ["seconds": "\(relearning.begun.duration(to: .now) / .seconds(1))"])
  }

  /// As far as this one has read.
  private func limit(_ index: Int) -> Relearning.Limit {
    Relearning.Limit(
      generations: Array(generations.prefix(index + 1)), sequences: streams.map(\.sequence))
  }

  private func isNear(_ here: Relearning.Limit, _ there: Relearning.Limit) -> Bool {
    guard here.generations.count == there.generations.count else { return false }
    let between = zip(here.sequences, there.sequences).reduce(0) { $0 + ($1.0 - min($1.0, $1.1)) }
    return between <= Self.relearnFramesMax
  }
}
