import Dataflow
import Logging
import Operators
import Ports

// From a stream that somebody else may own to a reader behind restored state.
extension PartitionLoop {
  func claim() throws(LoopExit) {
    do throws(ViewStoreError) {
      let claim = try environment.views.claim(stream, owner: environment.owner)
      epoch = claim.epoch
      committed = claim.checkpoint
      claimedAccounting = claim.accounting
    } catch {
      if case .full = error { note(.postgres, isFull: true) }
      throw LoopExit(error, spec)
    }
    note(.postgres, isFull: false)
    hotCopy.epoch = epoch
    claimedAt = environment.clock.monotonic()
    status.update { $0.epoch = epoch }
    environment.metrics.claimed(claimedAccounting)
    stage = .checking
  }

  func checkAndRestore() throws(LoopExit) {
    let firstFrame: UInt64
    do throws(LogError) {
      firstFrame = try checkFingerprint()
    } catch {
      throw LoopExit(error, spec)
    }
    let snapshots = environment.snapshots.restore(
      notAfter: committed.sequence, preferring: hotCopy.look(), firstFrame: firstFrame)
    let readAt = environment.clock.monotonic()
    let report: RestoreReport
    do throws(PipelineError) {
      report = try pipeline.restore(
        base: snapshots.base, increments: snapshots.increments, committed: committed,
        accounting: claimedAccounting)
    } catch {
      throw LoopExit(error, spec)
    }
    for finding in report.findings where committed.sequence > 0 {
      environment.logger.warning("snapshot not used", metadata: ["finding": "\(finding)"])
      environment.metrics.snapshotRejected()
    }
    lastSnapshot = environment.clock.monotonic()
    environment.logger.info(
      "partition taken over",
      metadata: [
        "epoch": "\(epoch)", "committed": "\(committed.sequence)",
        "replay_after": "\(report.replayAfter)", "since_start_ms": "\(sinceStartMs)",
        "read_ms": "\((readAt - claimedAt) / 1000)",
        "restore_ms": "\((lastSnapshot - readAt) / 1000)",
      ])
    let predecessor =
      stream.role == .events ? environment.generations.predecessor(of: stream.generation) : nil
    if predecessor != nil { environment.snapshots.begins(with: .inherited([])) }
    if report.replayAfter == 0, let earlier = predecessor {
      stage = .inheriting(
        Inheritance(
          spec: spec, groups: groups, earlier: earlier, generations: environment.generations,
          log: environment.log, views: environment.views,
          snapshots: environment.earlierSnapshots))
    } else {
      stage = .opening(after: report.replayAfter)
    }
  }

  /// Without what earlier streams know of its persons this one would count copies of their events.
  func inherit(_ inheritance: Inheritance) throws(LoopExit) {
    switch try inheritance.step() {
    case .again: break
    case .state(let base):
      let problem: SnapshotFormatError?
      do throws(PipelineError) {
        problem = try pipeline.adopt(base: base)
        inherited.append(base)
      } catch {
        throw LoopExit(error, spec)
      }
      if let problem {
        throw .halted("state of an earlier stream cannot be taken over: \(problem)")
      }
    case .done:
      hasInherited = true
      environment.snapshots.begins(with: .inherited(inherited))
      inherited = []
      // The first frame of a new stream, so that its log time is known though nobody sends events.
      environment.heartbeats.write(stream)
      environment.logger.info("persons of the generation before are taken over")
      stage = .opening(after: 0)
    }
  }

  /// A log whose frame at the committed sequence is not the one that was committed went back in
  /// time: its sequences mean other events now, and counting on would be silently wrong.
  ///
  /// - Returns: the first frame that can be read.
  private func checkFingerprint() throws(LogError) -> UInt64 {
    guard committed.sequence > 0 else { return 1 }
    let bounds = try environment.log.bounds(stream: stream.stream)
    if bounds.last < committed.sequence {
      throw .wentBack(stream: stream.stream, wanted: committed.sequence, last: bounds.last)
    }
    if bounds.first > committed.sequence { return bounds.first }
    let frame = try environment.log.frame(stream: stream.stream, sequence: committed.sequence)
    let stored = Checkpoint.Fingerprint(
      checksum: Self.checksum(frame.bytes), storedAt: frame.storedAt)
    guard stored == committed.fingerprint else {
      throw .wentBack(stream: stream.stream, wanted: committed.sequence, last: bounds.last)
    }
    return bounds.first
  }

  /// What was committed before the start is in state again.
  func goLive() {
    let seconds = environment.clock.monotonic() - (replayStarted ?? 0)
    if replayStarted != nil { environment.metrics.replayed(durationMicros: seconds) }
    replayStarted = nil
    if committed.sequence > 0 { delayFirstCommit() }
    environment.logger.info(
      "partition is live",
      metadata: ["replay_ms": "\(seconds / 1000)", "since_start_ms": "\(sinceStartMs)"])
    set(.live, "")
  }

  /// What came while nobody owned the stream is committed in one go, and not its first frame alone, with
  /// the rest a commit's interval later; hour and day rows come at their time.
  private func delayFirstCommit() {
    let now = environment.clock.monotonic()
    lastCommit = now - commitInterval + Self.catchUpTime
    lastCoarse = now
  }

  /// So long frames of a stream that was taken over are read before the first commit, microseconds.
  private static let catchUpTime: Int64 = 50_000

  func open(after: UInt64) throws(LoopExit) {
    do throws(LogError) {
      stage = .reading(try environment.log.reader(stream: stream.stream, after: after))
    } catch {
      throw LoopExit(error, spec)
    }
    hotCopy.begin(&pipeline)
    replayStarted = environment.clock.monotonic()
    if pipeline.isSilent {
      set(.replaying, "")
    } else {
      goLive()
    }
  }
}
