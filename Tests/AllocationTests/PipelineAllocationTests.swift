import Dataflow
import Events
import Operators
import Testing
import Views

/// What a whole pipeline allocates, as the default one is declared: dedupe, windows, persons, trends.
extension AllocationTests {
  private static let spec = PipelineSpec(
    name: "default", persons: PersonPolicy(), trends: TrendPolicy())
  private static let rounds = 4

  private static func firstStage() -> Pipeline {
    Pipeline(
      spec: spec, stream: StreamPartition(stream: "events-00", generation: 1, partition: 0),
      groups: 0..<KeyGroup.count)
  }

  /// A round of frames, stored 5 ms after each other: every tenth closes a tick.
  private static func feed(_ frames: [[UInt8]], _ round: Int, _ pipeline: inout Pipeline) throws {
    for (index, frame) in frames.enumerated() {
      let number = round * frames.count + index
      try frame.withUnsafeBytes {
        try pipeline.process(
          frame: try FrameView($0), sequence: UInt64(number + 1),
          storedAt: start + Int64(number) * 5_000)
      }
    }
  }

  private static func feed(
    _ partials: [PartialFrame], from sequence: UInt64, _ pipeline: inout Pipeline
  ) throws {
    for (index, partial) in partials.enumerated() {
      try partial.bytes.withUnsafeBytes {
        try pipeline.process(
          partials: try PartialFrameView($0), bytes: $0, sequence: sequence + UInt64(index),
          storedAt: start)
      }
    }
  }

  @Test("a first stage allocates for the frames that it hands on, and nothing per event")
  func firstStage() throws {
    var pipeline = Self.firstStage()
    for round in 0..<Self.rounds {
      try Self.feed(Self.frames(round, hasUsers: true), round, &pipeline)
      _ = pipeline.takeEmitted()
    }
    let counted = Self.frames(Self.rounds, hasUsers: true)
    try Self.check("first-stage") { try Self.feed(counted, Self.rounds, &pipeline) }
    #expect(pipeline.accounting.duplicate == 0 && !pipeline.takeEmitted().isEmpty)
  }

  @Test("a second stage allocates for the windows that it counts in, and nothing per event")
  func secondStage() throws {
    var source = Self.firstStage()
    var pipeline = Pipeline(
      spec: Self.spec, stream: .partials(of: Self.spec), groups: 0..<KeyGroup.count)
    for round in 0..<Self.rounds {
      try Self.feed(Self.frames(round, hasUsers: true), round, &source)
      try Self.feed(source.takeEmitted(), from: pipeline.position + 1, &pipeline)
    }
    try Self.feed(Self.frames(Self.rounds, hasUsers: true), Self.rounds, &source)
    let counted = source.takeEmitted()
    try #require(!counted.isEmpty)
    let sequence = pipeline.position + 1
    try Self.check("second-stage") { try Self.feed(counted, from: sequence, &pipeline) }
    #expect(pipeline.accounting.received > 0)
  }
}
