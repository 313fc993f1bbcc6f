import Events
import Operators
public import Views

// Snapshots of a pipeline: one blob with everything but the ids (the head), and one per key group.
// Each is taken at its own position, so that they can be written one at a time:
//
//   * A head or group counts only if its position had been committed when it was written.
//   * A group's position is at most that of the head that it is restored with. A store therefore
//     keeps a group's earlier blob until a head at or past the newer one has been written.
extension Pipeline {
  private static var sectionID: UInt16 { 1 }
  private static var sectionVersion: UInt16 { 1 }

  /// Windows, tuples, accounting, time and position.
  public mutating func snapshotHead() -> [UInt8] {
    precondition(!isCatchingUp, "state between snapshots is not a snapshot")
    var writer = SnapshotWriter(kind: .head, pipelineHash: pipelineHash)
    begin(&writer)
    for value in accounting.values { writer.put(value) }
    writer.put(fingerprint.checksum)
    writer.put(fingerprint.storedAt)
    writer.end()
    windows.snapshot(part: 0, into: &writer)
    return writer.finish()
  }

  /// The ids of one of ``groups``, and the position.
  public mutating func snapshotGroup(_ group: Int) -> [UInt8] {
    precondition(!isCatchingUp, "state between snapshots is not a snapshot")
    precondition(groups.contains(group), "a partition saves its own groups")
    var writer = SnapshotWriter(kind: .group, pipelineHash: pipelineHash)
    begin(&writer)
    writer.end()
    deduplicator.snapshot(part: group, into: &writer)
    return writer.finish()
  }

  /// What both start with: which state it is, and of when.
  private func begin(_ writer: inout SnapshotWriter) {
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(text: stream.stream)
    writer.put(stream.generation)
    writer.put(Int32(truncatingIfNeeded: stream.partition))
    writer.put(UInt16(groups.lowerBound))
    writer.put(UInt16(groups.upperBound))
    writer.put(position)
    writer.put(logTime)
  }

  private func open(
    _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> (sequence: UInt64, logTime: Int64) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    guard try reader.getText() == stream.stream, try reader.get(UInt32.self) == stream.generation,
      try reader.get(Int32.self) == Int32(truncatingIfNeeded: stream.partition),
      try reader.get(UInt16.self) == UInt16(groups.lowerBound),
      try reader.get(UInt16.self) == UInt16(groups.upperBound)
    else { throw reader.malformed("it belongs to another stream, or to another number of them") }
    let sequence = try reader.get(UInt64.self)
    let logTime = try reader.get(Int64.self)
    guard logTime == .min || TimeRange.clamp(logTime) == logTime else {
      throw reader.malformed("log time lies outside the years 1 to 9999")
    }
    return (sequence, logTime)
  }

  /// Starts from what was committed and from the newest usable snapshots.
  ///
  /// Whatever the snapshots are, the result after replay is the same; they only decide how much of
  /// the log must be read. Call it once, before the first frame; read on after
  /// ``RestoreReport/replayAfter``.
  ///
  /// - Parameters:
  ///   - head: the bytes of the newest head; nil if there are none.
  ///   - group: gives the newest blob of a group that is not newer than the head.
  ///   - committed: the read model's checkpoint.
  ///   - accounting: the read model's accounting at `committed`.
  /// - Throws: `otherPipeline` if a snapshot's declaration is another one, `diverged` if the head is
  ///   of the committed sequence and does not agree with it.
  public mutating func restore(
    head: [UInt8]?, group: (Int) -> [UInt8]?, committed: Checkpoint, accounting: Accounting
  ) throws(PipelineError) -> RestoreReport {
    precondition(position == 0, "a pipeline is restored before its first frame")
    self.committed = committed
    committedAccounting = accounting
    coarseSequence = committed.coarseSequence
    var report = RestoreReport(replayAfter: 0, headSequence: 0, findings: [])
    if let head {
      do throws(SnapshotFormatError) {
        let sequence = try restoreHead(head)
        if sequence > committed.sequence {
          report.findings.append(
            .headAhead(sequence: sequence, committed: committed.sequence))
          reset()
        }
      } catch {
        try refuse(error)
        report.findings.append(.headUnusable(error))
        reset()
      }
    } else if committed.sequence > 0 {
      report.findings.append(.headMissing)
    }
    if headSequence > 0 { try restoreGroups(group, &report) }
    report.headSequence = headSequence
    report.replayAfter = position
    if position == committed.sequence && position == headSequence { try checkReplay() }
    return report
  }

