import Analyses
import Dataflow
import Events
import Learning
import Logging
import Ports
import Threads

/// Snapshots of what a follower leads its learners to, so that a start reads what came since, not all that they remember.
///
///     all learners restored:    ──────────────────────●═══════▶ judges go on as well
///     some, the others anew:    ═══════════════════════════════▶ frames before ● are for the others alone
extension FollowerLoop {
  /// Where reading goes on.
  struct Resumption {
    /// Of the generation.
    var index: Int
    var streams: [FollowerSnapshot.Stream]
  }

  /// Looks for the newest snapshot that fits the log, and restores learners from it.
  ///
  /// - Returns: nil where reading begins at the beginning all the same.
  func resume() -> Resumption? {
    guard let keeper, feed.hasSnapshots else { return nil }
    var place: Int?
    let found = keeper.newest(pipelineHash: source.spec.hash) { snapshot in
      place = generations.firstIndex { $0.number == snapshot.generation }
      guard let place else { return "generation \(snapshot.generation) is not of this log" }
      do throws(Halt) {
        let reason = try patiently { () throws(LogError) in
          [try source.refusal(of: snapshot, generations[place])]
        }
        return reason?.first ?? "this process ends"
      } catch {
        return "the log cannot be asked where it ended: \(error)"
      }
    }
    guard let found, let place, !stop.isSet else { return nil }
    let isWhole = feed.restore(found) { name, error in
      self.metrics.snapshot(.refused)
      self.logger.warning(
        "a learner's snapshot is of no use; it reads from where its memory begins",
        metadata: ["learner": "\(name)", "reason": "\(error)"])
    }
    metrics.snapshot(.restored)
    logger.info(
      "goes on from a snapshot of what was learned",
      metadata: [
        "learners": "\(found.learners.map(\.name))",
        "frames": "\(found.streams.reduce(0) { $0 + $1.sequence })",
        "reads": isWhole ? "what came since" : "from further back, for the other learners",
      ])
    return isWhole ? Resumption(index: place, streams: found.streams) : nil
  }

  /// Takes a snapshot where the last one is old enough.
  func keepWhereDue(_ index: Int) {
    guard let keeper, let snapshots, keeper.isFree else { return }
    guard keptAt.duration(to: .now) >= .milliseconds(snapshots.intervalMs) else { return }
    keep(index, keeper)
  }

  /// Takes the last one.
  func keepAtEnd() {
    guard let keeper else { return }
    if let index = generations.firstIndex(where: { $0.number == state.position.generation }) {
      keep(index, keeper)
    }
    keeper.end()
  }

  private func keep(_ index: Int, _ keeper: SnapshotKeeper) {
    let sequences = streams.map(\.sequence)
    // One that was stopped while it opened a generation's streams has not all of them.
    guard streams.count == generations[index].streams.count, sequences != keptSequences,
      feed.isLevel(streams)
    else { return }
    let begin = ContinuousClock.now
    keeper.save(
      SnapshotKeeper.Frozen(
        pipelineHash: source.spec.hash, generation: generations[index].number,
        streams: streams.map {
          FollowerSnapshot.Stream(
            sequence: $0.sequence, storedAt: $0.storedAt, logTime: $0.judge.logTime,
            judge: $0.handover())
        }, erasures: feed.erasures.all, learners: feed.freeze()))
    metrics.froze(in: begin.duration(to: .now))
    (keptAt, keptSequences) = (.now, sequences)
  }
}
