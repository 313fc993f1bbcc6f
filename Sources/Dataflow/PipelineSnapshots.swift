import Events
public import Operators
public import Views

// Snapshots of a pipeline form a chain: a base with everything at one frame, or nothing at frame 0,
// then increments, each with what the frames after the one before it have changed:
//
//     base 0 … 500 │ 500 … 730 │ 730 … 910 │          an increment costs what has changed,
//     └─ everything └─ changes  └─ changes             a base costs all of the state
//
// The pipeline that processes makes increments only. Bases are made elsewhere, by ``compact``, of a
// chain. What a chain gives depends on frames alone, so links of different origin may be mixed.
extension Pipeline {
  private static var sectionID: UInt16 { 1 }
  private static var sectionVersion: UInt16 { 2 }

  /// About how many bytes the next increment would be.
  public var changeByteCount: Int {
    var count = deduplicator.changeByteCount + windows.changeByteCount
    switch emitter {
    case .some(let emitter): count += emitter.changeByteCount
    case .none: break
    }
    switch persons {
    case .some(let persons): count += persons.changeByteCount
    case .none: break
    }
    switch links {
    case .some(let links): count += links.changeByteCount
    case .none: break
    }
    switch intake {
    case .some(let intake): count += intake.changeByteCount
    case .none: break
    }
    switch experiments {
    case .some(let experiments): count += experiments.changeByteCount
    case .none: break
    }
    switch trends {
    case .some(let trends): count += trends.changeByteCount
    case .none: break
    }
    switch incidents {
    case .some(let incidents): count += incidents.changeByteCount
    case .none: break
    }
    return count
  }

  /// What each operator holds.
  public var stateSizes: [(operator: String, size: StateSize)] {
    var sizes = [
      (operator: Deduplicator.name, size: deduplicator.stateSize),
      (operator: WindowAggregator.name, size: windows.stateSize),
    ]
    switch emitter {
    case .some(let emitter): sizes.append((PartialEmitter.name, emitter.stateSize))
    case .none: break
    }
    switch intake {
    case .some(let intake): sizes.append((PartialIntake.name, intake.stateSize))
    case .none: break
    }
    switch persons {
    case .some(let persons): sizes.append((PersonHistories.name, persons.stateSize))
    case .none: break
    }
    switch links {
    case .some(let links): sizes.append((IdentityLinks.name, links.stateSize))
    case .none: break
    }
    switch experiments {
    case .some(let experiments): sizes.append((ExperimentWindows.name, experiments.stateSize))
    case .none: break
    }
    switch trends {
    case .some(let trends): sizes.append((HoppingWindows.name, trends.stateSize))
    case .none: break
    }
    switch incidents {
    case .some(let incidents): sizes.append((IncidentWatch.name, incidents.stateSize))
    case .none: break
    }
    return sizes
  }

  /// What limits have cost since the beginning of the log: what an operator did not keep, counted for
  /// `(other)`, or got too late.
  public var limitCounts: [LimitCount] {
    var counts = [LimitCount(WindowAggregator.name, "overflowed", windows.overflowed)]
    switch persons {
    case .some(let persons):
      counts.append(LimitCount(PersonHistories.name, "untracked", persons.untracked))
      counts.append(LimitCount(PersonHistories.name, "refused_unions", persons.refusedUnions))
      counts.append(
        LimitCount(PersonHistories.name, "forgotten_exposures", persons.forgottenExposures))
    case .none: break
    }
    switch links {
    case .some(let links): counts.append(LimitCount(IdentityLinks.name, "refused", links.refused))
    case .none: break
    }
    switch experiments {
    case .some(let experiments):
      counts.append(LimitCount(ExperimentWindows.name, "overflowed", experiments.overflowed))
    case .none: break
    }
    switch trends {
    case .some(let trends):
      counts.append(LimitCount(HoppingWindows.name, "too_late", trends.tooLate))
      counts.append(LimitCount(HoppingWindows.name, "overflowed", trends.overflowed))
    case .none: break
    }
    switch incidents {
    case .some(let incidents):
      counts += [
        LimitCount(IncidentWatch.name, "too_late", incidents.late),
        LimitCount(IncidentWatch.name, "overflowed", incidents.overflowed),
        LimitCount(IncidentWatch.name, "untracked", incidents.unwatched),
        LimitCount(IncidentWatch.name, "refused", incidents.refused),
        LimitCount(IncidentWatch.name, "unknown", incidents.unknownFeedback),
      ]
    case .none: break
    }
    return counts
  }

  /// What all of state follows from, beside the declaration: the frames that were read.
  public var mark: PipelineMark {
    PipelineMark(sequence: position, fingerprint: fingerprint, accounting: accounting)
  }

