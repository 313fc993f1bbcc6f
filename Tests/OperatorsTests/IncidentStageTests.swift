import Events
import Operators
import Oracles
import Testing
import Views

@testable import Dataflow
@testable import Verification

/// Incidents through both stages: what the log says, whoever reads it in whatever order.
@Suite("Incidents through both stages")
struct IncidentStageTests {
  /// Two days of two partitions in bins of an hour; in the last hours one campaign is gone.
  private struct Story {
    static let begin = IncidentPolicy.floor(noon, hour)
    static let spec = PipelineSpec(
      name: "test", allowedDisorder: 2 * second,
      trends: TrendPolicy(size: 300 * second, slide: 10 * second),
      anomalies: IncidentPolicy(bin: hour, watchesContents: false))
    static let partitions = 2

    var entries: [[StageLog.Entry]] = [[], []]
    private var random: SeededGenerator
    private var eventCount: UInt64 = 0

    /// - Parameters:
    ///   - feedback: said two hours before the end.
    ///   - hole: the hour that the log has nothing of.
    init(seed: UInt64, feedback: IncidentFeedback? = nil, hole: Int? = nil) {
      random = SeededGenerator(seed: seed)
      for step in 0..<40 * 12 where step / 12 != hole {
        // Every five minutes a frame of each partition, sometimes only a heartbeat.
        for partition in 0..<Self.partitions {
          let storedAt =
            Self.begin + Int64(step) * 300 * second + random.time(upTo: 200 * second)
          if step % 12 != 3 && random.once(in: 6) {
            entries[partition].append((StageLog.heartbeat(), storedAt))
          } else {
            entries[partition].append((events(step / 12, storedAt), storedAt))
          }
          if let feedback, step == 38 * 12, partition == 0 {
            entries[0].append((said(feedback, storedAt), storedAt))
          }
        }
      }
      for partition in 0..<Self.partitions {
        for offset in [0, 1, 2] as [Int64] {
          entries[partition].append(
            (StageLog.heartbeat(), Self.begin + 40 * hour + (200 + offset * 2) * second))
        }
      }
    }

    private mutating func events(_ hour: Int, _ storedAt: Int64) -> [UInt8] {
      var encoder = FrameEncoder()
      for _ in 0..<20 {
        let campaign = random.once(in: 2) ? "c0" : "c1"
        if campaign == "c1" && hour >= 34 { continue }
        // A few are late for their bin, some by hours.
        let age =
          random.once(in: 12)
          ? random.time(upTo: 3 * 3_600 * second) : random.time(upTo: 20 * second)
        encoder.append(
          event(
            random.once(in: 10) ? .click : .impression, storedAt - age, storedAt,
            DimensionTuple(
              site: "s", campaign: campaign, content: "p", variant: random.pick(["a", "b"]),
              traffic: random.once(in: 9) ? DimensionTuple.bot : "")))
      }
      return seal(&encoder)
    }

    private mutating func said(_ feedback: IncidentFeedback, _ storedAt: Int64) -> [UInt8] {
      var encoder = FrameEncoder()
      encoder.append(
        event(
          .feedback, storedAt, storedAt, DimensionTuple(site: "s"),
          payload: feedback.payload(note: "sale")))
      return seal(&encoder)
    }

    private mutating func event(
      _ kind: EventKind, _ time: Int64, _ storedAt: Int64, _ tuple: DimensionTuple,
      payload: [UInt8] = [0x7b, 0x7d]
    ) -> IncomingEvent {
      eventCount += 1
      return IncomingEvent(
        kind: kind, key: Key128(low: eventCount, high: 7), person: Key128(low: 1, high: 1),
        eventTime: time, receivedAt: storedAt, dimensions: tuple.encoded, id: "\(eventCount)",
        name: "name", source: "test", payload: payload)
    }

    private func seal(_ encoder: inout FrameEncoder) -> [UInt8] {
      encoder.seal(
        FrameHeader(
          kind: .events, generation: 1, partition: 0, producer: Key128(low: 1, high: 2), epoch: 1,
          producerSequence: 1))
    }

    static func stream(_ partition: Int) -> StreamPartition {
      StreamPartition(stream: "events-0\(partition)", generation: 1, partition: partition)
    }

    /// What each partition hands on, in order.
    func handedOn() throws -> [[PartialFrame]] {
      try (0..<Self.partitions).map { partition in
        var stage = Pipeline(
          spec: Self.spec, stream: Self.stream(partition),
          groups: KeyGroup.groups(of: partition, partitions: Self.partitions),
          partitions: Self.partitions)
        var frames: [PartialFrame] = []
        for (index, entry) in entries[partition].enumerated() {
          try stage.take(entry, sequence: UInt64(index + 1))
          frames += stage.takeEmitted()
        }
        return frames
      }
    }

    func secondStage() -> Pipeline {
      Pipeline(spec: Self.spec, stream: .partials(of: Self.spec), groups: 0..<256)
    }

    /// The frames of all partitions, each partition's in order.
    func arrival(_ seed: UInt64) throws -> [PartialFrame] {
      var random = SeededGenerator(seed: seed)
      var left = try handedOn().map { ArraySlice($0) }
      var frames: [PartialFrame] = []
      while !left.allSatisfy(\.isEmpty) {
        // One is far ahead of the other, now and then.
        let source = random.below(left.count)
        for _ in 0..<1 + random.below(40) {
          if let frame = left[source].popFirst() { frames.append(frame) }
        }
      }
      return frames
    }

