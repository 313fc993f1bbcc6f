import Dataflow
import Events
import Operators
import Testing
import Views

@Suite struct RestoreTests {
  /// A base of 8 frames, increments of 4 each, everything committed.
  private func saved(_ history: History) throws -> TestLoop {
    let loop = TestLoop(history, seed: 0)
    try loop.read(8)
    loop.saveBase()
    while loop.pipeline.position < 20 {
      try loop.read(4)
      loop.save()
    }
    loop.commit(includeCoarse: true)
    return loop
  }

  private func history() -> History {
    var history = History(seed: 4, frameCount: 20)
    history.spec.dedupeHorizon = day
    return history
  }

  /// Restores what is left of the chain, and expects to come to the same state in the end.
  private func expect(
    _ findings: [RestoreReport.Finding], replayAfter: UInt64, _ damage: (TestLoop) -> Void
  ) throws {
    let loop = try saved(history())
    let state = loop.state()
    damage(loop)
    try loop.crash()
    #expect(loop.lastReport == RestoreReport(replayAfter: replayAfter, findings: findings))
    #expect((loop.state() == state) == true)
  }

  @Test("With everything saved nothing is read again")
  func complete() throws { try expect([], replayAfter: 20) { _ in } }

  @Test("Without a snapshot everything is replayed in silence, and comes out as committed")
  func nothing() throws { try expect([.missing], replayAfter: 0) { $0.chain = [] } }

  @Test("A chain is used up to an increment that is torn")
  func torn() throws {
    let error = SnapshotFormatError.tooShort(needed: 32, available: 20)
    try expect([.incrementUnusable(after: 12, error)], replayAfter: 12) {
      $0.chain[2].bytes.removeLast($0.chain[2].bytes.count - 20)
    }
  }

  @Test("A chain is used up to an increment that is corrupt")
  func corrupt() throws {
    try expect([.incrementUnusable(after: 16, .wrongChecksum(section: 16))], replayAfter: 16) {
      // The first byte behind the headers of file, head and ids.
      let head = $0.chain[3].bytes[40..<48].reversed().reduce(0) { $0 << 8 | Int($1) }
      $0.chain[3].bytes[32 + 16 + head + 16] ^= 1
    }
  }

  @Test("A chain is used up to an increment that is missing")
  func gap() throws {
    try expect([.gap(from: 16, position: 12)], replayAfter: 12) { $0.chain.remove(at: 2) }
  }

  @Test("Increments without their base are not used")
  func baseLost() throws {
    try expect([.gap(from: 8, position: 0)], replayAfter: 0) { $0.chain.remove(at: 0) }
  }

  @Test("A base that is corrupt is not used, nor what is after it")
  func baseCorrupt() throws {
    try expect([.baseUnusable(.wrongChecksum(section: 0))], replayAfter: 0) {
      $0.chain[0].bytes[20] ^= 1
    }
  }

  @Test("Increments past the committed sequence are not used")
  func ahead() throws {
    let loop = TestLoop(history(), seed: 0)
    try loop.read(10)
    loop.save()
    loop.commit(includeCoarse: true)
    try loop.read(10)
    loop.save()
    try loop.crash()
    #expect(loop.lastReport.findings == [.ahead(sequence: 20, committed: 10)])
    #expect(loop.pipeline.position == 10 && !loop.pipeline.isSilent)
  }

  @Test("A partition takes its key groups out of the bases of others")
  func adopted() throws {
    var history = history()
    history.spec.dedupeHorizon = 10_000 * day
    let whole = TestLoop(history, seed: 0, groups: 0..<4)
    try whole.read()
    let base = whole.state()
    // Two partitions of two groups each take over, then one of four from these two.
    var halves: [[UInt8]] = []
    for groups in [0..<2, 2..<4] {
      var half = TestLoop.pipeline(history.spec, groups)
      #expect(try half.adopt(base: base) == nil)
      #expect(half.idCount > 0 && half.idCount < whole.pipeline.idCount && half.rowCount == 0)
      halves.append(half.snapshot(.everything))
    }
    var expected = TestLoop.pipeline(history.spec, 0..<4)
    for half in halves { #expect(try expected.adopt(base: half) == nil) }
    #expect(expected.idCount == whole.pipeline.idCount)
    #expect(try expected.adopt(base: Array(base.dropLast())) != nil)
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
      _ = try loop.restore(&pipeline)
    }
  }

  @Test("A snapshot of another stream or other key groups is not used")
  func otherStream() throws {
    let loop = try saved(history())
    var pipeline = Pipeline(spec: loop.history.spec, stream: TestLoop.stream, groups: 0..<5)
    let report = try loop.restore(&pipeline)
    guard case .baseUnusable(.malformed) = report.findings.first else {
      Issue.record("\(report)")
      return
    }
  }

  @Test("A replay that counts otherwise than was committed stops the pipeline")
  func diverged() throws {
    let loop = try saved(history())
    loop.chain = []
    loop.views.accounting.onTime += 1
    loop.views.accounting.received += 1
    #expect(throws: PipelineError.self) { try loop.crash() }
    // The same where the sequence is stepped over because frames were purged.
    var pipeline = TestLoop.pipeline(loop.history.spec, loop.groups)
    _ = try loop.restore(&pipeline)
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