  /// Another declaration's snapshot is not passed over: somebody mixed two pipelines up.
  private func refuse(_ error: SnapshotFormatError) throws(PipelineError) {
    if case .otherPipeline(let stored, let declared) = error {
      throw .otherPipeline(stored: stored, declared: declared)
    }
  }

  private mutating func reset() {
    windows = Self.windows(spec, stream)
    makeStage()
    deduplicator = Self.deduplicator(spec, groups)
    accounting = Accounting()
    fingerprint = Checkpoint.Fingerprint(checksum: 0, storedAt: 0)
    position = 0
    headSequence = 0
    logTime = .min
  }

  private mutating func restoreHead(_ head: [UInt8]) throws(SnapshotFormatError) -> UInt64 {
    var reader = try SnapshotReader(head, kind: .head, pipelineHash: pipelineHash)
    let (sequence, time) = try open(&reader)
    for index in accounting.values.indices {
      accounting.values[index] = try reader.get(Int64.self)
    }
    fingerprint.checksum = try reader.get(UInt32.self)
    fingerprint.storedAt = try reader.get(Int64.self)
    try reader.close()
    try windows.restore(part: 0, from: &reader)
    try reader.finish()
    guard windows.logTime == time, windows.watermark == watermark(at: time),
      accounting.isConserved
    else { throw .malformed(section: Self.sectionID, "its times or counts contradict each other") }
    position = sequence
    headSequence = sequence
    logTime = time
    return sequence
  }

  /// Restores the groups; the log is read again from the oldest of them on.
  private mutating func restoreGroups(
    _ blob: (Int) -> [UInt8]?, _ report: inout RestoreReport
  ) throws(PipelineError) {
    var start = (sequence: headSequence, logTime: logTime)
    for group in groups {
      var restored: (sequence: UInt64, logTime: Int64) = (0, .min)
      if let bytes = blob(group) {
        do throws(SnapshotFormatError) {
          restored = try restoreGroup(group, bytes, &report)
        } catch {
          try refuse(error)
          report.findings.append(.groupUnusable(group: group, error))
        }
      } else {
        report.findings.append(.groupMissing(group: group))
      }
      if restored.sequence == 0 { deduplicator.clear(part: group) }
      deduplicator.setRestored(part: group, sequence: restored.sequence)
      if restored.sequence < start.sequence { start = restored }
    }
    position = start.sequence
    logTime = start.logTime
  }

  private mutating func restoreGroup(
    _ group: Int, _ bytes: [UInt8], _ report: inout RestoreReport
  ) throws(SnapshotFormatError) -> (sequence: UInt64, logTime: Int64) {
    var reader = try SnapshotReader(bytes, kind: .group, pipelineHash: pipelineHash)
    let (sequence, time) = try open(&reader)
    try reader.close()
    guard sequence <= headSequence else {
      report.findings.append(
        .groupAhead(group: group, sequence: sequence, head: headSequence))
      return (0, .min)
    }
    try deduplicator.restore(part: group, from: &reader)
    try reader.finish()
    return (sequence, time)
  }
}

extension Accounting {
  /// Every counter, in the order of snapshots.
  var values: [Int64] {
    get { [received, onTime, late, tooLate, duplicate, rejected, clampedFuture] }
    set {
      precondition(newValue.count == 7, "there are seven counters")
      received = newValue[0]
      onTime = newValue[1]
      late = newValue[2]
      tooLate = newValue[3]
      duplicate = newValue[4]
      rejected = newValue[5]
      clampedFuture = newValue[6]
    }
  }
}
