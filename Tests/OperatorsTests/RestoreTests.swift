import Dataflow
import Events
import Operators
import Testing
import Views

@Suite struct RestoreTests {
  private func saved(_ history: History) throws -> TestLoop {
    let loop = TestLoop(history, seed: 0)
    try loop.read()
    loop.commit(includeCoarse: true)
    loop.groups.forEach { loop.saveGroup($0) }
    loop.saveHead()
    return loop
  }

  private func history() -> History {
    var history = History(seed: 4, frameCount: 20)
    history.spec.dedupeHorizon = day
    return history
  }

  @Test("With everything saved nothing is read again")
  func complete() throws {
    let loop = try saved(history())
    try loop.crash()
    #expect(loop.lastReport == RestoreReport(replayAfter: 20, headSequence: 20, findings: []))
  }

  @Test("Without a snapshot everything is replayed in silence, and comes out as committed")
  func nothing() throws {
    let loop = try saved(history())
    let state = loop.state()
    loop.head = nil
    try loop.crash()
    #expect(loop.lastReport.findings == [.headMissing] && loop.lastReport.replayAfter == 0)
    #expect((loop.state() == state) == true)
  }

  @Test("A group that is missing is collected again from the beginning")
  func group() throws {
    let loop = try saved(history())
    let state = loop.state()
    loop.groupBlobs[2] = nil
    try loop.crash()
    #expect(loop.lastReport.findings == [.groupMissing(group: 2)])
    #expect(loop.lastReport.replayAfter == 0 && loop.lastReport.headSequence == 20)
    #expect((loop.state() == state) == true)
  }

  @Test("A head past the committed sequence is not used")
  func ahead() throws {
    let loop = try saved(history())
    loop.views = MemoryViews()
    try loop.crash()
    #expect(loop.lastReport.findings == [.headAhead(sequence: 20, committed: 0)])
    #expect(loop.pipeline.position == 0 && !loop.pipeline.isSilent)
  }

  @Test("A group newer than the head is not used")
  func newerGroup() throws {
    let history = history()
    let loop = TestLoop(history, seed: 0)
    try loop.read(10)
    loop.commit(includeCoarse: true)
    loop.saveHead()
    try loop.read(5)
    loop.commit(includeCoarse: true)
    let blob = loop.pipeline.snapshotGroup(1)
    var pipeline = TestLoop.pipeline(history.spec, loop.groups)
    let report = try pipeline.restore(
      head: loop.head, group: { $0 == 1 ? blob : nil }, committed: loop.views.checkpoint,
      accounting: loop.views.accounting)
    #expect(report.findings.contains(.groupAhead(group: 1, sequence: 15, head: 10)))
    #expect(report.replayAfter == 0)
  }

  @Test("A snapshot of another declaration is refused")
  func otherPipeline() throws {
    let loop = try saved(history())
    var spec = loop.history.spec
    spec.windowGrace += second
    var pipeline = TestLoop.pipeline(spec, loop.groups)
    #expect(
      throws: PipelineError.otherPipeline(stored: loop.history.spec.hash, declared: spec.hash)
    ) {
      _ = try pipeline.restore(
        head: loop.head, group: { loop.groupBlobs[$0]?.last?.bytes },
        committed: loop.views.checkpoint, accounting: loop.views.accounting)
    }
  }

  @Test("A snapshot of another stream or other key groups is not used")
  func otherStream() throws {
    let loop = try saved(history())
    var pipeline = Pipeline(spec: loop.history.spec, stream: TestLoop.stream, groups: 0..<5)
    let report = try pipeline.restore(
      head: loop.head, group: { loop.groupBlobs[$0]?.last?.bytes },
      committed: loop.views.checkpoint, accounting: loop.views.accounting)
    guard case .headUnusable(.malformed) = report.findings.first else {
      Issue.record("\(report)")
      return
    }
  }

  @Test("A replay that counts otherwise than was committed stops the pipeline")
  func diverged() throws {
    let loop = try saved(history())
    loop.head = nil
    loop.views.accounting.onTime += 1
    loop.views.accounting.received += 1
    #expect(throws: PipelineError.self) { try loop.crash() }
    // The same where the sequence is stepped over because frames were purged.
    var pipeline = TestLoop.pipeline(loop.history.spec, loop.groups)
    _ = try pipeline.restore(
      head: nil, group: { _ in nil }, committed: loop.views.checkpoint,
      accounting: loop.views.accounting)
    #expect(throws: PipelineError.self) { try pipeline.skip(sequence: 21, storedAt: noon) }
  }

  @Test("A frame that is not after the one before is refused")
  func order() throws {
    var pipeline = TestLoop.pipeline(history().spec, 0..<1)
    try pipeline.skip(sequence: 5, storedAt: noon)
    #expect(throws: PipelineError.outOfOrder(sequence: 5, position: 5)) {
      try pipeline.skip(sequence: 5, storedAt: noon)
    }
  }

  @Test("Key groups are shared out among partitions without gaps")
  func keyGroups() {
    for partitions in [1, 2, 3, 4, 7, 16, 100, 256] {
      for partition in 0..<partitions {
        let groups = KeyGroup.groups(of: partition, partitions: partitions)
        for group in 0..<KeyGroup.count {
          #expect(
            groups.contains(group)
              == (KeyGroup.partition(of: group, partitions: partitions) == partition))
        }
      }
    }
    #expect(KeyGroup.groups(of: -1, partitions: 4).isEmpty)
  }
}