  /// Forgets what has changed: the next increment starts here, and whatever is stored does not lead up
  /// to it. Costs no more than what has changed.
  public mutating func forgetChanges() {
    deduplicator.forgetChanges()
    windows.forgetChanges()
    persons?.forgetChanges()
    links?.forgetChanges()
    intake?.forgetChanges()
    experiments?.forgetChanges()
    trends?.forgetChanges()
    incidents?.forgetChanges()
    snapshotPosition = position
  }

  /// Everything at ``position``, or what has changed since ``snapshotPosition``, which then moves to
  /// ``position``.
  public mutating func snapshot(_ scope: SnapshotScope) -> [UInt8] {
    var writer = SnapshotWriter(
      kind: scope == .everything ? .base : .increment, pipelineHash: pipelineHash)
    writer.begin(section: Self.sectionID, version: Self.sectionVersion)
    writer.put(text: stream.stream)
    writer.put(stream.generation)
    writer.put(Int32(truncatingIfNeeded: stream.partition))
    writer.put(UInt16(groups.lowerBound))
    writer.put(UInt16(groups.upperBound))
    writer.put(scope == .everything ? 0 : snapshotPosition)
    writer.put(position)
    writer.put(logTime)
    for value in accounting.values { writer.put(value) }
    writer.put(fingerprint.checksum)
    writer.put(fingerprint.storedAt)
    writer.end()
    deduplicator.snapshot(scope, into: &writer)
    windows.snapshot(scope, into: &writer)
    emitter?.snapshot(into: &writer)
    persons?.snapshot(isComplete: scope == .everything, into: &writer)
    links?.snapshot(isComplete: scope == .everything, into: &writer)
    intake?.snapshot(isComplete: scope == .everything, into: &writer)
    experiments?.snapshot(scope, into: &writer)
    trends?.snapshot(isComplete: scope == .everything, into: &writer)
    incidents?.snapshot(isComplete: scope == .everything, into: &writer)
    snapshotPosition = position
    return writer.finish()
  }

  /// Starts from what was committed and from a chain of snapshots.
  ///
  /// Whatever the snapshots are, the result after replay is the same; they only decide how much of
  /// the log must be read. Call it once, before the first frame; read on after
  /// ``RestoreReport/replayAfter``.
  ///
  /// - Parameters:
  ///   - base: nil where the increments start at frame 0.
  ///   - increments: in order; as many of them are used as can be.
  ///   - committed: the read model's checkpoint.
  ///   - accounting: the read model's accounting at `committed`.
  /// - Throws: `otherPipeline` if a snapshot's declaration is another one, `diverged` if the chain
  ///   ends at the committed sequence and does not agree with it.
  public mutating func restore(
    base: [UInt8]?, increments: [[UInt8]], committed: Checkpoint, accounting: Accounting
  ) throws(PipelineError) -> RestoreReport {
    precondition(position == 0, "a pipeline is restored before its first frame")
    var findings: [RestoreReport.Finding] = []
    var links = (base.map { [$0] } ?? []) + increments
    if links.isEmpty && committed.sequence > 0 { findings.append(.missing) }
    self.committed = committed
    committedAccounting = accounting
    var isWhole = false
    while !isWhole {
      isWhole = true
      for (index, link) in links.enumerated() {
        let isBase = index == 0 && base != nil
        guard let finding = try restore(link, isBase: isBase, notAfter: committed.sequence) else {
          forgetCommitted()
          continue
        }
        findings.append(finding)
        // State may hold half of the link: once more without it.
        links.removeLast(links.count - index)
        reset()
        isWhole = false
        break
      }
    }
    coarseSequence = committed.coarseSequence
    if position == committed.sequence && position > 0 {
      try checkReplay()
      trends?.forgetCommitted()
    }
    return RestoreReport(replayAfter: position, findings: findings)
  }

  /// A base with what a chain gives: the same bytes as ``snapshot(_:)`` with everything gives at the
  /// chain's last frame.
  ///
  /// - Returns: nil where the chain cannot be read whole.
  public static func compact(
    spec: PipelineSpec, stream: StreamPartition, groups: Range<Int>, partitions: Int = 1,
    base: [UInt8]?, increments: [[UInt8]]
  ) throws(PipelineError) -> [UInt8]? {
    var pipeline = Pipeline(spec: spec, stream: stream, groups: groups, partitions: partitions)
    guard try pipeline.resume(base: base, increments: increments) else { return nil }
    return pipeline.snapshot(.everything)
  }

