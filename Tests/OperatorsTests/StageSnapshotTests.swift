import Dataflow
import Events
import Operators
import Oracles
import Testing
import Views

/// Snapshots of both stages of a pipeline that follows persons.
@Suite struct StageSnapshotTests {
  /// What a stage is fed with: a frame of events, or one of partials.
  private typealias Feed = (_ stage: inout Pipeline, _ sequence: UInt64) throws -> Void

  private static let partitions = 2
  private static let spec = StageLog(.mixed, seed: 1).spec

  private static func firstStage(_ partition: Int) -> Pipeline {
    Pipeline(
      spec: spec,
      stream: StreamPartition(
        stream: "events-0\(partition)", generation: 1, partition: partition),
      groups: KeyGroup.groups(of: partition, partitions: partitions), partitions: partitions)
  }

  private static func secondStage() -> Pipeline {
    Pipeline(spec: spec, stream: .partials(of: spec), groups: 0..<256)
  }

  private static func events(_ random: inout SeededGenerator, _ partition: Int) -> [Feed] {
    var now = noon
    var feeds: [Feed] = []
    for step in StageLog.steps(&random, count: 60) {
      let person = step.device.map(StageLog.anonymous) ?? StageLog.known(step.user ?? 0)
      // Time may jump over every look-back and lateness.
      if random.once(in: 15) { now += random.time(upTo: 2 * hour) }
      let storedAt = max(now, step.storedAt)
      now = storedAt
      guard KeyGroup.partition(of: person, partitions: partitions) == partition else { continue }
      let bytes = random.once(in: 10) ? StageLog.heartbeat() : StageLog.frame(step)
      feeds.append { stage, sequence in
        try bytes.withUnsafeBytes {
          try stage.process(frame: try FrameView($0), sequence: sequence, storedAt: storedAt)
        }
      }
    }
    return feeds
  }

  private static func partials(_ random: inout SeededGenerator) throws -> [Feed] {
    var frames: [PartialFrame] = []
    for partition in 0..<partitions {
      var stage = firstStage(partition)
      for (index, feed) in events(&random, partition).enumerated() {
        try feed(&stage, UInt64(index + 1))
      }
      frames += stage.takeEmitted()
    }
    let weights = frames.indices.map { Int(frames[$0].number) * 3 + random.below(20) }
    return frames.indices.sorted { weights[$0] < weights[$1] }.map { place in
      let bytes = frames[place].bytes
      return { stage, sequence in
        try bytes.withUnsafeBytes {
          try stage.process(
            partials: try PartialFrameView($0), bytes: $0, sequence: sequence, storedAt: noon)
        }
      }
    }
  }

  /// Saves at random frames, restarts there now and then, and compares with a run without either.
  private func check(
    _ feeds: [Feed], _ make: () -> Pipeline, _ random: inout SeededGenerator, seed: UInt64
  ) throws {
    var straight = make()
    var straightEmitted: [PartialFrame] = []
    var stage = make()
    var emitted: [PartialFrame] = []
    var base: [UInt8]?
    var increments: [[UInt8]] = []
    for (index, feed) in feeds.enumerated() {
      let sequence = UInt64(index + 1)
      try feed(&straight, sequence)
      straightEmitted += straight.takeEmitted()
      try feed(&stage, sequence)
      emitted += stage.takeEmitted()
      if random.once(in: 2) { continue }
      if random.once(in: 5) {
        // What is left out of increments is in a base that somebody else makes.
        stage.forgetChanges()
        base = straight.snapshot(.everything)
        increments = []
        continue
      }
      increments.append(stage.snapshot(.changes))
      if random.once(in: 3) {
        base = try Pipeline.compact(
          spec: stage.spec, stream: stage.stream, groups: stage.groups, partitions: Self.partitions,
          base: base, increments: increments)
        increments = []
        // A snapshot of everything changes nothing but what the next increment would hold.
        #expect((base == straight.snapshot(.everything)) == true, "seed \(seed), frame \(sequence)")
      }
      if random.once(in: 3) {
        let batch = stage.drainCommit(includeCoarse: true)
        stage = make()
        let report = try stage.restore(
          base: base, increments: increments, committed: batch.checkpoint,
          accounting: batch.accounting)
        #expect(
          report == RestoreReport(replayAfter: sequence, findings: []), "seed \(seed)")
      }
    }
    #expect((stage.snapshot(.everything) == straight.snapshot(.everything)) == true, "seed \(seed)")
    #expect((emitted == straightEmitted) == true, "seed \(seed)")
  }

  @Test(
    "A first stage that is restored from increments hands on what one that ran through does",
    arguments: 1...100)
  func first(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let feeds = Self.events(&random, 0)
    try check(feeds, { Self.firstStage(0) }, &random, seed: seed)
  }

  @Test(
    "A second stage that is restored from increments is the one that ran through",
    arguments: 1...100)
  func second(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let feeds = try Self.partials(&random)
    try check(feeds, { Self.secondStage() }, &random, seed: seed)
  }
}
