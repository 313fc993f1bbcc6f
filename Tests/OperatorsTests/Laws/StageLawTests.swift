import Dataflow
import Events
import Operators
import Oracles
import Testing
import Views

/// The laws over whole stages.
@Suite struct StageLawTests {
  @Test("Nothing is left in the state of a pipeline once everything has expired")
  func pipeline() throws {
    for seed in 1...60 as ClosedRange<UInt64> {
      var history = History(seed: seed, frameCount: 20)
      let last = history.frames.map(\.storedAt).max() ?? noon
      history.frames.append(.heartbeat(storedAt: last + 10 * day))
      let loop = TestLoop(history, seed: seed)
      try loop.read()
      loop.drainHot()
      loop.commit(includeCoarse: true)
      #expect(loop.pipeline.rowCount == 0 && loop.pipeline.tupleCount == 0, "seed \(seed)")
      #expect(loop.pipeline.earliestTimer == nil && loop.pipeline.pendingCount == 0)
      var fresh = TestLoop.pipeline(history.spec, loop.groups)
      #expect(loop.state().count == fresh.snapshot(.everything).count, "seed \(seed)")
      #expect(loop.pipeline.drainHot().isEmpty)
    }
  }

  @Test(
    "Nothing is left in the state of either stage, of persons, links and trends either",
    arguments: Shape.allCases)
  func stages(shape: Shape) throws {
    for seed in 1...(shape == .mixed ? 40 : 2) as ClosedRange<UInt64> {
      let log = StageLog(shape, seed: seed, idle: 10 * day)
      var held: Set<String> = []
      var frames: [PartialFrame] = []
      for partition in 0..<log.partitions {
        var stage = log.firstStage(partition)
        for (index, entry) in log.entries[partition].enumerated() {
          try stage.take(entry, sequence: UInt64(index + 1))
          frames += stage.takeEmitted()
          held.formUnion(Self.held(stage))
        }
        _ = stage.drainHot()
        _ = stage.drainCommit(includeCoarse: true)
        var fresh = log.firstStage(partition)
        #expect(
          stage.snapshot(.everything).count == fresh.snapshot(.everything).count,
          "\(shape), seed \(seed)")
        #expect(stage.earliestTimer == nil && stage.tickEnd == nil, "\(shape), seed \(seed)")
      }
      var second = log.secondStage()
      for (index, frame) in frames.enumerated() {
        try second.take(frame, sequence: UInt64(index + 1), storedAt: log.end)
        held.formUnion(Self.held(second))
      }
      _ = second.drainHot()
      _ = second.drainCommit(includeCoarse: true)
      var fresh = log.secondStage()
      // How far each source has come, and how many there are.
      let lasting = IntakeStory.byteCount(sources: log.partitions)
      #expect(
        second.snapshot(.everything).count == fresh.snapshot(.everything).count + lasting,
        "\(shape), seed \(seed)")
      #expect(second.earliestTimer == nil, "\(shape), seed \(seed)")
      if log.steps.count > 60 {
        #expect(
          held == ["emitter", "persons", "links", "experiments", "trends"], "\(shape), seed \(seed)"
        )
      }
    }
  }

  /// The operators beyond the first two that hold something.
  private static func held(_ stage: borrowing Pipeline) -> Set<String> {
    Set(stage.stateSizes.filter { $0.size.keyCount > 0 }.map(\.operator))
      .subtracting(["dedupe", "windows"])
  }
}
