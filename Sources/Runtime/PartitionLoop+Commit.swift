import Dataflow
import Logging
import Operators
import Ports

// Committing and snapshots: what a loop writes beside the hot copy.
extension PartitionLoop {
  var commitInterval: Int64 {
    let parameters = environment.parameters
    if isBehind { return Int64(parameters.commitIntervalMsMax) * 1000 }
    let hasTrends = stream.role == .partials && spec.trends != nil
    let shortestMs =
      hasTrends
      ? min(parameters.commitIntervalMs, parameters.trendCommitIntervalMs)
      : parameters.commitIntervalMs
    return min(
      Int64(parameters.commitIntervalMsMax) * 1000,
      max(Int64(shortestMs) * 1000, commitDuration * Int64(parameters.sinkShare)))
  }

  func commitIfDue() throws(LoopExit) {
    if isCommitDue(environment.clock.monotonic()) { try commit() }
  }

  private func isCommitDue(_ now: Int64) -> Bool {
    if pipeline.position > committed.sequence {
      return now - lastCommit >= commitInterval
        || pipeline.pendingCount > environment.parameters.pendingCountMax
        || environment.snapshots.waitsForCommit
    }
    // A stream that went quiet still owes the hour and day rows of its last frames.
    return committed.coarseSequence < committed.sequence && isCoarseDue(now)
  }

  private func isCoarseDue(_ now: Int64) -> Bool {
    now - lastCoarse >= Int64(environment.parameters.coarseIntervalMs) * 1000
  }

  func commit() throws(LoopExit) {
    let started = environment.clock.monotonic()
    // What was drained and not committed goes first: corrections are handed out once.
    let batch =
      uncommitted
      ?? pipeline.drainCommit(
        includeCoarse: pipeline.hasEnded || isCoarseDue(started))
    uncommitted = batch
    try settlePartials()
    do throws(ViewStoreError) {
      try environment.views.commit(
        batch, stream: stream, epoch: epoch, previous: committed.sequence)
    } catch {
      environment.metrics.commitFailed()
      if case .full = error { note(.postgres, isFull: true) }
      throw LoopExit(error, spec)
    }
    noteReached()
    note(.postgres, isFull: false)
    uncommitted = nil
    committed = batch.checkpoint
    environment.snapshots.release(upTo: committed.sequence)
    lastCommit = environment.clock.monotonic()
    commitDuration = lastCommit - started
    if committed.coarseSequence == committed.sequence { lastCoarse = started }
    environment.metrics.committed(batch, durationMicros: commitDuration)
    if commitDuration >= Self.longCommit { noteLong(batch) }
  }

  /// A stream that moves meanwhile, or whose process is killed, is without its rows for so long.
  private static let longCommit: Int64 = 500_000

  private func noteLong(_ batch: CommitBatch) {
    environment.logger.info(
      "commit took long",
      metadata: [
        "ms": "\(commitDuration / 1000)", "rows": "\(batch.rows.count)",
        "corrections": "\(batch.deltas.count)", "trends": "\(batch.trends.count)",
        "tuples": "\(batch.dimensions.count)",
      ])
  }

  /// Waits until everything that the batch's frames have handed on is durable: after the commit it
  /// would not be made again.
  private func settlePartials() throws(LoopExit) {
    for _ in 0..<4 {
      if sender?.isEmpty ?? true { return }
      sender?.poll(timeoutMs: Self.retryIntervalMs)
    }
    if sender?.isEmpty ?? true { return }
    throw .waiting(partialsReason)
  }

  /// At the end of a sealed stream: commits everything, closes what is open, and ends for good.
  func finishAtEnd() throws(LoopExit) {
    guard fetched.isEmpty, !pipeline.isSilent, let end = environment.generations.end(of: stream),
      pipeline.position >= end
    else { return }
    if committed.isFinished { throw .finished }
    if !pipeline.hasEnded {
      if pipeline.position > committed.sequence { try commit() }
      takeSnapshot()
      pipeline.end()
      sender?.send(pipeline.takeEmitted())
    }
    try commit()
    throw .finished
  }