  /// Starts from a chain of snapshots as if nothing had been committed: everything after it is handed
  /// out. Call it once, before the first frame; read on after ``position``.
  ///
  /// - Returns: false where the chain cannot be read whole, after which this pipeline is to be thrown
  ///   away.
  public mutating func resume(
    base: [UInt8]?, increments: [[UInt8]]
  ) throws(PipelineError) -> Bool {
    precondition(position == 0, "a pipeline is restored before its first frame")
    if let base, try restore(base, isBase: true, notAfter: .max) != nil { return false }
    for increment in increments
    where try restore(increment, isBase: false, notAfter: .max) != nil { return false }
    return true
  }

  /// Takes over the state of persons in this pipeline's key groups out of the base of another stream,
  /// such as one of another number of partitions; the rest of it is passed over.
  ///
  /// - Returns: why nothing could be taken over, after which this pipeline is to be thrown away.
  public mutating func adopt(base: [UInt8]) throws(PipelineError) -> SnapshotFormatError? {
    do throws(SnapshotFormatError) {
      var reader = try SnapshotReader(base, pipelineHash: pipelineHash)
      guard reader.kind == .base else { throw .wrongKind(reader.kind.rawValue) }
      try reader.open(section: Self.sectionID, version: Self.sectionVersion)
      _ = try reader.getText()
      _ = try reader.get(byteCount: 8)
      let first = Int(try reader.get(UInt16.self))
      let end = Int(try reader.get(UInt16.self))
      reader.leave()
      // Of groups that the base does not hold nothing is known: what is here of them stays.
      let kept = groups.clamped(to: first..<max(first, end))
      try deduplicator.restore(from: &reader, keeping: kept)
      try windows.skip(in: &reader)
      try emitter?.skip(in: &reader)
      try persons?.restore(from: &reader, keeping: kept)
      try links?.restore(from: &reader, keeping: kept)
      return nil
    } catch {
      try refuse(error)
      return error
    }
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
    snapshotPosition = 0
    logTime = .min
  }

  /// - Returns: why the link cannot be used; state is then to be reset.
  private mutating func restore(
    _ link: [UInt8], isBase: Bool, notAfter committed: UInt64
  ) throws(PipelineError) -> RestoreReport.Finding? {
    do throws(SnapshotFormatError) {
      var reader = try SnapshotReader(link, pipelineHash: pipelineHash)
      let kind: SnapshotKind = isBase ? .base : .increment
      guard reader.kind == kind else { throw .wrongKind(reader.kind.rawValue) }
      let range = try readHead(&reader)
      if range.to > committed { return .ahead(sequence: range.to, committed: committed) }
      if range.from != position { return .gap(from: range.from, position: position) }
      try deduplicator.restore(from: &reader, keeping: groups)
      try windows.restore(from: &reader, keeping: groups)
      try emitter?.restore(from: &reader)
      try persons?.restore(from: &reader, keeping: groups)
      try links?.restore(from: &reader, keeping: groups)
      try intake?.restore(from: &reader)
      try experiments?.restore(from: &reader, keeping: groups)
      try trends?.restore(from: &reader)
      try incidents?.restore(from: &reader)
      try reader.finish()
      guard windows.logTime == logTime, windows.watermark == watermark, accounting.isConserved
      else {
        throw .malformed(section: Self.sectionID, "its times or counts contradict each other")
      }
      position = range.to
      eventsAt = logTime
      snapshotPosition = range.to
      return nil
    } catch {
      try refuse(error)
      return isBase ? .baseUnusable(error) : .incrementUnusable(after: position, error)
    }
  }

  private mutating func readHead(
    _ reader: inout SnapshotReader
  ) throws(SnapshotFormatError) -> (from: UInt64, to: UInt64) {
    try reader.open(section: Self.sectionID, version: Self.sectionVersion)
    guard try reader.getText() == stream.stream, try reader.get(UInt32.self) == stream.generation,
      try reader.get(Int32.self) == Int32(truncatingIfNeeded: stream.partition),
      try reader.get(UInt16.self) == UInt16(groups.lowerBound),
      try reader.get(UInt16.self) == UInt16(groups.upperBound)
    else { throw reader.malformed("it belongs to another stream, or to another number of them") }
    let from = try reader.get(UInt64.self)
    let to = try reader.get(UInt64.self)
    logTime = try reader.get(Int64.self)
    guard logTime == .min || TimeRange.clamp(logTime) == logTime, from < to || from == 0 else {
      throw reader.malformed("it ends before it starts, or outside the years 1 to 9999")
    }
    for index in accounting.values.indices {
      accounting.values[index] = try reader.get(Int64.self)
    }
    fingerprint.checksum = try reader.get(UInt32.self)
    fingerprint.storedAt = try reader.get(Int64.self)
    try reader.close()
    return (from, to)
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