    /// The rows that commits write, one every so many frames, and the state at the end.
    func rows(_ seed: UInt64) throws -> (rows: [Int64: IncidentRow], state: [UInt8]) {
      var random = SeededGenerator(seed: seed ^ 5)
      var stage = secondStage()
      var rows: [Int64: IncidentRow] = [:]
      for (index, frame) in try arrival(seed).enumerated() {
        try stage.take(frame, sequence: UInt64(index + 1), storedAt: noon)
        guard random.once(in: 50) else { continue }
        for row in stage.drainCommit(includeCoarse: false).incidents { rows[row.id] = row }
      }
      for row in stage.drainCommit(includeCoarse: true).incidents { rows[row.id] = row }
      #expect(stage.stateSizes.contains { $0.operator == "incidents" && $0.size.keyCount == 3 })
      return (rows, stage.snapshot(.everything))
    }

    /// The rows as the recount has them.
    func recounted() throws -> [Int64: IncidentRow] {
      let tuples = TupleNumbers()
      let model = IncidentRecount(spec: Self.spec, tuples: tuples)
      var watermark = Int64.max
      for partition in 0..<Self.partitions {
        let recount = StreamRecount(
          Self.stream(partition), spec: Self.spec, tuples: tuples, models: [model])
        for (index, entry) in entries[partition].enumerated() {
          entry.bytes.withUnsafeBytes {
            recount.add($0, sequence: UInt64(index + 1), storedAt: entry.storedAt)
          }
        }
        watermark = min(watermark, recount.watermark)
      }
      // The last heartbeat's tick is still open.
      return model.rows(watermark: watermark - 2 * second)
    }
  }

  @Test("What the second stage finds is what the recount finds, in whatever order sources come")
  func recount() throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      let story = Story(seed: seed)
      let (rows, state) = try story.rows(seed)
      let expected = try story.recounted()
      #expect(rows == expected, "seed \(seed)")
      #expect(
        rows.values.contains {
          $0.campaign == "c1" && $0.kind == .trafficDown
            && $0.begin >= Story.begin + 33 * hour
        }, "seed \(seed)")
      let other = try story.rows(seed + 100)
      #expect(other.rows == rows && other.state.count == state.count, "seed \(seed)")
    }
  }

  @Test("Feedback in the log closes the incident when its hour is over, in both")
  func feedback() throws {
    let found = try Story(seed: 1).recounted().values.first {
      $0.campaign == "c1" && $0.kind == .trafficDown && $0.end == nil
    }
    let incident = try #require(found)
    let story = Story(
      seed: 1, feedback: IncidentFeedback(incident: incident.id, verdict: .expected))
    let rows = try story.rows(3).rows
    let recounted = try story.recounted()
    #expect(rows == recounted)
    let row = try #require(rows[incident.id])
    #expect(row.feedback == .expected && row.end == Story.begin + 39 * hour)
  }

  @Test("An hour that the log has nothing of is no outage")
  func hole() throws {
    let story = Story(seed: 2, hole: 30)
    let rows = try story.rows(2).rows
    let recounted = try story.recounted()
    #expect(rows == recounted)
    #expect(
      !rows.values.contains {
        $0.kind == .trafficDown && $0.begin < Story.begin + 33 * hour
          && $0.begin >= Story.begin + 29 * hour
      })
  }

  @Test("Restored anywhere, from a base or from increments, it ends in the same bytes")
  func restart() throws {
    let story = Story(seed: 3)
    let frames = try story.arrival(3)
    let straight = try story.rows(3)
    var random = SeededGenerator(seed: 9)
    var stage = story.secondStage()
    var base: [UInt8]?
    var increments: [[UInt8]] = []
    var rows: [Int64: IncidentRow] = [:]
    for (index, frame) in frames.enumerated() {
      try stage.take(frame, sequence: UInt64(index + 1), storedAt: noon)
      guard random.once(in: 40) else { continue }
      if random.once(in: 3) {
        base = stage.snapshot(.everything)
        increments = []
      } else {
        increments.append(stage.snapshot(.changes))
      }
      let batch = stage.drainCommit(includeCoarse: true)
      for row in batch.incidents { rows[row.id] = row }
      stage = story.secondStage()
      let report = try stage.restore(
        base: base, increments: increments, committed: batch.checkpoint,
        accounting: batch.accounting)
      #expect(report.findings.isEmpty)
    }
    for row in stage.drainCommit(includeCoarse: true).incidents { rows[row.id] = row }
    #expect((stage.snapshot(.everything) == straight.state) == true)
    #expect(rows == straight.rows)
  }

  @Test("A first stage asks for frames while nothing happens, for a day, part by part of a bin")
  func quiet() throws {
    var stage = Pipeline(
      spec: Story.spec, stream: Story.stream(0), groups: 0..<128, partitions: 2)
    let story = Story(seed: 4)
    try stage.take(story.entries[0][3], sequence: 1)
    var logTime = stage.logTime
    let start = logTime
    var count = 0
    while let timer = stage.watchTimer, logTime - start < 3 * day {
      #expect(timer > stage.watermark && timer - stage.watermark <= hour / 10)
      #expect((stage.earliestTimer ?? .max) <= timer)
      logTime = timer + 2 * second
      count += 1
      try stage.take((StageLog.heartbeat(), logTime), sequence: UInt64(count + 1))
    }
    #expect((240...242).contains(count), "\(count)")
  }
}