  /// Commits what is processed, so that the next start has nothing to replay, and brings the hot copy up
  /// to it: a copy that is behind what is restored is no use to the next owner, who would write every row.
  func finish() {
    guard epoch > 0, !pipeline.isSilent, case .reading(let reader) = stage else { return }
    do throws(LoopExit) {
      if uncommitted != nil || pipeline.position > committed.sequence { try commit() }
      if stream.role != .deadLetters, pipeline.position > hotCopy.sequence {
        try updateHotCopy(reader)
      }
      takeSnapshot()
    } catch {
      environment.logger.warning(
        "last commit left to the next start", metadata: ["reason": "\(error)"])
    }
  }

  /// Takes what has changed between two frames, during silent replay too, when it is much or was taken
  /// long ago. It may be ahead of the checkpoint; then it is kept in memory until that has passed it.
  ///
  /// What would take too long, or cannot be kept, is left out: processing never stops for longer than a
  /// bounded increment takes, however large state is and however long its store was away. Replay is not
  /// held to that, because nobody waits for single frames of it.
  func takeSnapshotIfDue() {
    guard pipeline.position > pipeline.snapshotPosition else { return }
    let parameters = environment.parameters
    guard environment.snapshots.canTake else {
      if !pipeline.isSilent, pipeline.changeByteCount >= parameters.snapshotPauseBytesMax {
        leaveOut()
      }
      return
    }
    let now = environment.clock.monotonic()
    let isDue = now - lastSnapshot >= Int64(parameters.snapshotIntervalMs) * 1000
    let byteCount = pipeline.changeByteCount
    guard isDue || byteCount >= parameters.snapshotBytesMax else { return }
    let isFirst = hasInherited && pipeline.snapshotPosition == 0
    let isTooMuch = !pipeline.isSilent && byteCount > parameters.snapshotPauseBytesMax
    if !environment.snapshots.needsBase && (isFirst || isTooMuch) {
      leaveOut()
    } else {
      takeSnapshot()
    }
  }

  /// Where nothing is committed any more, what could not be written, or made a base of, is tried again
  /// all the same.
  func releaseIfQuiet() {
    let now = environment.clock.monotonic()
    guard now - max(lastCommit, lastRelease) >= Self.releaseInterval else { return }
    lastRelease = now
    environment.snapshots.release(upTo: committed.sequence)
  }

  /// Microseconds.
  private static let releaseInterval: Int64 = 500_000

  /// The next increment starts here; the archive makes a base of the log that leads up to it.
  private func leaveOut() {
    let started = environment.clock.monotonic()
    let byteCount = pipeline.changeByteCount
    pipeline.forgetChanges()
    lastSnapshot = environment.clock.monotonic()
    environment.metrics.snapshotLeftOut(durationMicros: lastSnapshot - started)
    environment.snapshots.leaveOut(upTo: pipeline.mark, takenAt: environment.clock.wall())
    environment.snapshots.release(upTo: committed.sequence)
    environment.logger.notice(
      "changes of state are not saved one by one: a snapshot of everything is made of the log",
      metadata: ["position": "\(pipeline.position)", "bytes": "\(byteCount)"])
  }

  private func takeSnapshot() {
    guard pipeline.position > pipeline.snapshotPosition else { return }
    let started = environment.clock.monotonic()
    // Increments that nothing stored goes before are worth nothing.
    let isBase =
      environment.snapshots.needsBase || hasInherited && pipeline.snapshotPosition == 0
    let name =
      isBase
      ? SnapshotName.base(pipeline.position)
      : .increment(from: pipeline.snapshotPosition, to: pipeline.position)
    let bytes = pipeline.snapshot(isBase ? .everything : .changes)
    lastSnapshot = environment.clock.monotonic()
    environment.metrics.snapshotTaken(
      bytes: bytes.count, durationMicros: lastSnapshot - started)
    environment.snapshots.add(
      name, bytes, mark: pipeline.mark, takenAt: environment.clock.wall())
    environment.snapshots.release(upTo: committed.sequence)
  }
}
