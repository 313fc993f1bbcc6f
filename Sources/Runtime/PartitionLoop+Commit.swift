import Dataflow
import Logging
import Ports

// Committing and snapshots: what a loop writes beside the hot copy.
extension PartitionLoop {
  var commitInterval: Int64 {
    let parameters = environment.parameters
    return min(
      Int64(parameters.commitIntervalMsMax) * 1000,
      max(Int64(parameters.commitIntervalMs) * 1000, commitDuration * Int64(parameters.sinkShare)))
  }

  /// Under backlog commits fall due inside of batches, so that is where snapshots are taken too.
  func commitIfDue() throws(LoopExit) {
    guard isCommitDue(environment.clock.monotonic()) else { return }
    try commitAndSnapshot()
  }

  func commitAndSnapshot() throws(LoopExit) {
    try commit()
    takeSnapshot()
  }

  private func isCommitDue(_ now: Int64) -> Bool {
    if pipeline.position > committed.sequence {
      return now - lastCommit >= commitInterval
        || pipeline.pendingCount > environment.parameters.pendingCountMax
    }
    // A stream that went quiet still owes the hour and day rows of its last frames.
    return committed.coarseSequence < committed.sequence && isCoarseDue(now)
  }

  private func isCoarseDue(_ now: Int64) -> Bool {
    now - lastCoarse >= Int64(environment.parameters.coarseIntervalMs) * 1000
  }

  private func commit() throws(LoopExit) {
    let started = environment.clock.monotonic()
    // What was drained and not committed goes first: corrections are handed out once.
    let batch = uncommitted ?? pipeline.drainCommit(includeCoarse: isCoarseDue(started))
    uncommitted = batch
    try settlePartials()
    do throws(ViewStoreError) {
      try environment.views.commit(
        batch, stream: stream, epoch: epoch, previous: committed.sequence)
    } catch {
      environment.metrics.commitFailed()
      throw LoopExit(error, spec)
    }
    noteReached()
    uncommitted = nil
    committed = batch.checkpoint
    lastCommit = environment.clock.monotonic()
    commitDuration = lastCommit - started
    if committed.coarseSequence == committed.sequence { lastCoarse = started }
    environment.metrics.committed(batch, durationMicros: commitDuration)
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

  /// Commits what is processed, so that the next start has nothing to replay.
  func finish() {
    guard epoch > 0, !pipeline.isSilent, case .reading = stage else { return }
    do throws(LoopExit) {
      if uncommitted != nil || pipeline.position > committed.sequence { try commit() }
      takeSnapshot(everything: true)
    } catch {
      environment.logger.warning(
        "last commit left to the next start", metadata: ["reason": "\(error)"])
    }
  }

  /// Only right after a commit, so that a snapshot is never ahead of the checkpoint.
  private func takeSnapshot(everything: Bool = false) {
    let now = environment.clock.monotonic()
    let interval = Int64(environment.parameters.snapshotIntervalMs) * 1000
    guard everything || now - lastSnapshot >= interval else { return }
    guard uncommitted == nil, pipeline.position == committed.sequence,
      pipeline.position > snapshotSequence, !environment.snapshots.isWriting
    else { return }
    lastSnapshot = now
    var sections: [(group: Int, bytes: [UInt8])] = []
    var byteCount = 0
    for _ in groups {
      if byteCount > environment.parameters.snapshotBytesMax && !everything { break }
      let group = groups.lowerBound + nextSnapshotGroup
      nextSnapshotGroup = (nextSnapshotGroup + 1) % groups.count
      let bytes = pipeline.snapshotGroup(group)
      byteCount += bytes.count
      sections.append((group, bytes))
    }
    sections.append((SnapshotFile.head, pipeline.snapshotHead()))
    snapshotSequence = pipeline.position
    let written = byteCount
    let metrics = environment.metrics
    let logger = environment.logger
    metrics.snapshotTaken(durationMicros: environment.clock.monotonic() - now)
    environment.snapshots.write(
      SnapshotFile(sequence: pipeline.position, sections: sections)
    ) { failure in
      guard let failure else { return metrics.snapshotWritten(bytes: written) }
      metrics.snapshotFailed()
      logger.error("snapshot not written", metadata: ["error": "\(failure)"])
    }
  }
}
